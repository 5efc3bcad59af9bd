"""A profile fitted to a window of prompts by additive sums alone (docs/reevaluation.md).

Units and coordinates stay, so that errors keep their normal; renewed are the prior over tasks
(m, Ψ, σ²), the covariates that whiten it, and what of the ranges follows from them. All lengths of
one kind of coordinates speak for one prior, each through its own units; a length whose coordinates
sent nothing is left out, and its prompts are answered by the nearest that is left.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.em import TaskPrior, inverse
from model.profile_parameters import BucketParameters, ProfileParameters
from model.profile_range import SMALLEST_SPREAD, Reference
from model.task_window import Measured, learn_tasks
from model.unit_change import UnitChange, unit_change
from model.window import Window

Array = NDArray[np.float64]

PROMPTS_MIN = 20  # of all windows of one kind of coordinates together
CONSTANT = 1e-9  # of a feature's mean
MOVED_MEAN, MOVED_SCALE = 0.25, 1.25  # deviations; beyond, whole numbers may be whole no more


def recalibrated_profile(served: ProfileParameters, windows: Sequence[Window]) -> ProfileParameters:
    """Return a profile for the prompts of the windows; ValueError where they are too few."""
    by_kind: dict[str, list[tuple[BucketParameters, Window]]] = {}
    for window in windows:
        bucket = served.bucket(round(window.length))
        if len(window.tasks) == len(bucket.prior_mean):  # else answered in other coordinates
            by_kind.setdefault(bucket.coordinates, []).append((bucket, window))
    made: list[BucketParameters] = []
    for kind, told in by_kind.items():
        if sum(window.prompt_count for _, window in told) >= PROMPTS_MIN:
            alike = [bucket for bucket in served.buckets if bucket.coordinates == kind]
            made += _renewed(alike, told)
    if not made:
        count = sum(window.prompt_count for window in windows)
        sentence = f"expected at least {PROMPTS_MIN} with labels in rows, got {count:.0f}"
        raise ValueError(f"prompts: {sentence}")
    return replace(served, buckets=tuple(sorted(made, key=lambda bucket: bucket.length)))


def _renewed(
    buckets: list[BucketParameters], told: list[tuple[BucketParameters, Window]]
) -> list[BucketParameters]:
    """Return buckets of one kind of coordinates as the windows of those lengths tell them."""
    home = max(told, key=lambda one: one[1].prompt_count)[0]
    measured = [_measured(bucket, home, window) for bucket, window in told]
    prior = learn_tasks(measured, home.prior)
    made = []
    for bucket in buckets:
        apart = [abs(np.log(window.length / bucket.length)) for _, window in told]
        source, window = told[int(np.argmin(apart))]
        own = unit_change(home, bucket).prior(prior)
        made.append(_bucket(bucket, own, unit_change(source, bucket), window))
    return made


def _measured(bucket: BucketParameters, home: BucketParameters, window: Window) -> Measured:
    """Return what a window measures of tasks in the units of `home`."""
    change, eye = unit_change(bucket, home), np.eye(len(window.tasks))  # (p, p)
    back = np.linalg.inv(change.matrix @ window.basis)  # (p, p) from units of `home` to W's
    share = window.shrinkage - window.shrinkage_squares  # (p, p)
    return Measured(
        prompt_count=window.prompt_count,
        design=(eye - window.shrinkage) @ back,
        origin=change.matrix @ bucket.prior_mean + change.offset,
        noise=window.noise_share,
        noise_unit=change.label**-2,
        mean=window.tasks,
        squares=window.task_squares,
        residual=window.residual_power,
        freedom=window.freedom,
        left=back.T @ share @ back,
    )


def _bucket(
    old: BucketParameters, prior: TaskPrior, change: UnitChange, window: Window
) -> BucketParameters:
    """Return one length with a prior and the covariates of a window, in units by `change`."""
    d, M = len(old.mean), window.length
    means = window.mean[-d:] if old.has_intercept else np.zeros(d)  # (d,)
    squares = window.mean_squares[-d:, -d:] if old.has_intercept else np.zeros((d, d))  # (d, d)
    about = window.moments[-d:, -d:] - squares  # (d, d) divisor M
    within = change.covariance(about * M / (M - 1.0))  # (d, d)
    spread = change.covariance(squares - np.outer(means, means))  # (d, d) of the means z̄
    mean = change.mean(means) if old.has_intercept else means  # (d,)
    between = _semidefinite(spread - within / M) + np.outer(mean, mean)  # (d, d)
    return replace(
        old,
        prior_mean=prior.mean,
        prior_covariance=prior.covariance,
        noise_variance=prior.noise_variance,
        within=within,
        mean=mean,
        between=between,
        reference=_ranges(old, prior, window),
        prompt_count=round(window.prompt_count),
    )


def _semidefinite(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)  # (d,), (d, d)
    kept: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T  # (d, d)
    return kept


def _ranges(old: BucketParameters, prior: TaskPrior, window: Window) -> Reference:
    """Return what prompts look like now; limits of labels, and reaches in deviations, stay."""
    known, mean = old.reference, window.feature_mean  # (d,)
    power = np.diag(window.feature_within) + np.diag(window.feature_between)  # (d,)
    sd = np.sqrt(power)  # (d,)
    sd = np.where(sd <= CONSTANT * np.abs(mean), known.sd, sd)  # (d,) a constant keeps its unit
    grown = np.maximum(sd / known.sd, known.sd / sd)  # (d,)
    moved = (np.abs(mean - known.mean) > MOVED_MEAN * known.sd) | (grown > MOVED_SCALE)  # (d,)
    unbiased = window.length / (window.length - 1.0)
    within = unbiased * window.feature_within / np.outer(sd, sd)  # (d, d)
    within = within + SMALLEST_SPREAD**2 * np.eye(len(sd))  # (d, d)
    lift = 0.5 * np.log(np.diag(within) / np.diag(known.within))  # (d,)
    return replace(
        known,
        mean=mean,
        sd=sd,
        whole=known.whole & ~moved,
        within=within,
        log_spread=known.log_spread + lift,
        noise_variance=known.noise_variance * prior.noise_variance / old.noise_variance,
        task_precision=inverse(prior.covariance),
    )
