"""The best weights A of one layer for prompts of M examples: of a normal law, or of recorded sums.

A Gaussian law Λ has A⁻¹ = Γ = (1+1/M)Λ + (tr Λ + σ²/τ²)/M I (arXiv 2306.09927v3, Theorem 4.1, with
noise). Whatever the law, A = E[S](E[S²] + σ²/(τ²M) E[S])⁻¹ with S = UᵀU/M, where three sums make
E[S²] for every length: E[S²_M] = (1-1/M) Ū + (1/M) F̄ (docs/model.md). That A is not symmetric.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONDITION_MAX = 1e10  # above, rounding decides the weights
ROUNDING = 1e-9  # of the largest entry


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
    _square: Array = field(init=False, repr=False, compare=False)  # (d, d) E[S²] of long prompts
    _ridge: float = field(init=False, repr=False, compare=False)  # where features repeat others

    def __post_init__(self) -> None:
        _check_square("products", self.products)
        for name in ("mean", "fourth"):
            check_moment(name, getattr(self, name))
        if not len(self.mean) == len(self.products) == len(self.fourth):
            raise ValueError("mean, products, fourth: expected one shape, got several")
        _check_variances(self.noise_variance, self.task_variance)
        object.__setattr__(self, "_square", _at_least(self.products, self.mean @ self.mean))
        if not self.mean.any():
            raise ValueError("mean: expected features that vary, got none")
        ends = [_equilibrated(self._expected_square(length))[0] for length in (1, np.inf)]
        worst = max(float(np.linalg.cond(end)) for end in ends)  # other lengths lie between
        object.__setattr__(self, "_ridge", 0.0 if worst < CONDITION_MAX else 1.0 / CONDITION_MAX)

    @property
    def feature_count(self) -> int:
        """d."""
        return len(self.mean)

    def weights(self, length: int) -> Array:
        """Return A_M (d, d), the optimal weights for prompts of `length` examples."""
        scaled, unit = _equilibrated(self._expected_square(length))  # (d, d), (d,)
        np.fill_diagonal(scaled, 1.0 + self._ridge)
        solved = np.linalg.solve(scaled, self.mean / unit[:, None])  # (d, d)
        A: Array = (solved / unit[:, None]).T  # (d, d)
        return A

    def _expected_square(self, length: float) -> Array:
        """Return E[S²_M] + σ²/(τ²M) E[S] (d, d)."""
        noise = self.noise_variance / self.task_variance * self.mean  # (d, d)
        return self._square + (self.fourth - self._square + noise) / length


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


def _at_least(square: Array, least: Array) -> Array:
    """Return a sum of squares (d, d) lifted to what it cannot be less than, as matrices compare.

    Of any law E[S²] ⪰ E[S]², but Ū of a few prompts falls below: in prompts much longer than those
    recorded, where it is all that counts, its weights would err up to twice as much.
    """
    excess = square - least  # (d, d)
    values, vectors = np.linalg.eigh((excess + excess.T) / 2.0)  # (d,), (d, d)
    lifted: Array = least + (vectors * np.maximum(values, 0.0)) @ vectors.T  # (d, d)
    return lifted


def _equilibrated(square: Array) -> tuple[Array, Array]:
    """Return a matrix (d, d) of diagonal 1 and its units (d,): S_ij = unit_i scaled_ij unit_j.

    Where a feature does not vary, its row is that of the identity.
    """
    diagonal = np.diag(square)  # (d,)
    varies = diagonal > 0.0  # (d,)
    unit = np.sqrt(np.where(varies, diagonal, 1.0))  # (d,)
    return square / (unit[:, None] * unit) + np.diag(np.where(varies, 0.0, 1.0)), unit
