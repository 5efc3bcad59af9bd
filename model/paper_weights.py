"""The best weights A of one layer for prompts of M examples: of a normal law, or of recorded sums.

A Gaussian law Λ has A⁻¹ = Γ = (1+1/M)Λ + (tr Λ + σ²/τ²)/M I (arXiv 2306.09927v3, Theorem 4.1, with
noise). Whatever the law, A = E[S](E[S²] + σ²/(τ²M) E[S])⁻¹ with S = UᵀU/M, where three sums make
E[S²] for every length: E[S²_M] = (1-1/M) Ū + (1/M) F̄ (docs/model.md). That A is not symmetric.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDING = 1e-9  # of the largest entry
SMALLEST_SHARE = 1e-8  # of the most varied direction: what varies less carries no signal


@dataclass(frozen=True, slots=True)
class Law:
    """Weights for a normal law of covariance Λ (d, d)."""

    covariance: Array  # (d, d) Λ
    noise_variance: float = 0.0  # σ²
    task_variance: float = 1.0  # τ²
    _spectrum: tuple[Array, Array] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_variances(self.noise_variance, self.task_variance)
        values, vectors = np.linalg.eigh(self.covariance)  # (d,), (d, d)
        object.__setattr__(self, "_spectrum", (values, vectors))

    @property
    def feature_count(self) -> int:
        """d."""
        return len(self.covariance)

    def weights(self, length: int) -> Array:
        """Return A_M (d, d), the optimal weights for prompts of `length` examples; symmetric."""
        values, vectors = self._spectrum
        lifted = values.sum() + self.noise_variance / self.task_variance
        gamma = (1 + 1 / length) * values + lifted / length  # (d,)
        A: Array = (vectors / gamma) @ vectors.T  # (d, d)
        return A


@dataclass(frozen=True, slots=True)
class EmpiricalSums:
    """Weights for whatever law three means over recorded prompts came from.

    mean is E[S]; products Ū is the mean of (M S² - F)/(M-1) and fourth F̄ that of
    F = (1/M) Σ ‖u_i‖² u_i u_iᵀ, each (d, d). A direction without variation gets no weight.
    ValueError of matrices that cannot be such means.
    """

    mean: Array  # (d, d) E[S]
    products: Array  # (d, d) Ū
    fourth: Array  # (d, d) F̄
    noise_variance: float = 0.0  # σ²
    task_variance: float = 1.0  # τ²
    _whitened: "_Whitened" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_square("products", self.products)
        for name in ("mean", "fourth"):
            check_moment(name, getattr(self, name))
        if not len(self.mean) == len(self.products) == len(self.fourth):
            raise ValueError("mean, products, fourth: expected one shape, got several")
        if not self.mean.any():
            raise ValueError("mean: expected features that vary, got none")
        _check_variances(self.noise_variance, self.task_variance)
        object.__setattr__(self, "_whitened", _whitened(self.mean, self.products, self.fourth))

    @property
    def feature_count(self) -> int:
        """d."""
        return len(self.mean)

    def weights(self, length: int) -> Array:
        """Return A_M (d, d), the optimal weights for prompts of `length` examples.

        With E[S] = V diag(λ) Vᵀ, A = V X⁻¹ diag(1/λ) Vᵀ, where X is E[S²_M] + σ²/(τ²M) E[S] over λ
        on both sides: no power of a large eigenvalue stands beside one of a small.
        """
        values, vectors, products, fourth = self._whitened
        noise = np.diag(self.noise_variance / self.task_variance / values)  # (r, r)
        square = products + (fourth - products + noise) / length  # (r, r) X
        A: Array = vectors @ np.linalg.solve(square, vectors.T / values[:, None])  # (d, d)
        return A


class _Whitened(NamedTuple):
    """Sums in the eigenvectors of E[S] that vary, over its eigenvalues on both sides."""

    values: Array  # (r,) λ
    vectors: Array  # (d, r) V
    products: Array  # (r, r)
    fourth: Array  # (r, r)


def _whitened(mean: Array, products: Array, fourth: Array) -> _Whitened:
    """Return the sums whitened, Ū lifted to what no law falls below: E[S²] ⪰ E[S]², whitened I.

    Ū of a few prompts does, and in prompts much longer than those recorded it is all that counts:
    as it is, the excess error there would be up to twice as large.
    """
    values, vectors = np.linalg.eigh(mean)  # (d,), (d, d)
    varies = values > SMALLEST_SHARE * values[-1]  # (d,)
    values, vectors = values[varies], vectors[:, varies]  # (r,), (d, r)
    unit = np.outer(values, values)  # (r, r)
    square, basis = np.linalg.eigh(_symmetric(vectors.T @ products @ vectors / unit))
    lifted = (basis * np.maximum(square, 1.0)) @ basis.T  # (r, r)
    return _Whitened(values, vectors, lifted, _symmetric(vectors.T @ fourth @ vectors / unit))


def _symmetric(matrix: Array) -> Array:
    half: Array = (matrix + matrix.T) / 2.0
    return half


def _check_variances(noise: float, task: float) -> None:
    if not (0.0 <= noise < np.inf and 0.0 < task < np.inf):
        sentence = f"expected 0 or more and above 0, got {noise:g} and {task:g}"
        raise ValueError(f"noise_variance, task_variance: {sentence}")


def check_moment(name: str, moment: Array) -> None:
    """Refuse what is no second moment (d, d): not finite, not symmetric, with a negative square."""
    _check_square(name, moment)
    if np.linalg.eigvalsh(moment)[0] < -ROUNDING * np.trace(moment):
        raise ValueError(f"{name}: expected no negative eigenvalue, got one")


def _check_square(name: str, matrix: Array) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name}: expected a square matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name}: expected finite numbers, got others")
    if not np.allclose(matrix, matrix.T, rtol=ROUNDING, atol=ROUNDING * np.abs(matrix).max()):
        raise ValueError(f"{name}: expected a symmetric matrix, got another one")
