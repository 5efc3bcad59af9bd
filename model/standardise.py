"""A prompt centred and scaled by itself: the working coordinates of `foundation`.

Columns are first divided by a power of two near their largest size, which is exact: neither 1e300
nor a denormal overflows or vanishes in a square, and every statistic afterwards is scale-free.
"""

from dataclasses import dataclass
from typing import NamedTuple

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


class _Columns(NamedTuple):
    """Columns with mean 0 and variance 1, and how they got there, in units of 2^exponent."""

    values: Array  # (B, M, c), 0 where constant
    mean: Array  # (B, 1, c)
    sd: Array  # (B, c), 1 where constant
    constant: Mask  # (B, c)
    exponent: NDArray[np.int32]  # (B, 1, c)


def _columns(values: Array) -> _Columns:
    """Return the columns of values (B, M, c) standardised over the M rows."""
    exponent = np.frexp(np.abs(values).max(axis=1, keepdims=True))[1]  # (B, 1, c)
    scaled = np.ldexp(values, -exponent)  # (B, M, c) the largest of a column is in [½, 1)
    mean = scaled.mean(axis=1, keepdims=True)  # (B, 1, c)
    scaled -= mean  # (B, M, c)
    sd, constant = _deviation((scaled * scaled).sum(axis=1), values.shape[1])  # (B, c), (B, c)
    scaled *= np.where(constant, 0.0, 1.0 / sd)[:, None]  # (B, M, c)
    return _Columns(scaled, mean, sd, constant, exponent)


def _from_rows(examples: Examples, queries: Array) -> Standardised:
    x, y = _columns(examples.x), _columns(examples.y[..., None])
    u, r = x.values, y.values[..., 0]  # (B, M, d), (B, M)
    v = (np.ldexp(queries, -x.exponent) - x.mean) / x.sd[:, None]  # (B, Q, d)
    return Standardised(
        count=u.shape[1],
        gram=u.mT @ u,
        products=(r[:, None] @ u)[:, 0],
        label_power=(r * r).sum(axis=1),
        queries=np.where(x.constant[:, None], 0.0, v),
        constant=x.constant,
        label_constant=y.constant[:, 0],
        label_mean=y.mean[:, 0, 0],
        label_sd=y.sd[:, 0],
        label_exponent=y.exponent[:, 0, 0],
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


def _deviation(power: Array, count: int, size: Array | float = 0.5) -> tuple[Array, Mask]:
    """Return the standard deviations of centred powers (1 where constant) and which are constant.

    `size` is how large the uncentred values are: rounding of that size is no variation.
    """
    sd = np.sqrt(power / (count - 1))
    constant = sd <= CONSTANT_SD * size
    return np.where(constant, 1.0, sd), constant
