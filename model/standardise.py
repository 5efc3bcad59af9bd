"""A prompt centred and scaled by itself: the working coordinates of `foundation`.

Columns are first divided by a power of two near their largest size, which is exact: neither 1e300
nor a denormal overflows or vanishes in a square, and every statistic afterwards is scale-free.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.moments import Moments
from model.prompt import Block, Examples

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CONSTANT_SD = 1e-9  # standard deviations per unit of a column's size; below, it is rounding


@dataclass(frozen=True, slots=True)
class Standardised:
    """B prompts with mean 0 and variance 1 in every column that varies; constant columns are 0."""

    count: int
    gram: Array  # (B, d, d) UᵀU
    products: Array  # (B, d) Uᵀr
    label_power: Array  # (B,) rᵀr
    queries: Array  # (B, Q, d) in the examples' units
    constant: Mask  # (B, d) columns that do not vary
    label_constant: Mask  # (B,)
    label_mean: Array  # (B,) in units of 2^label_exponent
    label_sd: Array  # (B,) likewise
    label_exponent: NDArray[np.int32]  # (B,)
    rows: Array | None = None  # (B, M, d) u, absent for a summary
    labels: Array | None = None  # (B, M) r, absent for a summary

    def natural(self, answers: Array) -> Array:
        """Return standardised answers (B, Q) in the caller's unit; inf where that overflows."""
        scaled = self.label_mean[:, None] + self.label_sd[:, None] * answers  # (B, Q)
        result: Array = np.ldexp(scaled, self.label_exponent[:, None])  # (B, Q)
        return result


def standardise(block: Block) -> Standardised:
    """Return the block in working coordinates; the divisor of variances is M - 1."""
    if isinstance(block.context, Moments):
        return _from_moments(block.context, block.queries)
    return _from_rows(block.context, block.queries)


def _from_rows(examples: Examples, queries: Array) -> Standardised:
    x, x_exponent = _to_unit_size(examples.x, axis=1)  # (B, M, d), (B, 1, d)
    y, y_exponent = _to_unit_size(examples.y, axis=1)  # (B, M), (B, 1)
    count = x.shape[1]
    centre = x.mean(axis=1, keepdims=True)  # (B, 1, d)
    label_mean = y.mean(axis=1)  # (B,)
    u = x - centre  # (B, M, d)
    r = y - label_mean[:, None]  # (B, M)
    sd, constant = _deviation((u * u).sum(axis=1), count)  # (B, d), (B, d)
    label_sd, label_constant = _deviation((r * r).sum(axis=1), count)  # (B,), (B,)
    u = np.where(constant[:, None], 0.0, u / sd[:, None])  # (B, M, d)
    r = np.where(label_constant[:, None], 0.0, r / label_sd[:, None])  # (B, M)
    v = (np.ldexp(queries, -x_exponent) - centre) / sd[:, None]  # (B, Q, d)
    return Standardised(
        count=count,
        gram=u.mT @ u,
        products=(r[:, None] @ u)[:, 0],
        label_power=(r * r).sum(axis=1),
        queries=np.where(constant[:, None], 0.0, v),
        constant=constant,
        label_constant=label_constant,
        label_mean=label_mean,
        label_sd=label_sd,
        label_exponent=y_exponent[:, 0],
        rows=u,
        labels=r,
    )


def _from_moments(moments: Moments, queries: Array) -> Standardised:
    assert moments.scatter is not None  # the model's own check precedes
    power = np.diagonal(moments.scatter, axis1=1, axis2=2)  # (B, d)
    sd, constant = _deviation(power, moments.count, np.abs(moments.mean))  # (B, d), (B, d)
    label_sd, label_constant = _deviation(
        moments.label_scatter, moments.count, np.abs(moments.label_mean)
    )
    keep = np.where(constant, 0.0, 1.0 / sd)  # (B, d)
    v = (queries - moments.mean[:, None]) / sd[:, None]  # (B, Q, d)
    return Standardised(
        count=moments.count,
        gram=moments.scatter * keep[:, :, None] * keep[:, None],
        products=moments.products * keep / label_sd[:, None],
        label_power=moments.label_scatter / label_sd**2,
        queries=np.where(constant[:, None], 0.0, v),
        constant=constant,
        label_constant=label_constant,
        label_mean=moments.label_mean,
        label_sd=label_sd,
        label_exponent=np.zeros(len(label_sd), np.int32),
    )


def _to_unit_size(values: Array, axis: int) -> tuple[Array, NDArray[np.int32]]:
    """Return the values divided by a power of two so that the largest of a column is in [½, 1)."""
    largest = np.abs(values).max(axis=axis, keepdims=True)
    exponent = np.frexp(largest)[1]
    return np.ldexp(values, -exponent), exponent


def _deviation(power: Array, count: int, size: Array | float = 0.5) -> tuple[Array, Mask]:
    """Return the standard deviations of centred powers (1 where constant) and which are constant.

    `size` is how large the uncentred values are: rounding of that size is no variation.
    """
    sd = np.sqrt(power / (count - 1))
    constant = sd <= CONSTANT_SD * size
    return np.where(constant, 1.0, sd), constant
