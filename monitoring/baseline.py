"""Make a reference of the prompts of a quiet time, or say why they cannot be one.

A model that is no better than the mean of the labels, or far from the best solve of its own prior,
is not a normal to measure from: it is refused (docs/monitoring.md, "The reference").
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.calibration import calibrate
from monitoring.covariates import Normal
from monitoring.levels import MAJOR, ROWS_PER_FEATURE, WINDOW_PROMPTS, Z95, window_rows
from monitoring.observation import Observations
from monitoring.reference import (
    BUCKETS,
    Baselines,
    Inflations,
    Reference,
    check_arrays,
    inflations,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PROMPTS_MIN = 400
ROWS_PER_ALARM = 1_000_000  # of the covariates' information, which calls nobody
GROUPS_MIN = 4
LOO_TO_MEAN_MAX = 0.9  # of the labels' own power: a model must beat their mean
LOO_TO_RIDGE_MAX = {"paper": 3.0, "foundation": 1.25, "profile": 1.25}
FARTHEST = 1e100  # covariates whose squares can be summed
BUCKET_PROMPTS_MIN = 20  # fewer make no mean
STREAMS, STREAM_PROMPTS, BLOCK_PROMPTS = 100, 1200, 10
WINDOWS = (1, 2)  # times W


class Unfit(Exception):
    """Prompts that are no reference, in one sentence."""


class Quiet(NamedTuple):
    """Prompts of a quiet time in the order they came, as the model saw them."""

    observed: Observations  # of P prompts
    covariates: list[Array]  # P of (M, d), natural units
    scene: Sums  # moments of their examples and queries, working coordinates
    noise_variance: float  # σ² of h
    groups: Labels | None = None  # (P,)
    label_units: Array | None = None  # (P,) working ones, where lengths differ in them


def build(
    quiet: Quiet,
    kind: str,
    seed: int = 0,
    prompts_min: int = PROMPTS_MIN,
    window_prompts: int = WINDOW_PROMPTS,
    rows_per_alarm: int = ROWS_PER_ALARM,
) -> Reference:
    """Return the reference of quiet prompts of a model of some kind; raise `Unfit`.

    rows_per_alarm is how many quiet rows the covariates' alarm may take for one false call.
    """
    d = quiet.covariates[0].shape[1] if quiet.covariates else 0
    _check(quiet, kind, d, prompts_min)
    try:
        made = _made(quiet, d, seed, window_prompts, rows_per_alarm)
        check_arrays(made.to_arrays())
    except ValueError as error:  # constants alone, or numbers beyond all measure
        raise Unfit(str(error)) from None
    return made


def _made(quiet: Quiet, d: int, seed: int, window_prompts: int, rows_per_alarm: int) -> Reference:
    """Return the reference of prompts of d features that were checked."""
    observed = quiet.observed
    baselines = _baselines(observed, quiet.label_units)
    if not all((getattr(baselines, name) > 0.0).all() for name in ("predicted", "loo", "ridge")):
        raise Unfit("expected errors above 0, got none: there is nothing that could double")
    clip_means = _clip_means(baselines, observed)
    u = _over(baselines, clip_means, observed).clipped  # (P, 2)
    normal, logs = Normal.fit(quiet.covariates), np.log(observed.predicted)
    return Reference(
        baselines=baselines,
        clip_means=clip_means,
        noise_variance=quiet.noise_variance,
        feature_count=d,
        group_count=0 if quiet.groups is None else len(np.unique(quiet.groups)),
        row_count=int(observed.counts.sum()),
        window_prompts=_window(u, observed.counts, window_prompts, d, seed),
        scene=quiet.scene,
        normal=normal,
        calibration=calibrate(normal, quiet.covariates, rows_per_alarm, seed, logs),
    )


def _check(quiet: Quiet, kind: str, d: int, prompts_min: int) -> None:
    """Refuse what is too little, not finite, or a model not worth its name."""
    observed = quiet.observed
    count, rows = len(observed.counts), float(observed.counts.sum())
    if count < prompts_min:
        raise Unfit(f"expected at least {prompts_min} prompts, got {count}")
    if rows < ROWS_PER_FEATURE * d:
        raise Unfit(f"expected at least {ROWS_PER_FEATURE * d} examples in all, got {rows:.0f}")
    if quiet.groups is not None and (groups := len(np.unique(quiet.groups))) < GROUPS_MIN:
        raise Unfit(f"expected prompts of at least {GROUPS_MIN} groups, got {groups}")
    if not all((np.abs(x) < FARTHEST).all() for x in quiet.covariates):
        raise Unfit(f"expected covariates between ±{FARTHEST:g}, got others")
    _check_errors(observed, kind)


def _check_errors(observed: Observations, kind: str) -> None:
    loo, power = float(np.nanmean(observed.loo)), float(np.nanmean(observed.label_power))
    ridge = float(np.nanmean(observed.ridge))
    if not np.isfinite([loo, power, ridge, float(observed.predicted.mean())]).all():
        raise Unfit("expected finite errors, got others")
    if not loo < LOO_TO_MEAN_MAX * power:
        raise Unfit(
            f"the model's leave-one-out error is {loo / max(power, 1e-300):.2f} of the labels' own "
            f"variance (expected below {LOO_TO_MEAN_MAX}): it is not worth watching"
        )
    if not loo <= (most := LOO_TO_RIDGE_MAX[kind]) * ridge:
        raise Unfit(
            f"the model's leave-one-out error is {loo / max(ridge, 1e-300):.2f} times that of an "
            f"exact ridge on the same prompts (expected at most {most}): it does not fit them"
        )


def _baselines(observed: Observations, label_units: Array | None) -> Baselines:
    """Return the means by bucket; a bucket with few prompts lends its own to no one."""
    lengths = np.array(BUCKETS)  # (K,)
    nearest = np.abs(np.log(observed.counts)[:, None] - np.log(lengths)).argmin(axis=1)  # (P,)
    sizes = np.bincount(nearest, minlength=len(lengths))  # (K,)
    chosen = np.flatnonzero(sizes >= min(BUCKET_PROMPTS_MIN, sizes.max()))  # (k,)
    parts = [observed.take(nearest == bucket) for bucket in chosen]
    rows = [[float(np.nanmean(column)) for column in part[1:]] for part in parts]
    natural = observed.predicted * (1.0 if label_units is None else label_units**2)  # (P,)
    in_one_unit = np.array([natural[nearest == bucket].mean() for bucket in chosen])  # (k,)
    columns = np.vstack([np.array(rows).T, in_one_unit])  # (7, k)
    lengths = np.array([part.counts.mean() for part in parts])  # (k,)
    return Baselines(lengths, sizes[chosen].astype(np.float64), *columns)


def _clip_means(baselines: Baselines, observed: Observations) -> Array:
    """Return κ (2,), by which the reference's own mean of the clipped ratios is 1."""
    made = _over(baselines, np.ones(2), observed)
    return np.asarray(np.nanmean(made.clipped, axis=0))  # (2,)


