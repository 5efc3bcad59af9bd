"""A context reduced to its centred sums, from rows or from a summary (docs/model.md, section 3).

Everything a linear model needs of M labelled examples is their count, means and centred second
moments; sums with another origin, as a caller computes them in SQL, become the same thing.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.refusal import Refusal

Array = NDArray[np.float64]

EIGENVALUE_TOLERANCE = 1e-8  # a share of the trace: rounding of honest sums stays far below
SMALLEST_POWER = 1e-300  # so that a column of zeros divides
LARGEST_CORRELATION = 1e8  # of real examples: 1; from infinity on no eigenvalues can be found
CONSTANT_SHARE = 1e-12  # of a column's uncentred power: below it, only rounding is left


@dataclass(frozen=True, slots=True)
class Moments:
    """Centred sums of B contexts of M examples each; a summary may leave out `scatter`."""

    count: int
    mean: Array  # (B, d)
    label_mean: Array  # (B,)
    scatter: Array | None  # (B, d, d) Σ (x - x̄)(x - x̄)ᵀ
    products: Array  # (B, d) Σ (x - x̄)(y - ȳ)
    label_scatter: Array  # (B,) Σ (y - ȳ)²

    def reordered(self, positions: list[int]) -> Self:
        """Return the same moments with column i taken from positions[i]."""
        scatter = None if self.scatter is None else self.scatter[:, positions][:, :, positions]
        mean, products = self.mean[:, positions], self.products[:, positions]
        return replace(self, mean=mean, scatter=scatter, products=products)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over M examples measured from an origin: x' = x - origin, y' = y - label_origin."""

    count: int
    origin: Array  # (d,)
    label_origin: float
    feature_sums: Array  # (d,) Σ x'
    second_moments: Array | None  # (d, d) Σ x' x'ᵀ
    label_products: Array  # (d,) Σ x' y'
    label_sum: float
    label_square_sum: float

    @classmethod
    def from_rows(cls, x: Array, y: Array, origin: Array, label_origin: float) -> Self:
        """Return the sums of x (M, d) and y (M,) measured from an origin."""
        x, y = x - origin, y - label_origin  # (M, d), (M,)
        return cls(
            len(y), origin, label_origin, x.sum(0), x.T @ x, x.T @ y, float(y.sum()), float(y @ y)
        )

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums of both sets of examples; the origins must be equal."""
        if not np.array_equal(self.origin, other.origin) or self.label_origin != other.label_origin:
            sentence = "expected the origin of the other sums, got another one"
            raise Refusal("BAD_SUMMARY", "merge_with.origin", sentence)
        ours, theirs = self.second_moments, other.second_moments
        return Sums(
            self.count + other.count,
            self.origin,
            self.label_origin,
            self.feature_sums + other.feature_sums,
            None if ours is None or theirs is None else ours + theirs,
            self.label_products + other.label_products,
            self.label_sum + other.label_sum,
            self.label_square_sum + other.label_square_sum,
        )

    def is_finite(self) -> bool:
        """Return whether every sum fits a double."""
        square = np.zeros(0) if self.second_moments is None else self.second_moments.ravel()
        sums = (self.feature_sums, square, self.label_products)
        scalars = np.array([self.label_sum, self.label_square_sum])
        return bool(np.isfinite(np.concatenate([*sums, scalars])).all())

    def centred(self) -> Moments:
        """Return the centred moments with B = 1; refuse sums that no set of examples can have.

        Σx'x'ᵀ - M x̄'x̄'ᵀ must be positive semidefinite together with its label row, up to
        rounding; eigenvalues inside the tolerance are clipped at 0.
        """
        mean = self.feature_sums / self.count  # (d,)
        label_mean = self.label_sum / self.count
        products = self.label_products - self.count * mean * label_mean  # (d,)
        label_scatter = self.label_square_sum - self.count * label_mean * label_mean
        scatter = None
        if self.second_moments is not None:
            scatter = self.second_moments - self.count * np.outer(mean, mean)  # (d, d)
            raw = np.append(np.diag(self.second_moments), self.label_square_sum)  # (d+1,)
            raw = raw + self.count * np.append(mean, label_mean) ** 2  # (d+1,) what was subtracted
            joint = np.block([[scatter, products[:, None]], [products[None], label_scatter]])
            joint = _semidefinite(joint, raw)  # (d+1, d+1)
            scatter, products, label_scatter = joint[:-1, :-1], joint[:-1, -1], joint[-1, -1]
        return Moments(
            self.count,
            (self.origin + mean)[None],
            np.array([self.label_origin + label_mean]),
            None if scatter is None else scatter[None],
            products[None],
            np.array([max(label_scatter, 0.0)]),
        )


def _semidefinite(joint: Array, raw: Array) -> Array:
    """Return the centred moments joint (d+1, d+1) with negative eigenvalues clipped at 0.

    What is left of a column after centring counts as nothing when it drowns in the rounding of its
    uncentred powers `raw` (d+1,): such a column is constant as far as its sums can tell. The rest
    is judged as correlations, so that no unit decides.
    """
    if not np.isfinite(joint).all():
        sentence = "expected sums whose centred form is finite, got one that overflows"
        raise Refusal("BAD_SUMMARY", "summary", sentence)
    centred = np.diag(joint).copy()  # (d+1,)
    alive = centred > CONSTANT_SHARE * raw  # (d+1,)
    unit = np.where(alive, np.sqrt(np.maximum(centred, 0.0)), 1.0)  # (d+1,)
    joint = joint * np.outer(alive, alive)  # (d+1, d+1)
    correlations = joint / np.outer(unit, unit)  # (d+1, d+1)
    largest = float(np.abs(correlations).max())
    if not largest < LARGEST_CORRELATION:
        raise _indefinite(-largest)
    values, vectors = np.linalg.eigh(correlations)
    floor = -EIGENVALUE_TOLERANCE * max(float(values.sum()), 1.0)
    smallest = min(float(values[0]), float(np.min(centred / np.maximum(raw, SMALLEST_POWER))))
    if smallest < floor:
        raise _indefinite(smallest)
    if values[0] < 0.0:
        vectors = vectors * (unit * alive)[:, None]
        joint = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return joint


def _indefinite(smallest: float) -> Refusal:
    sentence = (
        "expected sums of real examples, measured from an origin near their mean (centred "
        f"second moments positive semidefinite), got a smallest eigenvalue of {smallest:.3g}"
    )
    return Refusal("BAD_SUMMARY", "summary", sentence)
