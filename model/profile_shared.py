"""What prompts of one length share on their way through a profile, prepared once.

In natural units and with σ = 1: `profile_single` and `profile_joint` take prompts through it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from model.coordinates import CENTRED, INTERCEPT, SCALED, Units
from model.layers import Layers, Steps
from model.profile_parameters import BucketParameters, Level
from model.profile_range import LABEL_SD_FACTOR, RANGE_SD

Array = NDArray[np.float64]

INSIDE = 0.999  # of a limit: nearer to it, `profile_range` decides
CLASHING = (256, 512)
"""Lengths at which rows times themselves take up to two fifths longer than with one row more, where
a prompt is WIDE, as if packed rows fell on each other in the cache (docs/performance.md)."""
WIDE = 32  # features; with fewer, a row more costs what it saves


class Shared:
    """Everything that prompts of one length share."""

    def __init__(
        self, bucket: BucketParameters, count: int, steps: Steps, correction_bound: float
    ) -> None:
        self.bound, self.count = correction_bound, count
        self.has_intercept = bucket.coordinates == INTERCEPT
        self.is_scaled = bucket.coordinates == SCALED
        self.has_fixed_unit = bucket.coordinates in (INTERCEPT, CENTRED)
        self.average = np.full(count, 1.0 / count)  # (M,)
        self._is_spaced = count in CLASHING and len(bucket.mean) >= WIDE
        self._limits(bucket)
        self.whitening = bucket.whitening(count)  # (p, p)
        self.layers = Layers(steps, len(self.whitening))
        self._maps(bucket, self.whitening)

    def centred(self, x: Array, mean: Array) -> Array:
        """Return x (..., M, d) less its mean (..., 1, d); where it helps, a row of zeros beside."""
        if not self._is_spaced:
            return x - mean
        rows = np.empty((*x.shape[:-2], self.count + 1, x.shape[-1]))  # (..., M+1, d)
        np.subtract(x, mean, out=rows[..., :-1, :])
        rows[..., -1, :] = 0.0
        return rows

    def _limits(self, bucket: BucketParameters) -> None:
        """Prepare the comparisons that say a prompt is of the profile's kind."""
        units, seen, free = bucket.units, bucket.reference, self.count - 1
        self.centre, self.s = units.feature_mean, units.feature_scale  # (d,), (d,)
        off = np.abs(seen.mean - units.feature_mean)  # (d,) rounding
        self.reach = INSIDE * seen.sd * seen.reach - off  # (d,)
        self.label_centre, self.label_reach = seen.label_mean, INSIDE * RANGE_SD * seen.label_sd
        low, high = seen.label_spreads[0] / LABEL_SD_FACTOR, seen.label_spreads[2] * LABEL_SD_FACTOR
        self.power_min = float(low / INSIDE) ** 2 * free
        self.power_max = float(high * INSIDE) ** 2 * free

    def _maps(self, bucket: BucketParameters, C: Array) -> None:
        """Prepare what takes centred rows to tokens; the last column answers for the prior."""
        units, s, sigma = bucket.units, bucket.units.feature_scale, math.sqrt(bucket.noise_variance)
        d, p, m = len(s), len(C), bucket.prior_mean
        slopes, C1 = m[p - d :], C[p - d :]  # (d,), (d, p)
        self.map = np.column_stack([C1, slopes]) / s[:, None] / sigma  # (d, p+1)
        if self.is_scaled:  # the scale of a prompt comes between
            self.map *= s[:, None]
        self.back = np.ascontiguousarray(self.map[:, :-1].T)  # (p, d)
        label_unit = units.label_scale if self.has_intercept else math.sqrt(units.label_variance)
        self.sigma, self.unit = sigma, label_unit * sigma
        self.label_variance, self.variance = units.label_variance, units.feature_variance
        self.prior_gram = np.zeros((p, p))  # (p, p)
        self.prior_gram[:] = C1.T @ bucket.slope_precision() @ C1
        if self.has_intercept:
            self._prepare_intercept(bucket.level(self.count), units, C, m)

    def _prepare_intercept(self, level: Level, units: Units, C: Array, m: Array) -> None:
        """Prepare what the prompt's mean adds to tokens and to their sums."""
        self.prior_gram[0, 0] = level.total * C[0, 0] ** 2
        self.gap = -level.anchor @ C[1:]  # (p,) of a mean at the history's
        self.coupling = np.array(level.coupling)  # ()
        self.off_share = np.array(level.corner / level.total / self.sigma)  # ()
        self.first = np.append(C[0, 0], np.zeros(len(C) - 1)) / self.sigma  # (p,)
        self.level = units.label_mean + units.label_scale * float(m[0])
        self.level_unit = units.label_scale * self.sigma
