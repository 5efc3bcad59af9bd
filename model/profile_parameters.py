"""What a profile has learnt, as plain arrays: scales, task prior and covariates, per length.

A bucket holds what prompts of about one length are like. Everything a prompt's own length decides
is worked out from it when first asked for: `BucketParameters.expected_gram`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.coordinates import INTERCEPT, Units
from model.em import TaskPrior, inverse
from model.profile_range import Reference

Array = NDArray[np.float64]

LENGTHS = (8, 16, 32, 64)
HEALTHY_GROUPS = 8


def nearest_length(count: int) -> int:
    """Return the one of LENGTHS nearest in ratio to `count` examples."""
    return min(LENGTHS, key=lambda length: abs(math.log(length / count)))


class Level(NamedTuple):
    """How the intercept is shared between a prompt and its prior.

    In T = [[1, -vᵀ], [0, I]] the intercept is a coordinate of its own: H has zeros beside it. v is
    the mean of the prompt's z̄ and the prior's anchor, by what each knows of the intercept.
    """

    weight: float  # M/σ²
    corner: float  # Ψ⁻¹_00
    anchor: Array  # (d,) Ψ⁻¹_0·/Ψ⁻¹_00: the z at which the prior knows its labels best

    @property
    def total(self) -> float:
        """h_0, what is known of the intercept."""
        return self.weight + self.corner

    @property
    def coupling(self) -> float:
        """κ: of H are what the slopes gain: κ (z̄ - anchor)(z̄ - anchor)ᵀ."""
        return self.weight * self.corner / self.total

    def centre(self, mean: Array) -> Array:
        """Return v (..., d) of prompts whose means are z̄ (..., d)."""
        v: Array = (self.weight * mean + self.corner * self.anchor) / self.total  # (..., d)
        return v


@dataclass(frozen=True, slots=True)
class BucketParameters:
    """What was learnt from historical prompts of one length; p = d, or d + 1 with an intercept."""

    length: int  # nominal M
    coordinates: str
    units: Units
    prior_mean: Array  # (p,) m
    prior_covariance: Array  # (p, p) Ψ
    noise_variance: float  # σ², working label units
    within: Array  # (d, d) covariance of z inside a prompt, divisor M - 1
    mean: Array  # (d,) of the prompts' means z̄
    between: Array  # (d, d) second moment of the groups' means
    reference: Reference  # what the prompts looked like: the limits of the profile
    group_count: int
    prompt_count: int

    @property
    def prior(self) -> TaskPrior:
        """The prior over tasks, in working coordinates."""
        return TaskPrior(self.prior_mean, self.prior_covariance, self.noise_variance)

    @property
    def has_intercept(self) -> bool:
        """Whether coordinate 0 is an intercept."""
        return self.coordinates == INTERCEPT

    def level(self, count: int) -> "Level":
        """Return what an intercept learnt from `count` examples leans on; for `intercept` only."""
        precision = self.prior.precision  # (p, p)
        corner = float(precision[0, 0])
        return Level(count / self.noise_variance, corner, precision[0, 1:] / corner)

    def slope_precision(self) -> Array:
        """Return the inverse of Ψ's slopes (d, d): their precision when no intercept is known."""
        first = len(self.prior_mean) - len(self.mean)
        return inverse(self.prior_covariance[first:, first:])

    def expected_gram(self, count: int) -> Array:
        """Return E[H] (p, p) of prompts of `count` examples, H = Tᵀ(XᵀX/σ² + Ψ⁻¹)T.

        T makes the intercept a coordinate of its own (docs/model.md, 6).
        """
        H = self.slope_precision() + (count - 1) * self.within / self.noise_variance  # (d, d)
        if not self.has_intercept:
            return H
        level = self.level(count)
        second = self.between + self.within / count  # (d, d) E z̄z̄ᵀ
        crossed = np.outer(self.mean, level.anchor)  # (d, d)
        square = second - crossed - crossed.T + np.outer(level.anchor, level.anchor)  # (d, d)
        whole = np.zeros((len(H) + 1, len(H) + 1))  # (p, p)
        whole[0, 0], whole[1:, 1:] = level.total, H + level.coupling * square
        return whole

    def whitening(self, count: int) -> Array:
        """Return C (p, p), lower triangular with CCᵀ = E[H]⁻¹."""
        H = self.expected_gram(count)  # (p, p)
        scale = 1.0 / np.sqrt(np.diag(H))  # (p,) so that the inverse is that of a correlation
        C: Array = scale[:, None] * np.linalg.cholesky(
            inverse(H * scale * scale[:, None])
        )  # (p, p)
        return C


@dataclass(frozen=True, slots=True)
class ProfileParameters:
    """A profile; without buckets it is cold, and every prompt falls back."""

    feature_count: int  # d
    group_count: int
    steps: Array  # (L, 2) a_l, b_l of every layer
    buckets: tuple[BucketParameters, ...] = ()  # by length; a missing one borrows its neighbour's

    @property
    def state(self) -> str:
        """`cold`, `provisional` below HEALTHY_GROUPS groups, else `healthy`."""
        if not self.buckets:
            return "cold"
        return "healthy" if self.group_count >= HEALTHY_GROUPS else "provisional"

    def bucket(self, count: int) -> BucketParameters:
        """Return the bucket nearest in ratio to `count` examples."""
        return min(self.buckets, key=lambda bucket: abs(np.log(bucket.length / count)))
