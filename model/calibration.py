"""Intervals calibrated on history: how far held-out groups strayed, per bucket of prompt lengths.

A `Calibration` is plain arrays that travel with a version; everything is measured by models that
never saw the group they answer for (docs/intervals.md, section 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.explain import Smoother
from model.intervals import (
    LEVELS,
    SMALLEST_VARIANCE,
    Intervals,
    Method,
    Noise,
    columns_of,
    noise,
    query_leverages,
    scales,
)

Array = NDArray[np.float64]

PROVISIONAL_GROUPS = 8
PRIOR_FREEDOM = (0.5, 60.0)  # least and most examples that the history's noise may count for


@dataclass(frozen=True, slots=True)
class Calibration:
    """What held-out history says of a model's errors, per bucket of prompt lengths."""

    lengths: Array  # (K,) nominal M
    prior_freedom: Array  # (K,) ν0
    prior_variance: Array  # (K,) σ²_0, working units
    quantiles: Array  # (K, 3) of |error|/s_q at LEVELS
    prompt_counts: Array  # (K,)
    group_counts: Array  # (K,)

    def bucket(self, length: int) -> int:
        """Return the bucket nearest to a length, in ratio."""
        return int(np.abs(np.log(self.lengths / length)).argmin())


class HeldOut(NamedTuple):
    """Errors of P prompts of one nominal length, by a model fitted without their groups."""

    length: int
    noise: Noise  # (P,)
    leverages: Array  # (P, Q) h̄
    units: Array  # (P,) label units of a working unit
    errors: Array  # (P, Q) label units, NaN where there is no query
    groups: NDArray[np.int64]  # (P,)


def held_out(smoother: Smoother, targets: Array, groups: NDArray[np.int64]) -> HeldOut:
    """Return what a smoother errs on targets (P, Q), NaN where there is no query."""
    errors = targets - smoother.predictions  # (P, Q)
    leverages, units = query_leverages(smoother), smoother.label_unit  # (P, Q), (P,)
    return HeldOut(smoother.count, noise(smoother), leverages, units, errors, groups)


def joined(parts: Sequence[HeldOut]) -> HeldOut:
    """Return the prompts of several folds of one length as one."""
    first, arrays = parts[0], [part[2:] for part in parts]
    seen = Noise(
        *(np.concatenate(column) for column in zip(*(p.noise for p in parts), strict=True))
    )
    return HeldOut(
        first.length, seen, *(np.concatenate(column) for column in zip(*arrays, strict=True))
    )


def group_folds(groups: NDArray[np.int64], count: int = 3) -> NDArray[np.int64]:
    """Return a fold (P,) of 0 to count - 1 for every prompt; a group is never split."""
    order = np.unique(groups, return_inverse=True)[1]  # (P,) neighbours in time part
    folds: NDArray[np.int64] = order.astype(np.int64) % count
    return folds


def calibrate(buckets: Sequence[HeldOut], shrinks: bool = True) -> Calibration:
    """Return the quantiles and the noise prior of every bucket; all folds of one joined before.

    Without `shrinks` a prompt's own noise stands alone: for models that scale labels by the prompt.
    """
    rows = []
    for held in buckets:
        freedom, variance = _noise_prior(held) if shrinks else (0.0, 1.0)
        pooled = _pooled(held.noise, freedom, variance)  # (P,)
        scale = held.units[:, None] * np.sqrt(pooled[:, None] * (1.0 + held.leverages))  # (P, Q)
        score = (np.abs(held.errors) / np.maximum(scale, SMALLEST_VARIANCE)).ravel()  # (P Q,)
        score = score[~np.isnan(score)]  # (n,)
        ranks = np.minimum(np.array(LEVELS) * (1.0 + 1.0 / len(score)), 1.0)  # (3,)
        counts = (len(held.groups), len(np.unique(held.groups)))
        rows.append((held.length, freedom, variance, np.quantile(score, ranks), *counts))
    columns = [np.array(column, np.float64) for column in zip(*rows, strict=True)]
    return Calibration(*columns)


def _noise_prior(held: HeldOut) -> tuple[float, float]:
    """Return (ν0, σ²_0): how much prompts agree on their noise, and on what."""
    logs = np.log(np.maximum(held.noise.variance, SMALLEST_VARIANCE))  # (P,)
    own = 2.0 / held.length  # the variance of ln v of M examples alone
    freedom = np.clip(2.0 / max(float(logs.var()) - own, 1e-3), *PRIOR_FREEDOM)
    return float(freedom), float(np.exp(np.median(logs)))


def _pooled(seen: Noise, freedom: float, variance: float) -> Array:
    total = freedom + seen.evidence  # (B,)
    pooled: Array = (freedom * variance + seen.evidence * seen.variance) / total  # (B,)
    return pooled


def calibrated(
    smoother: Smoother, calibration: Calibration, levels: Sequence[float] = LEVELS
) -> Intervals:
    """Return q · s_q with the quantiles of the bucket of the prompts' length.

    Not honoured: a level that the bucket holds too few prompts to tell, α/(1 - α).
    """
    columns, bucket = columns_of(levels), calibration.bucket(smoother.count)
    freedom, variance = calibration.prior_freedom[bucket], calibration.prior_variance[bucket]
    scale = scales(smoother, _pooled(noise(smoother), float(freedom), float(variance)))  # (B, Q)
    wanted = np.array([LEVELS[column] for column in columns])  # (L,)
    enough = calibration.prompt_counts[bucket] >= wanted / (1.0 - wanted) - 1e-9  # (L,)
    groups = calibration.group_counts[bucket]
    method = Method.PROVISIONAL if groups < PROVISIONAL_GROUPS else Method.CALIBRATED
    half = scale[..., None] * calibration.quantiles[bucket, columns]  # (B, Q, L)
    return Intervals(half, scale, np.tile(enough, (len(scale), 1)), method)
