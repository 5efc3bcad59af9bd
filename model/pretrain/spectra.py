"""Training prompts of the `foundation` layers, reduced to spectra (docs/model.md, section 2).

The layers are polynomials in the Gram matrix, so a prompt is its d eigenvalues and nothing else:
tasks w ~ N(0, I) and label noise N(0, σ²) are not drawn but averaged exactly, and so is the query,
which follows the law of its context. Random rotations are left out because they change no number
here: examples and mean shifts are isotropic before the covariance is applied. NumPy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEATURES = 10
CONDITION = (1.0, 100.0)  # largest over smallest variance of a feature
SCALE = (0.25, 4.0)  # mean variance of a feature
NOISE = (0.1, 10.0)  # σ²; equal to the λ of Bayes ridge, as tasks have variance 1
MEAN_SHIFT = 3.0  # expected length of the mean of a shifted prompt
FREEDOM = 6.0  # degrees of freedom of the heavy-tailed prompts

EXAMPLE_COUNTS = (12, 20, 40, 100)
KINDS = ("plain", "shifted", "heavy")
PROMPTS = 700  # of every example count and kind


@dataclass(frozen=True, slots=True)
class Spectra:
    """n prompts in the eigenbasis of their Gram matrix G = XᵀX."""

    gram: Array  # (n, d) eigenvalues g of G
    query_power: Array  # (n, d) E(uᵀx_q)² of a query along each eigenvector u
    noise: Array  # (n, 1) σ² = λ

    @property
    def lifted(self) -> Array:
        """Eigenvalues g + λ (n, d) of what the layers invert."""
        return self.gram + self.noise

    @property
    def ridge_risk(self) -> Array:
        """Risk (n,) of Bayes ridge, which no predictor can beat on these prompts."""
        return risk(self.gram, self.query_power, self.noise, 1.0 / self.lifted)


def risk(gram: Array, query_power: Array, noise: Array, inverse: Array) -> Array:
    """Return E(ŷ - wᵀx_q)² (n,) over tasks, noise and queries, given the examples.

    inverse (n, d) are the eigenvalues of P in ŷ = x_qᵀPXᵀy. Arrays and tensors alike.
    """
    missed = (1.0 - gram * inverse) ** 2  # (n, d) of the task
    total: Array = (query_power * (missed + noise * gram * inverse**2)).sum(-1)  # (n,)
    return total


def training_spectra(seed: int, prompts: int = PROMPTS) -> Spectra:
    """Return the mixture the layers learn from: 12 prompts (count × kind) times `prompts`."""
    rng = np.random.default_rng(seed)
    parts = [draw(rng, prompts, M, kind) for M in EXAMPLE_COUNTS for kind in KINDS]
    return Spectra(
        np.concatenate([part.gram for part in parts]),
        np.concatenate([part.query_power for part in parts]),
        np.concatenate([part.noise for part in parts]),
    )


def draw(rng: np.random.Generator, prompts: int, M: int, kind: str) -> Spectra:
    """Return prompts of M examples of one kind: `plain`, `shifted` or `heavy`."""
    variances = covariance_spectra(rng, prompts)  # (n, d)
    noise = log_uniform(rng, NOISE, (prompts, 1))  # (n, 1)
    x = rng.standard_normal((prompts, M, FEATURES))  # (n, M, d)
    mean = np.zeros((prompts, FEATURES))  # (n, d)
    if kind == "heavy":
        x *= np.sqrt((FREEDOM - 2.0) / rng.chisquare(FREEDOM, (prompts, M, 1)))  # variance 1 again
    if kind == "shifted":
        mean = MEAN_SHIFT * rng.standard_normal((prompts, FEATURES)) / np.sqrt(FEATURES)
    x = x * np.sqrt(variances)[:, None] + mean[:, None]  # (n, M, d)
    second_moment = variances[..., None] * np.eye(FEATURES) + mean[..., None] * mean[:, None]
    return spectra_of(x, second_moment, noise)


def spectra_of(x: Array, second_moment: Array, noise: Array) -> Spectra:
    """Return the spectra of examples x (n, M, d) whose queries have second moment (n, d, d)."""
    values, vectors = np.linalg.eigh(x.mT @ x)  # (n, d), (n, d, d)
    power = (vectors * (second_moment @ vectors)).sum(axis=1)  # (n, d)
    return Spectra(np.maximum(values, 0.0), power, noise)


def covariance_spectra(rng: np.random.Generator, prompts: int) -> Array:
    """Return feature variances (n, d), evenly spaced in logarithm between the drawn extremes."""
    condition = log_uniform(rng, CONDITION, (prompts, 1))  # (n, 1)
    variances = condition ** -np.linspace(0.0, 1.0, FEATURES)  # (n, d)
    scale = log_uniform(rng, SCALE, (prompts, 1))  # (n, 1)
    scaled: Array = variances * scale / variances.mean(axis=1, keepdims=True)
    return scaled


def log_uniform(
    rng: np.random.Generator, bounds: tuple[float, float], shape: tuple[int, ...]
) -> Array:
    """Return numbers whose logarithm is uniform between the bounds."""
    low, high = np.log(bounds)
    return np.exp(rng.uniform(low, high, shape))
