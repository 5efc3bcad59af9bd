"""From the working units of one length of a profile to those of another, for tasks and covariates.

Buckets of one kind of coordinates measure the same line y = β0 + βᵀx in units of their own, so the
coefficients of one are an affine map of the other's: w' = Tw + k. Where a prompt's own scale
divides its labels (`label-scaled`, `scaled`) or features (`scaled`), working coefficients are
relative already and only the history's feature scales remain.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.coordinates import CENTRED, INTERCEPT, SCALED
from model.em import TaskPrior
from model.profile_parameters import BucketParameters

Array = NDArray[np.float64]


class UnitChange(NamedTuple):
    """Coefficients w and rows z of one length in the units of another."""

    matrix: Array  # (p, p) T
    offset: Array  # (p,) k
    label: float  # c: an error of 1 there is one of c here
    stretch: Array  # (d,) z' = stretch z + move
    move: Array  # (d,)

    def prior(self, prior: TaskPrior) -> TaskPrior:
        """Return a prior in the other units."""
        T = self.matrix  # (p, p)
        covariance = T @ prior.covariance @ T.T  # (p, p)
        noise = self.label**2 * prior.noise_variance
        return TaskPrior(T @ prior.mean + self.offset, covariance, noise)

    def covariance(self, within: Array) -> Array:
        """Return a covariance of rows (d, d) in the other units."""
        changed: Array = within * np.outer(self.stretch, self.stretch)  # (d, d)
        return changed

    def mean(self, mean: Array) -> Array:
        """Return a mean of rows (d,) in the other units."""
        changed: Array = self.stretch * mean + self.move  # (d,)
        return changed


def unit_change(here: BucketParameters, there: BucketParameters) -> UnitChange:
    """Return the change from the units of `here` to those of `there`, of the same coordinates."""
    a, b, kind = here.units, there.units, here.coordinates
    d = len(a.feature_scale)
    ratio = b.feature_scale / a.feature_scale if kind != SCALED else np.ones(d)  # (d,)
    move = np.zeros(d)  # (d,)
    label = np.sqrt(a.label_variance / b.label_variance) if kind == CENTRED else 1.0
    if kind != INTERCEPT:
        return UnitChange(np.diag(label * ratio), np.zeros(d), float(label), 1.0 / ratio, move)
    label = a.label_scale / b.label_scale
    move = (a.feature_mean - b.feature_mean) / b.feature_scale  # (d,)
    T, k = np.diag(label * np.append(1.0, ratio)), np.zeros(d + 1)  # (p, p), (p,)
    T[0, 1:] = label * (b.feature_mean - a.feature_mean) / a.feature_scale  # (d,)
    k[0] = (a.label_mean - b.label_mean) / b.label_scale
    return UnitChange(T, k, float(label), 1.0 / ratio, move)