def _over(baselines: Baselines, clip_means: Array, observed: Observations) -> Inflations:
    return inflations(baselines, clip_means, observed.counts, observed.predicted, observed.loo)


def _window(u: Array, counts: Array, window_prompts: int, d: int, seed: int) -> int:
    """Return W: as asked, or twice it, where no quiet window lies above the line of a ticket.

    Quiet windows are drawn by circular blocks of prompts, so that neighbours stay neighbours.
    """
    prompts = max(window_prompts, int(np.ceil(window_rows(d) / counts.mean())))
    for times in WINDOWS:
        worst = _worst_gate(u, times * prompts, seed)
        if worst <= MAJOR:
            return window_prompts if times == 1 else times * prompts
    raise Unfit(
        f"a window of {WINDOWS[-1] * prompts} quiet prompts reaches a gate of {worst:.2f} "
        f"(expected at most {MAJOR}): their errors are too uneven to tell harm by"
    )


def _worst_gate(u: Array, size: int, seed: int) -> float:
    """Return the largest gate over resampled streams of u (P, 2)."""
    rng = np.random.default_rng(seed)
    blocks = -(-max(STREAM_PROMPTS, 2 * size) // BLOCK_PROMPTS)
    worst = 0.0
    for _ in range(STREAMS):
        starts = rng.integers(len(u), size=blocks)  # (blocks,)
        order = (starts[:, None] + np.arange(BLOCK_PROMPTS)).ravel() % len(u)  # (n,)
        for channel in u[order].T:
            known = channel[~np.isnan(channel)]
            if len(known) >= size:
                worst = max(worst, float(_bounds(known, size).max()))
    return worst


def _bounds(u: Array, size: int) -> Array:
    """Return the lower bound of every window of u (n,): (n - size + 1,)."""
    mean, square = _moving_mean(u, size), _moving_mean(u * u, size)
    bounds: Array = mean - Z95 * np.sqrt(np.maximum(square - mean * mean, 0.0) / size)
    return bounds


def _moving_mean(values: Array, size: int) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(values)])  # (n + 1,)
    mean: Array = (sums[size:] - sums[:-size]) / size
    return mean
