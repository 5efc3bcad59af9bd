"""Seeded laws of prompts: what examples, tasks and queries look like, and how each may shift.

A task w ~ N(0, T) labels examples x of covariance Λ with y = ⟨w, x⟩ + noise; a query follows the
examples or a law of its own (arXiv 2306.09927v3, sections 3.2 and 4.2). A shift is another law:
`dataclasses.replace(law, covariance=4 * law.covariance)`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Drawn(NamedTuple):
    """B prompts with Q queries each; the target is ⟨w, x_q⟩ without noise."""

    x: Array  # (B, M, d)
    y: Array  # (B, M)
    queries: Array  # (B, Q, d)
    targets: Array  # (B, Q)


@dataclass(frozen=True, slots=True)
class Law:
    """A law of prompts with d features; what is None is as in the paper: T = I, mean 0, one law.

    `freedom` is that of Student's t, which keeps the covariance and must exceed 4.
    """

    covariance: Array  # (d, d) Λ
    noise_variance: float = 0.0  # σ²
    task_moment: Array | None = None  # (d, d) T = E ww'
    mean: Array | None = None  # (d,) μ of the examples
    query_moment: Array | None = None  # (d, d) E x_q x_q'
    freedom: float = math.inf

    def __post_init__(self) -> None:
        if not self.freedom > 4:
            raise ValueError(f"freedom: expected more than 4, got {self.freedom}")
        if not self.noise_variance >= 0:
            raise ValueError(f"noise_variance: expected 0 or more, got {self.noise_variance}")

    @property
    def d(self) -> int:
        """Number of features."""
        return len(self.covariance)

    @property
    def mu(self) -> Array:
        """Mean (d,) of the examples."""
        return np.zeros(self.d) if self.mean is None else self.mean

    @property
    def R(self) -> Array:
        """Second moment (d, d) of the examples."""
        moment: Array = self.covariance + np.outer(self.mu, self.mu)  # (d, d)
        return moment

    @property
    def T(self) -> Array:
        """Second moment (d, d) of the tasks."""
        return np.eye(self.d) if self.task_moment is None else self.task_moment

    @property
    def Q(self) -> Array:
        """Second moment (d, d) of the queries."""
        return self.R if self.query_moment is None else self.query_moment

    @property
    def excess(self) -> float:
        """Excess κ of the fourth moments over a Gaussian's; 2/(ν - 4) for Student's t."""
        return 2.0 / (self.freedom - 4.0)

    def draw(self, rng: np.random.Generator, prompts: int, M: int, queries: int = 1) -> Drawn:
        """Return prompts of M examples, each with a task of its own."""
        x = self._covariates(rng, prompts, M)  # (B, M, d)
        w = _gaussian(rng, (prompts, 1), self.T)  # (B, 1, d)
        noise = math.sqrt(self.noise_variance) * rng.standard_normal((prompts, M))  # (B, M)
        if self.query_moment is None:
            asked = self._covariates(rng, prompts, queries)  # (B, Q, d)
        else:
            asked = _gaussian(rng, (prompts, queries), self.query_moment)  # (B, Q, d)
        return Drawn(x, (w @ x.mT)[:, 0] + noise, asked, (w @ asked.mT)[:, 0])

    def _covariates(self, rng: np.random.Generator, prompts: int, count: int) -> Array:
        x = _gaussian(rng, (prompts, count), self.covariance)  # (B, count, d)
        if math.isfinite(self.freedom):
            spread = rng.chisquare(self.freedom, (prompts, count, 1))  # (B, count, 1)
            x = x * np.sqrt((self.freedom - 2.0) / spread)  # (B, count, d) covariance unchanged
        return x + self.mu


def spectrum(d: int, condition: float) -> Array:
    """Return d eigenvalues (d,) of trace d, evenly spaced in logarithm."""
    values = np.geomspace(1.0, condition, d) if d > 1 else np.ones(1)  # (d,)
    scaled: Array = values * (d / values.sum())
    return scaled


def rotated(rng: np.random.Generator, eigenvalues: Array) -> Array:
    """Return a covariance (d, d) of the eigenvalues (d,) in random directions."""
    d = len(eigenvalues)
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))  # (d, d)
    covariance: Array = (basis * eigenvalues) @ basis.T  # (d, d)
    return (covariance + covariance.T) / 2.0


def exponential_spectra(rng: np.random.Generator, prompts: int, d: int) -> Array:
    """Return random diagonals (B, d) of independent Exp(1), the covariances of Figure 1."""
    return rng.exponential(size=(prompts, d))


def draw_diagonal(rng: np.random.Generator, spectra: Array, M: int, queries: int = 1) -> Drawn:
    """Return noiseless prompts, the i-th with covariance diag(spectra[i]); spectra (B, d)."""
    prompts, d = spectra.shape
    deviation = np.sqrt(spectra)[:, None]  # (B, 1, d)
    x = rng.standard_normal((prompts, M, d)) * deviation  # (B, M, d)
    asked = rng.standard_normal((prompts, queries, d)) * deviation  # (B, Q, d)
    w = rng.standard_normal((prompts, 1, d))  # (B, 1, d)
    return Drawn(x, (w @ x.mT)[:, 0], asked, (w @ asked.mT)[:, 0])


def _gaussian(rng: np.random.Generator, shape: tuple[int, int], moment: Array) -> Array:
    """Return N(0, moment) vectors (*shape, d); a singular moment is welcome."""
    values, vectors = np.linalg.eigh(moment)  # (d,), (d, d)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # (d, d)
    drawn: Array = rng.standard_normal((*shape, len(moment))) @ root.T  # (*shape, d)
    return drawn
