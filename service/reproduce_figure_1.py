"""The panel of Figure 1: the lines of zero, the linear layer and least squares."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.paper import predict
from model.tasks import Drawn, draw_diagonal, exponential_spectra
from model.theory import exponential_optimum, isotropic_error, least_squares_error
from service.reproduce_report import (
    Chart,
    Check,
    Effort,
    Measured,
    Panel,
    Series,
    dots,
    exact,
    mean_of,
    ratio_of,
)
from service.reproduce_risk import QUERIES, chunks

Array = NDArray[np.float64]

LENGTHS = (10, 20, 30, 40, 70, 100)
PROMPTS = 24_000


def figure_1(effort: Effort) -> Panel:
    """Redraw the lines of Figure 1 that are not GPT-2's, and what random training is worth."""
    d, N = 20, 40
    a = exponential_optimum(d, N)
    fixed = 1.0 / (1 + 1 / N + d / N)  # of Γ⁻¹ where Λ = I
    first, checks = _lines("Trained and tested on Λ = I", fixed, None, effort)
    second, more = _lines("Trained and tested on random Λ", a, 1.0, effort)
    third, rest = _other_laws(a, effort)
    text = (
        "Squared error ÷ d against the number of examples, d = 20, training length N = 40, no "
        "noise; random covariances are diagonal with independent Exp(1). Dots are simulations. The "
        "six GPT-2 models of the figure are out of scope. Random training buys no invariance: on "
        "covariances 4 and 9 times as large the layer is far worse than answering 0."
    )
    scalar = [_scalar(a, d, N, effort)]
    found = (*scalar, *checks, *more, *rest)
    return Panel("figure-1", "The lines of Figure 1", text, (first, second, third), found)


class _Errors(NamedTuple):
    """Squared errors ÷ d, a mean over each prompt's queries."""

    layer: Array  # (prompts,)
    fitted: Array  # (prompts,) least squares


def _errors(a: float, scale: float | None, M: int, effort: Effort) -> _Errors:
    """Return the errors of the layer aI and of least squares on prompts of one length."""
    d, rng = 20, np.random.default_rng((7, M, round(scale or 0)))
    layer, fitted = [], []
    for count in chunks(effort.draws(PROMPTS), M, d):
        one = np.ones((count, d)) if scale is None else exponential_spectra(rng, count, d)  # (B, d)
        drawn = draw_diagonal(rng, (scale or 1.0) * one, M, QUERIES)
        answers = predict(a * np.eye(d), drawn.x, drawn.y, drawn.queries)  # (B, Q)
        layer.append(((answers - drawn.targets) ** 2).mean(axis=1) / d)  # (B,)
        fitted.append(((least_squares(drawn) - drawn.targets) ** 2).mean(axis=1) / d)  # (B,)
    return _Errors(np.concatenate(layer), np.concatenate(fitted))


def least_squares(drawn: Drawn) -> Array:
    """Return the answers (B, Q) of the shortest least squares solution without intercept."""
    x, y = drawn.x, drawn.y[..., None]  # (B, M, d), (B, M, 1)
    if x.shape[1] < x.shape[2]:
        w = x.mT @ np.linalg.solve(x @ x.mT, y)  # (B, d, 1)
    else:
        w = np.linalg.solve(x.mT @ x, x.mT @ y)  # (B, d, 1)
    answers: Array = (drawn.queries @ w)[..., 0]  # (B, Q)
    return answers


def _lines(title: str, a: float, scale: float | None, effort: Effort) -> tuple[Chart, list[Check]]:
    lengths = LENGTHS
    theory = [isotropic_error(a, 20, M, scale) for M in lengths]
    errors = [_errors(a, scale, M, effort) for M in lengths]
    layer = [mean_of(one.layer) for one in errors]
    fitted = [mean_of(one.fitted) for one in errors]
    zero = Series(
        "answer 0", lengths, [1.0 if scale is None else scale] * len(lengths), 2, dashed=True
    )
    series = [
        zero,
        Series("linear self-attention", lengths, theory, 0),
        dots("", lengths, layer, 0),
    ]
    known = [M for M in lengths if scale is None or M >= 20]
    best = [least_squares_error(20, M) for M in known]
    series += [Series("least squares", known, best, 1), dots("", lengths, fitted, 1)]
    name = title.rpartition(" on ")[2]
    found = zip(lengths, layer, theory, strict=True)
    checks = [one.against(f"{name}: layer at M = {M}", value) for M, one, value in found]
    checks += [_fit(name, M, fitted[lengths.index(M)]) for M in known if M != 20]
    labels = "examples in the prompt, M", "squared error ÷ d"
    return Chart(title, *labels, tuple(series)), checks


def _fit(name: str, M: int, found: Measured) -> Check:
    claim = f"{name}: least squares at M = {M}"
    if M > 20:
        return exact(claim, 0.0, found.value, 1e-9)
    return found.against(claim, least_squares_error(20, M))


def _other_laws(a: float, effort: Effort) -> tuple[Chart, list[Check]]:
    """Return the layer of random training on laws it was not trained on."""
    checks, series, lengths = [], [], (20, 40, 100)
    laws: dict[str, float | None] = {"Λ = I": None, "4 × Exp(1)": 4.0, "9 × Exp(1)": 9.0}
    for hue, (name, scale) in enumerate(laws.items()):
        theory = [isotropic_error(a, 20, M, scale) for M in lengths]
        found = [mean_of(_errors(a, scale, M, effort).layer) for M in lengths]
        series += [Series(name, lengths, theory, hue), dots("", lengths, found, hue)]
        zero = 1.0 if scale is None else scale
        series.append(Series("answer 0", lengths, [zero] * 3, hue, dashed=True))
        triples = zip(lengths, found, theory, strict=True)
        checks += [one.against(f"tested on {name}: layer at M = {M}", v) for M, one, v in triples]
    labels = "examples in the prompt, M", "squared error ÷ d"
    return Chart(
        "Trained on random Λ, tested elsewhere", *labels, tuple(series), y_log=True
    ), checks


def _scalar(a: float, d: int, N: int, effort: Effort) -> Check:
    """Return the check that the best scalar on simulated prompts is that of Theorem 4.5."""
    rng = np.random.default_rng(11)
    above, below = [], []
    for count in chunks(effort.draws(PROMPTS), N, d):
        drawn = draw_diagonal(rng, exponential_spectra(rng, count, d), N, QUERIES)
        answers = predict(np.eye(d), drawn.x, drawn.y, drawn.queries)  # (count, Q)
        above.append((answers * drawn.targets).mean(axis=1))  # (count,)
        below.append((answers**2).mean(axis=1))  # (count,)
    found = ratio_of(np.concatenate(above), np.concatenate(below))
    return found.against("the scalar a of A* = aI for random Λ (Theorem 4.5)", a)
