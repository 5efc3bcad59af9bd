"""The monitoring reference of a profile: its errors on groups it was fitted without.

Every prompt is judged by a fit that never saw its group, as the intervals are: what a stranger's
prompt is to be expected to err by is normal, and not what the fit remembers. The order in which
prompts will come is not in a history: groups are taken to come in turns, not one after another.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.history import Prompts
from model.profile import ProfileModel
from model.profile_parameters import ProfileParameters
from model.profile_support import Fold
from monitoring.attribution import Sums
from monitoring.baseline import ROWS_PER_ALARM, Quiet, Unfit, build
from monitoring.observation import Observations, observe, sums_of
from monitoring.reference import Reference
from service.profile_fit import Fitted
from service.seen import served

Array = NDArray[np.float64]


class _Part(NamedTuple):
    """Prompts of one length, answered by a fit without their groups."""

    observed: Observations
    x: Array  # (P, M, d)
    groups: NDArray[np.int64]  # (P,)
    scene: Sums
    noise_variance: float
    label_units: Array  # (P,)


def watched_profile(
    fitted: Fitted, folds: Sequence[Fold], seed: int, rows_per_alarm: int = ROWS_PER_ALARM
) -> Fitted:
    """Return the profile with its reference, or with the reason why it has none."""
    try:
        return replace(fitted, reference=profile_reference(folds, seed, rows_per_alarm))
    except Unfit as error:
        return replace(fitted, unwatched=str(error))


def profile_reference(
    folds: Sequence[Fold], seed: int, rows_per_alarm: int = ROWS_PER_ALARM
) -> Reference:
    """Return what is normal for a profile; raise `monitoring.baseline.Unfit` with the reason."""
    parts = [_judged(fold.prompts, fold.parameters) for fold in folds]
    if not parts:
        raise Unfit("expected groups that can be held out, got too few")
    groups = np.concatenate([part.groups for part in parts])  # (P,)
    covariates = [x for part in parts for x in part.x]
    observed = Observations.joined([part.observed for part in parts])
    order = np.random.default_rng(seed).permutation(len(groups))  # (P,) groups take turns
    counts = np.array([len(part.groups) for part in parts])
    noise = float(np.average([part.noise_variance for part in parts], weights=counts))
    quiet = Quiet(
        observed.take(order),
        [covariates[place] for place in order],
        _joined([part.scene for part in parts]),
        noise,
        groups[order],
        np.concatenate([part.label_units for part in parts])[order],
    )
    return build(quiet, "profile", seed, rows_per_alarm=rows_per_alarm)


def _judged(prompts: Prompts, parameters: ProfileParameters) -> _Part:
    estimator = ProfileModel(parameters).estimator(prompts.block)
    made = served(estimator)
    return _Part(
        observe(made, prompts.weight),
        prompts.x,
        prompts.groups,
        sums_of(made),
        made.noise_variance,
        estimator.smoother.label_unit,
    )


def _joined(scenes: list[Sums]) -> Sums:
    """Return the moments of all lengths; where they differ in coordinates, of the most prompts."""
    widths = [len(scene.means) for scene in scenes]
    width = max(set(widths), key=widths.count)
    alike = [scene for scene in scenes if len(scene.means) == width]
    return reduce(Sums.joined, alike)
