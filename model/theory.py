"""Closed forms of arXiv 2306.09927v3: where training ends, and how large the error is.

Every A is that of ŷ = x_qᵀ A g, g = (1/M) Σ y_i x_i, with A = w22 W11ᵀ (docs/model.md, section 1).
Where the formulas go beyond the paper (noise, a prior T, a mean) they are derived there.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.tasks import Law

Array = NDArray[np.float64]


class Factors(NamedTuple):
    """The two weights that move: the layer answers with their product uU."""

    u: float  # w22
    U: Array  # (d, d) W11


def gamma(covariance: Array, N: int) -> Array:
    """Return Γ = (1 + 1/N)Λ + (tr Λ/N) I (..., d, d) of covariances (..., d, d), Theorem 4.1."""
    trace = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None]  # (..., 1, 1)
    lifted: Array = (1 + 1 / N) * covariance + trace / N * np.eye(covariance.shape[-1])
    return lifted


def limit(covariances: Array, N: int) -> Factors:
    """Return where gradient flow ends on tasks over covariances (n, d, d), Theorems 4.1 and 4.5.

    One covariance is the fixed law of Theorem 4.1, where the product is Γ⁻¹. Many are a sample of
    random diagonal ones: the product is A* = (E ΓΛ²)⁻¹ E Λ², and the factors have equal norms.
    """
    square = covariances @ covariances  # (n, d, d) Λ²
    lifted = (gamma(covariances, N) @ square).mean(axis=0)  # (d, d) E ΓΛ²
    product = np.linalg.solve(lifted, square.mean(axis=0))  # (d, d)
    size = math.sqrt(np.linalg.norm(product))
    return Factors(size, product / size)


def scale_bound(covariance: Array, N: int) -> float:
    """Return the largest initial scale s of Theorem 4.1: s² ‖Γ‖ √d < 2."""
    d = len(covariance)
    return math.sqrt(2.0 / (np.linalg.norm(gamma(covariance, N), 2) * math.sqrt(d)))


def random_scale_bound(covariances: Array, N: int, theta: Array) -> float:
    """Return the largest initial scale of Theorem 4.5 from ΘΘᵀ = `theta` (d, d).

    s² < 2 ‖E Λ Θ‖²_F / (√d E[‖Γ‖ ‖Λ‖²_F]); covariances (n, d, d).
    """
    centre = covariances.mean(axis=0)  # (d, d)
    sizes = np.linalg.norm(gamma(covariances, N), 2, axis=(1, 2))  # (n,)
    power = (covariances**2).sum(axis=(1, 2))  # (n,) ‖Λ‖²_F
    held = np.trace(centre @ theta @ centre)  # ‖E Λ Θ‖²_F
    return math.sqrt(2.0 * held / (math.sqrt(len(centre)) * (sizes * power).mean()))


def optimum(law: Law, N: int) -> Array:
    """Return A* (d, d), the layer of least risk for prompts of N Gaussian examples.

    A* = T R G⁻¹, G = E ggᵀ = (1+1/N) RTR + (tr(TR) + σ²)/N R - (2/N)(μᵀTμ) μμᵀ. A singular T is
    welcome; the covariance must be positive definite.
    """
    R, T, mu = law.R, law.T, law.mu
    cross = T @ R  # (d, d) E wgᵀ
    G = (1 + 1 / N) * R @ cross + (np.trace(cross) + law.noise_variance) / N * R  # (d, d)
    G = G - 2 / N * (mu @ T @ mu) * np.outer(mu, mu)  # (d, d)
    A: Array = np.linalg.solve(G.T, cross.T).T  # (d, d)
    return A


def risk(A: Array, law: Law, M: int) -> float:
    """Return E(ŷ - ⟨w, x_q⟩)² of any A (d, d) on prompts of M examples; a noisy target adds σ².

    Exact for Gaussian examples of any mean and, with mean 0, for Student's t; the query is
    independent of the examples and counts by its second moment alone.
    """
    if law.excess and law.mu.any():
        raise ValueError("mean: expected 0 where freedom is finite, got another one")
    R, Q, T, mu = law.R, law.Q, law.T, law.mu
    W = A.T @ Q @ A  # (d, d)
    power = np.trace(W @ R)
    linear = Q @ A @ R  # (d, d)
    square = (1 - 1 / M) * R @ W @ R  # (d, d)
    square += (1 + law.excess) / M * (2 * R @ W @ R + power * R)
    square -= 2 / M * (mu @ W @ mu) * np.outer(mu, mu)
    K = Q - linear - linear.T + square  # (d, d)
    return float(np.trace(T @ K) + law.noise_variance * power / M)


def relative_risk(A: Array, law: Law, M: int) -> float:
    """Return the risk over that of answering 0."""
    return risk(A, law, M) / float(np.trace(law.T @ law.Q))


def trained_error(
    covariance: Array, N: int, M: int, best: float, a: Array, moment_covariance: Array
) -> float:
    """Return E(ŷ - y_q)² of the layer trained at length N (Theorem 4.2), for any law of labels.

    x ~ N(0, Λ); `best` is the error of the best linear predictor a = Λ⁻¹ E[xy] (d,), and
    `moment_covariance` (d, d) is Cov(xy). It does not vanish as M grows: N stays in the last term.
    """
    B = np.linalg.matrix_power(np.linalg.inv(gamma(covariance, N)), 2)  # (d, d) Γ⁻²
    trace = float(np.trace(covariance))
    weight = covariance @ covariance + 2 * trace * covariance + trace**2 * np.eye(len(a))  # (d, d)
    bias = a @ B @ weight @ covariance @ a / N**2
    return float(best + np.trace(moment_covariance @ B @ covariance) / M + bias)


def product_covariance(covariance: Array, a: Array, noise_variance: float) -> Array:
    """Return Cov(xy) (d, d) of y = ⟨a, x⟩ + noise and Gaussian x: (aᵀΛa + σ²)Λ + Λaaᵀ Λ."""
    reached = covariance @ a  # (d,)
    total: Array = (a @ reached + noise_variance) * covariance + np.outer(reached, reached)
    return total


def exponential_optimum(d: int, N: float) -> float:
    """Return a of A* = aI for random covariances of independent Exp(1) (Theorem 4.5).

    >>> round(exponential_optimum(20, 40), 5)
    0.27586
    """
    return 2.0 / (6.0 * (1 + 1 / N) + (6.0 + 2.0 * (d - 1)) / N)


def isotropic_error(a: float, d: int, M: float, scale: float | None) -> float:
    """Return error/d of A = aI on noiseless prompts, the lines of Figure 1.

    Covariances are scale × diag of independent Exp(1), or the identity where scale is None.
    """
    if scale is None:
        first, second, third, spread = 1.0, 1.0, 1.0, float(d)
    else:
        first, second, third = scale, 2 * scale**2, 6 * scale**3
        spread = third + (d - 1) * first * second  # E λ² tr Λ
    return first - 2 * a * second + a**2 * ((1 + 1 / M) * third + spread / M)


def least_squares_error(d: int, M: int) -> float:
    """Return error/d of the shortest least squares solution on Λ = I, without noise."""
    return max(0.0, 1.0 - M / d)
