"""The prior over tasks by expectation-maximisation (docs/model.md, section 6).

Random coefficients: the labels of prompt i are X_i w_i + ε with w_i ~ N(m, Ψ) and ε ~ N(0, σ²).
Everything is learnt from the sums XᵀX, Xᵀy, yᵀy and the count of each prompt (Dempster, Laird and
Rubin 1977; Laird and Ware 1982).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SMALLEST_NOISE = 1e-8  # of σ², working units: labels of a history vary by about 1
SMALLEST_SPREAD = 1e-3  # of Ψ at the start, so that every direction can grow


class TaskSums(NamedTuple):
    """Sums of P prompts in working coordinates."""

    gram: Array  # (P, p, p) XᵀX
    products: Array  # (P, p) Xᵀy
    label_power: Array  # (P,) yᵀy
    counts: Array  # (P,) rows

    def take(self, chosen: NDArray[np.bool_]) -> "TaskSums":
        """Return the prompts where chosen (P,) is true."""
        return TaskSums(*(part[chosen] for part in self))


class TaskPrior(NamedTuple):
    """What a new task is expected to be: w ~ N(m, Ψ), and the noise of its labels."""

    mean: Array  # (p,) m
    covariance: Array  # (p, p) Ψ
    noise_variance: float  # σ²

    @property
    def precision(self) -> Array:
        """Ψ⁻¹ (p, p)."""
        return inverse(self.covariance)


def task_sums(rows: Array, labels: Array, weight: Array) -> TaskSums:
    """Return the sums of rows (P, n, p) and labels (P, n); rows of weight (P, n) 0 do not count."""
    kept = rows * weight[..., None]  # (P, n, p)
    products = (labels[:, None] @ kept)[:, 0]  # (P, p)
    power = (labels * labels * weight).sum(axis=1)  # (P,)
    return TaskSums(kept.mT @ rows, products, power, weight.sum(axis=1))


def learn_prior(sums: TaskSums, rounds: int = 40) -> TaskPrior:
    """Return the prior after some rounds from the pooled fit."""
    prior = _start(sums)
    for _ in range(rounds):
        prior = _improved(sums, prior)
    return prior


def inverse(matrix: Array) -> Array:
    """Return the inverse of a symmetric matrix (p, p), symmetric to the last bit."""
    inverted = np.linalg.inv(matrix)  # (p, p)
    return np.asarray(0.5 * (inverted + inverted.T), np.float64)


def _start(sums: TaskSums) -> TaskPrior:
    """Return the pooled least squares, with a spread of tasks as large as its residual."""
    gram, products = sums.gram.sum(axis=0), sums.products.sum(axis=0)  # (p, p), (p,)
    p = len(products)
    eye = np.eye(p)  # (p, p)
    lift = 1e-6 * max(float(np.trace(gram)), 1e-12) / p
    m = np.linalg.solve(gram + lift * eye, products)  # (p,)
    left = float(sums.label_power.sum() - 2.0 * products @ m + m @ gram @ m)
    variance = max(left / float(sums.counts.sum()), SMALLEST_NOISE)
    return TaskPrior(m, max(variance, SMALLEST_SPREAD) * eye, 0.7 * variance)


def _improved(sums: TaskSums, prior: TaskPrior) -> TaskPrior:
    """Return the prior of one round: what every task probably is, then what they share."""
    gram, products, power, counts = sums
    P, p = products.shape
    noise, eye = prior.noise_variance, np.eye(p)  # (p, p)
    precision = prior.precision  # (p, p)
    V = np.linalg.inv(gram / noise + precision)  # (P, p, p)
    w = (V @ (products / noise + precision @ prior.mean)[..., None])[..., 0]  # (P, p)
    m = w.mean(axis=0)  # (p,)
    D = w - m  # (P, p)
    floor = 2e-4 if 3 * p < P else 1e-2  # a spread that so few prompts cannot deny
    Psi = (D.T @ D + V.sum(axis=0) + floor * eye) / (P + p + 2)  # (p, p)
    fitted = (gram @ w[..., None])[..., 0]  # (P, p)
    explained = (w * (2.0 * products - fitted)).sum()
    unsure = (gram * V).sum()  # Σ tr(G V), both symmetric
    variance = float(power.sum() - explained + unsure) / float(counts.sum())
    return TaskPrior(m, 0.5 * (Psi + Psi.T), max(variance, SMALLEST_NOISE))
