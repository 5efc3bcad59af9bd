"""The reference of a recalibrated version: what is normal stays, where covariates lie is new.

Errors are held to the reference of pretraining for ever: its baselines, κ, window and the line of
COMBO are the owner's and are not rebased. The law of the covariates and the moments that causes are
read from are those of the window the version was made for, or its first look would call them moved.
What sums do not tell, the tails and how the second moments of prompts vary, stays as it was.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.covariates import Normal, directions, upper
from monitoring.reference import Reference

Array = NDArray[np.float64]

CONSTANT = 1e-14  # of a feature's mean: what rounding makes of a constant


class Rows(NamedTuple):
    """The covariates of a window, natural units."""

    mean: Array  # (d,)
    between: Array  # (d, d) covariance of prompts' means
    within: Array  # (d, d) of rows about them, divisor M
    length: float  # M


def renewed_reference(old: Reference, scene: Sums, rows: Rows, excess: float) -> Reference:
    """Return the reference of a version that answers other covariates.

    scene are the moments of the window and excess the expected error above the noise, both as the
    version itself sees them, in working coordinates. What is left of h₀ beside that excess stands
    as the noise: with another one, each look would find a rise that no moment explains. ValueError
    where no feature varies.
    """
    noise = max(old.baselines.mean("predicted") - excess, 0.0)
    return replace(old, noise_variance=noise, scene=scene, normal=renewed_normal(old.normal, rows))


def renewed_normal(old: Normal, rows: Rows) -> Normal:
    """Return the law of covariates of a window, the rest as it was."""
    mean, between, within, length = rows
    total = between + within  # (d, d)
    deviation = np.sqrt(np.maximum(np.diag(total), 0.0))  # (d,)
    deviation[deviation <= CONSTANT * np.abs(mean)] = 0.0
    W = _whitening(total, deviation)  # (d, r)
    own = np.maximum(np.diag(W.T @ within @ W) * length / (length - 1.0), 0.0)  # (r,)
    apart = np.maximum(np.diag(W.T @ between @ W) - own / length, 0.0)  # (r,)
    r = W.shape[1]
    kept = _moments(old, r)
    return replace(
        old,
        mean=mean,
        deviation=deviation,
        whitening=W,
        second_moment=upper(W.T @ total @ W),
        mean_between=apart,
        mean_within=own,
        tail_radius=old.tail_radius * r / len(old.mean_between),
        moment_between=kept[0],
        moment_within=kept[1],
    )


def _whitening(total: Array, deviation: Array) -> Array:
    """Return W (d, r) of rows of covariance total (d, d), deviation (d,) 0 for constants."""
    varies = deviation > 0.0  # (d,)
    if not varies.any():
        raise ValueError("covariates: expected a feature that varies, got constants alone")
    unit = deviation[varies]  # (v,)
    turned = directions(total[np.ix_(varies, varies)] / np.outer(unit, unit))  # (v, r)
    W = np.zeros((len(deviation), turned.shape[1]))  # (d, r)
    W[varies] = turned / unit[:, None]
    return W


def _moments(old: Normal, direction_count: int) -> tuple[Array, Array]:
    """Return how second moments of prompts vary (t,); normal rows where directions came or went."""
    if direction_count == len(old.mean_between):
        return old.moment_between, old.moment_within
    within = upper(1.0 + np.eye(direction_count))  # (t,) of products of independent normals
    return np.zeros_like(within), within
