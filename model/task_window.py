"""The prior over tasks that a window of prompts speaks for, from sums: maximum a posteriori.

Of lengths b = 1.. with n_b prompts each, in one unit of the coefficients w,

    a_b ~ N(D_b(w - o_b), s_b σ² N_b),  w ~ N(μ, Ψ),  Ψ⁻¹ held by ν pseudo-prompts of the old prior

where only mean a, mean aaᵀ and mean residual of each length are known. Expectation-maximisation
over the tasks, with μ by generalised least squares within each round (derived; equal to the
maximum by search in tests/model/test_recalibrate.py).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.em import TaskPrior

Array = NDArray[np.float64]

ROUNDS, SETTLED = 300, 1e-8  # at most; or until no entry moves by such a share of the largest
MEAN_PROMPTS = 1.0  # pseudo-prompts that hold the old mean: they decide where nothing else does
NOISE_PROMPTS = 8.0  # the same of σ²
LEAST_NOISE_SHARE = (
    0.1  # of the residual: where rows hardly outnumber coordinates, tasks may claim all
)


class Measured(NamedTuple):
    """Prompts of one length, as measurements of their tasks w (p,)."""

    prompt_count: float  # n
    design: Array  # (p, p) D
    origin: Array  # (p,) o, the old mean
    noise: Array  # (p, p) N, times s σ²
    noise_unit: float  # s: σ² of this length's labels over σ²
    mean: Array  # (p,) mean a
    squares: Array  # (p, p) mean aaᵀ
    residual: float  # mean squared residual
    freedom: float  # share of s σ² in it
    left: Array  # (p, p) B: tr(B E[(w-o)(w-o)ᵀ]) is the rest of it


def learn_tasks(measured: Sequence[Measured], old: TaskPrior) -> TaskPrior:
    """Return the prior of the window, held to the old one where the window tells little."""
    prior = old
    for _ in range(ROUNDS):
        before, prior = prior, _improved(measured, prior, old)
        moved = np.abs(prior.covariance - before.covariance).max()
        if moved <= SETTLED * np.abs(prior.covariance).max():
            break
    return prior


def _improved(measured: Sequence[Measured], prior: TaskPrior, old: TaskPrior) -> TaskPrior:
    """Return the prior of one round: mean, then spread, then noise."""
    p, total = len(prior.mean), sum(one.prompt_count for one in measured)
    mean = _mean(measured, prior, old)  # (p,)
    held = p + 2.0  # pseudo-prompts of the old spread
    Psi = held * old.covariance  # (p, p)
    for one in measured:
        Psi = Psi + one.prompt_count * _spread(one, mean, prior)
    Psi = Psi / (total + held)
    Psi = 0.5 * (Psi + Psi.T)
    noise = _noise(measured, mean, Psi)
    kept = NOISE_PROMPTS * old.noise_variance
    return TaskPrior(mean, Psi, (total * noise + kept) / (total + NOISE_PROMPTS))


def _mean(measured: Sequence[Measured], prior: TaskPrior, old: TaskPrior) -> Array:
    """Return the generalised least squares μ (p,)."""
    precision = MEAN_PROMPTS * old.precision  # (p, p)
    pull = precision @ old.mean  # (p,)
    for one in measured:
        weighed = one.prompt_count * np.linalg.solve(_covariance(one, prior), one.design).T
        precision = precision + weighed @ one.design  # (p, p)
        pull = pull + weighed @ (one.mean + one.design @ one.origin)  # (p,)
    return np.asarray(np.linalg.solve(precision, pull))  # (p,)


def _covariance(one: Measured, prior: TaskPrior) -> Array:
    """Return Cov(a) (p, p)."""
    signal = one.design @ prior.covariance @ one.design.T  # (p, p)
    covariance: Array = signal + one.noise_unit * prior.noise_variance * one.noise
    return covariance


def _spread(one: Measured, mean: Array, prior: TaskPrior) -> Array:
    """Return E (w - μ)(w - μ)ᵀ (p, p) given what was measured."""
    expected = one.design @ (mean - one.origin)  # (p,)
    crossed = np.outer(one.mean, expected)  # (p, p)
    about = one.squares - crossed - crossed.T + np.outer(expected, expected)  # (p, p)
    seen = prior.covariance @ one.design.T  # (p, p)
    gain = np.linalg.solve(_covariance(one, prior), seen.T).T  # (p, p)
    spread: Array = gain @ about @ gain.T + prior.covariance - gain @ seen.T  # (p, p)
    return spread


def _noise(measured: Sequence[Measured], mean: Array, covariance: Array) -> float:
    """Return σ² from the residuals less what tasks put into them."""
    found = total = 0.0
    for one in measured:
        off = mean - one.origin  # (p,)
        tasks = float(np.sum(one.left * (covariance + np.outer(off, off))))
        left = max(one.residual - tasks, LEAST_NOISE_SHARE * one.residual)
        found += one.prompt_count * left / one.noise_unit
        total += one.prompt_count * one.freedom
    return found / total
