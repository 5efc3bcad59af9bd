"""The paper's layer with the best weights for a window of prompts, from sums (docs/model.md, 4.3).

A* = E[S](E[S²] + σ²/(τ²M) E[S])⁻¹ for every length M; σ² and τ² follow from two means that are
linear in them whatever the law of the covariates: the power of the labels and what a weak ridge
leaves of it. Below `PROMPTS_MIN` prompts, fourth moments say less than the formula of normal rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.paper import PaperModel
from model.window import Window

Array = NDArray[np.float64]

PROMPTS_MIN = 20
SMALLEST_SIGNAL = 0.01  # of the labels' power, from where τ² can be told from nothing


def recalibrated_paper(served: PaperModel, windows: Sequence[Window]) -> PaperModel:
    """Return the layer for the prompts of the windows; ValueError where their sums give none."""
    windows = [one for one in windows if one.length - served.centred > 1.0]
    if not windows:
        raise ValueError("prompts: expected some of several examples with labels, got none")
    shares = np.array([one.prompt_count for one in windows])  # (k,)
    total, shares = float(shares.sum()), shares / shares.sum()
    mean, products, fourth = (
        np.tensordot(shares, np.stack(part), axes=1)  # (d, d)
        for part in zip(*(_moments(one, served.centred) for one in windows), strict=True)
    )
    noise, task = _variances(served, windows, shares)
    if total < PROMPTS_MIN:
        return PaperModel(mean, noise, task, served.centred)
    return PaperModel.from_sums(mean, products, fourth, noise, task, served.centred)


def _moments(window: Window, is_centred: bool) -> tuple[Array, Array, Array]:
    """Return E[S], U and F (d, d) of one length, S = UᵀU over the number of terms."""
    terms = window.length - is_centred
    unbiased = window.length / terms
    squares = unbiased**2 * window.squares  # (d, d) E[S²]
    fourth = unbiased**2 * window.spread  # (d, d)
    products = (terms * squares - fourth) / (terms - 1.0)  # (d, d)
    return unbiased * window.moments, products, fourth


def _left(window: Window) -> float:
    """Return tr(W⁻ᵀ(Q - QQ)W⁻¹): what of τ² the residual holds."""
    back = np.linalg.inv(window.basis)  # (p, p)
    return float(np.sum((window.shrinkage - window.shrinkage_squares) * (back @ back.T)))


def _variances(served: PaperModel, windows: Sequence[Window], shares: Array) -> tuple[float, float]:
    """Return σ² and τ² of the windows' labels; the served ones where labels show no signal."""
    left = [_left(one) for one in windows]
    whole = [np.trace(one.moments) for one in windows]
    free = [1.0 - served.centred / one.length for one in windows]
    rows = np.array([[*whole], [*free], [*left], [one.freedom for one in windows]])  # (4, k)
    a, b, c, d = (rows @ shares).tolist()
    power = float(shares @ np.array([one.label_power for one in windows]))
    residual = float(shares @ np.array([one.residual_power for one in windows]))
    determinant = a * d - b * c
    known = served.parameters.noise_variance, served.parameters.task_variance
    if not determinant > 0.0:
        return known
    task, noise = (power * d - residual * b) / determinant, (residual * a - power * c) / determinant
    if not task * a > SMALLEST_SIGNAL * power:
        return known
    return max(noise, 0.0), task
