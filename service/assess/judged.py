"""What the monitoring makes of prompts, one by one: its own numbers, against its own reference.

The functions are those of `monitoring.watch`; here they are kept by prompt, so that a run may show
the same prompts again in any order.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.profile import ProfileModel
from model.profile_fallback import chosen
from model.prompt import Block, Examples
from monitoring.covariates import prompt_statistics
from monitoring.moving import prompt_signals, signal_width
from monitoring.observation import Observations, observe
from monitoring.reference import Reference
from service.assess.answered import Answered
from service.seen import seen_by

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

NO_RIDGE = 2**31  # the exact ridge is no part of any rule


@dataclass(frozen=True, slots=True)
class Judged:
    """P prompts against a reference; numbers of those that are not watched are NaN."""

    watched: Mask  # (P,) answered by the profile itself, with finite numbers
    answered: Mask  # (P,) by anyone
    rows: Array  # (P,) examples
    inflation: Array  # (P, 2) u of h and leave-one-out
    at_clip: Array  # (P, 2)
    excess: Array  # (P,) h - σ²
    signal: Array  # (P,) of the queries
    length_effect: Array  # (P,)
    covariates: Array  # (P, K) what COMBO averages

    def joined(self, other: Self) -> Self:
        """Return these prompts and then the others."""
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]
        return type(self)(*(np.concatenate(pair) for pair in pairs))

    def usual_covariates(self) -> Array:
        """Return the mean (K,) of what COMBO averages of watched prompts."""
        seen = self.covariates[self.watched]  # (n, K)
        return np.asarray(seen.mean(axis=0)) if len(seen) else np.zeros(self.covariates.shape[1])

    def measured_from(self, covariates: Array) -> Self:
        """Return the prompts with what COMBO averages less so much (K,)."""
        return replace(self, covariates=self.covariates - covariates)

    def take(self, places: Places) -> Self:
        """Return the prompts at some places."""
        return type(self)(*(getattr(self, f.name)[places] for f in fields(self)))


def judge(model: ProfileModel, reference: Reference, answered: Answered, weight: Array) -> Judged:
    """Return prompts as a monitor with this reference sees them; weight (P, Q) of the queries."""
    ours = np.flatnonzero(answered.modes == Mode.PROFILE)  # (n,)
    P, K = len(answered.modes), signal_width(reference.normal)
    counts = np.full(P, float(answered.block.example_count))  # (P,)
    numbers = np.full((P, 7), np.nan)  # (P, 7)
    covariates = np.full((P, K), np.nan)  # (P, K)
    watched = np.zeros(P, np.bool_)  # (P,)
    if len(ours):
        with np.errstate(all="ignore"):  # what is not finite is found in the numbers
            part = chosen(answered.block, ours)
            found, covariates[ours] = _look(model, reference, part, weight[ours])
        numbers[ours] = found
        watched[ours] = np.isfinite(found).all(axis=1)
    return Judged(
        watched,
        answered.modes > 0,
        counts,
        *(numbers[:, :2], numbers[:, 2:4], numbers[:, 4], numbers[:, 5], numbers[:, 6]),
        covariates,
    )


def _look(
    model: ProfileModel, reference: Reference, block: Block, weight: Array
) -> tuple[Array, Array]:
    """Return u, at_clip, excess, signal and length effect (n, 7), and COMBO's signals (n, K)."""
    seen = seen_by(model.estimator(block), block)
    raw = observe(seen.served, weight, NO_RIDGE)
    observed = reference.baselines.limited(raw)
    over = reference.inflations(observed.counts, observed.predicted, observed.loo)
    numbers = [
        over.clipped,
        over.at_clip,
        observed.predicted - seen.served.noise_variance,
        observed.query_signal,
        reference.length_effect(observed.counts),
    ]
    found = np.column_stack(numbers)  # (n, 7)
    found[~_finite(raw)] = np.nan
    assert isinstance(block.context, Examples)
    told = prompt_statistics(reference.normal, block.context.x)
    return found, prompt_signals(reference.normal, *told, block.example_count)


def _finite(raw: Observations) -> Mask:
    """Return which prompts (n,) a monitor does not skip."""
    numbers = (raw.predicted, raw.query_signal, raw.loo, raw.label_power)
    return np.asarray(np.isfinite(np.column_stack(numbers)).all(axis=1))
