"""The training dynamics of arXiv 2306.09927v3, eq. (5.4), in small steps.

dU/dt = -u² E[ΓΛUΛ] + u E[Λ²],  du/dt = -tr(u E[ΓΛUΛ] Uᵀ - E[Λ²] Uᵀ),  U = W11, u = w22. The mean is
over the covariances of the tasks; with one, these are the equations of Theorem 4.1, and with many
those of Theorem 4.5. `model/pretrain/flow.py` descends the loss itself, with every weight free.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.theory import Factors, gamma, limit

Array = NDArray[np.float64]

CLOSE = 1e-6  # ‖uU - A*‖_F ÷ ‖A*‖_F where a descent ends
MOST_STEPS = 20_000
FAR = 1e6  # the same where it has left for good


@dataclass(frozen=True, slots=True)
class Descent:
    """Where a descent went: ‖uU - A*‖_F ÷ ‖A*‖_F before every step and at the end."""

    factors: Factors
    distances: Array  # (steps + 1,)

    @property
    def distance(self) -> float:
        """How far the product is from the closed form, as a share of its norm."""
        return float(self.distances[-1])


def start(rng: np.random.Generator, d: int, scale: float) -> Factors:
    """Return Assumption 3.3: w22 = s and W11 = sΘΘᵀ with ‖ΘΘᵀ‖_F = 1, all other weights 0."""
    theta = rng.standard_normal((d, d))  # (d, d)
    square = theta @ theta.T  # (d, d)
    return Factors(scale, scale * square / np.linalg.norm(square))


def step_size(covariances: Array, N: int) -> float:
    """Return 1 over a bound of the curvature at the limit; covariances (n, d, d).

    For one Λ it is 1/(‖Γ⁻¹‖_F ‖Γ‖ ‖Λ‖² + tr(Λ²Γ⁻¹)/‖Γ⁻¹‖_F).
    """
    end = limit(covariances, N)
    largest = np.linalg.norm(covariances, 2, axis=(1, 2))  # (n,) ‖Λ‖
    lifted = np.linalg.norm(gamma(covariances, N), 2, axis=(1, 2))  # (n,) ‖Γ‖
    square = (covariances @ covariances).mean(axis=0)  # (d, d)
    curvature = end.u**2 * (lifted * largest**2).mean() + np.vdot(square, end.U) / end.u
    return float(1.0 / curvature)


def loss(at: Factors, covariances: Array, N: int) -> float:
    """Return the loss up to its constant, eq. (5.5): tr(½u² E[ΓΛUΛ] Uᵀ - u E[Λ²] Uᵀ)."""
    pulled = gamma(covariances, N) @ covariances @ at.U @ covariances  # (n, d, d)
    square = covariances @ covariances  # (n, d, d)
    return float(np.vdot(at.u**2 / 2 * pulled.mean(axis=0) - at.u * square.mean(axis=0), at.U))


def descend(
    begin: Factors,
    covariances: Array,
    N: int,
    rate: float | None = None,
    most_steps: int = MOST_STEPS,
) -> Descent:
    """Follow the flow from `begin` until it is close, or far, or out of steps.

    covariances (n, d, d) are the tasks'; rate is the length of a step, by default `step_size`.
    """
    rate = step_size(covariances, N) if rate is None else rate
    end = limit(covariances, N)
    target = (end.u * end.U).ravel()  # (d²,)
    size = np.linalg.norm(target)
    pull = _pull(covariances, N)  # (d², d²)
    square = (covariances @ covariances).mean(axis=0).ravel()  # (d²,) E Λ²

    u, U = begin.u, begin.U.ravel()  # (d²,)
    distances = [float(np.linalg.norm(u * U - target) / size)]
    while len(distances) <= most_steps and CLOSE <= distances[-1] <= FAR:
        slope = u * (pull @ U) - square  # (d²,) gradient of the product
        u, U = u - rate * float(slope @ U), U - rate * u * slope  # both from the old weights
        distances.append(float(np.linalg.norm(u * U - target) / size))
    return Descent(Factors(u, U.reshape(begin.U.shape)), np.array(distances))


def first_below(distances: Array, bound: float) -> float:
    """Return the first step at which the distance is below a bound; infinite if none is."""
    reached = np.flatnonzero(distances < bound)
    return float(reached[0]) if len(reached) else math.inf


def _pull(covariances: Array, N: int) -> Array:
    """Return the matrix (d², d²) of U ↦ E[ΓΛUΛ] on the rows of U, laid end to end."""
    d = covariances.shape[-1]
    left = gamma(covariances, N) @ covariances  # (n, d, d)
    pairs = np.einsum("nij,nkl->ikjl", left, covariances, optimize=True) / len(covariances)
    matrix: Array = pairs.reshape(d * d, d * d)  # (d², d²)
    return matrix
