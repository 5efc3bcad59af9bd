"""Panels of risk: Theorem 4.2, the optima beyond the paper's setting, weights and length."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.paper import predict
from model.tasks import Law, rotated, spectrum
from model.theory import (
    optimum,
    product_covariance,
    relative_risk,
    risk,
    trained_error,
)
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
)

Array = NDArray[np.float64]

LENGTHS = (5, 10, 20, 40, 80, 160, 320)
NUMBERS_AT_ONCE = 2_000_000  # of examples in memory
QUERIES = 16  # of every prompt: their mean is one draw, so that draws stay independent
SIGMA = 0.3  # label noise of Theorem 4.2
BEND = 0.5  # of the labels that are not linear


def chunks(prompts: int, M: int, d: int) -> Iterator[int]:
    """Yield how many prompts to draw at once, so that memory stays small."""
    most = max(1, NUMBERS_AT_ONCE // (M * d))
    while prompts > 0:
        yield min(prompts, most)
        prompts -= most


def squared_errors(A: Array, law: Law, M: int, prompts: int, seed: int = 0) -> Array:
    """Return the mean of (ŷ - ⟨w, x_q⟩)² over each prompt's queries (prompts,), of the layer A."""
    rng = np.random.default_rng((seed, M))
    parts = []
    for count in chunks(prompts, M, law.d):
        drawn = law.draw(rng, count, M, QUERIES)
        answers = predict(A, drawn.x, drawn.y, drawn.queries)  # (count, Q)
        parts.append(((answers - drawn.targets) ** 2).mean(axis=1))  # (count,)
    return np.concatenate(parts)


class _Labels(NamedTuple):
    """One joint law of (x, y) with fixed coefficients, and what Theorem 4.2 asks of it."""

    name: str
    bend: float  # y = ⟨a, x⟩ + bend (x_1² - λ_1) + noise
    best: float  # error of the best linear predictor
    moment: Array  # (d, d) Cov(xy)


def theorem_4_2(effort: Effort) -> Panel:
    """Compare Theorem 4.2 with simulated errors at many lengths."""
    values = spectrum(5, 10.0)[::-1]  # (d,)
    covariance, N = np.diag(values), 20
    a = np.array([1.0, -0.5, 0.8, 0.3, -1.0])  # (d,)
    A = optimum(Law(covariance), N)  # (d, d) Γ⁻¹
    checks, series = [_identity(covariance, N, A, a)], []
    for hue, labels in enumerate(_label_laws(values, a)):
        theory = [trained_error(covariance, N, M, labels.best, a, labels.moment) for M in LENGTHS]
        found = [_simulated(A, values, a, labels.bend, M, effort) for M in LENGTHS]
        series += [Series(labels.name, LENGTHS, theory, hue), dots("", LENGTHS, found, hue)]
        floor = [labels.best] * len(LENGTHS)
        series.append(Series("best linear predictor", LENGTHS, floor, hue, dashed=True))
        checks += [
            one.against(f"{labels.name}: error at M = {M}", value)
            for M, one, value in zip(LENGTHS, found, theory, strict=True)
        ]
    text = (
        "The error of the layer trained at N = 20, for any joint law of (x, y). It falls with the "
        "length M of the prompt, but not to that of the best linear predictor: what N was too "
        "short for stays. Condition 10, d = 5; dots are simulations with two standard errors."
    )
    names = "Error of the trained layer", "examples in the prompt, M", "E (ŷ − y)²"
    chart = Chart(*names, tuple(series), x_log=True)
    return Panel("theorem-4-2", "The error of Theorem 4.2", text, (chart,), tuple(checks))


def _label_laws(values: Array, a: Array) -> tuple[_Labels, _Labels]:
    """Return linear labels, and labels with a square that no linear predictor can follow."""
    covariance, first = np.diag(values), float(values[0])
    linear = product_covariance(covariance, a, SIGMA**2)  # (d, d)
    square = 2 * first**2 * values  # (d,) of E xx'(x_1² - λ_1)²
    square[0] = 10 * first**3
    bent = linear + BEND**2 * np.diag(square)  # (d, d)
    best = SIGMA**2 + 2 * BEND**2 * first**2
    return (
        _Labels("linear labels with noise", 0.0, SIGMA**2, linear),
        _Labels("labels with a square", BEND, best, bent),
    )


def _simulated(A: Array, values: Array, a: Array, bend: float, M: int, effort: Effort) -> Measured:
    rng = np.random.default_rng((42, M))
    parts = []
    for count in chunks(effort.draws(min(80_000, 8_000_000 // M)), M, len(a)):
        rows = M + QUERIES
        x = rng.standard_normal((count, rows, len(a))) * np.sqrt(values)  # (count, M+Q, d)
        y = x @ a + SIGMA * rng.standard_normal((count, rows))  # (count, M+Q)
        y += bend * (x[..., 0] ** 2 - values[0])
        answers = predict(A, x[:, :M], y[:, :M], x[:, M:])  # (count, Q)
        parts.append(((answers - y[:, M:]) ** 2).mean(axis=1))  # (count,)
    return mean_of(np.concatenate(parts))


def _identity(covariance: Array, N: int, A: Array, a: Array) -> Check:
    """Return the check that the theorem agrees with the general risk of any layer."""
    moment = product_covariance(covariance, a, SIGMA**2)  # (d, d)
    law = Law(covariance, SIGMA**2, np.outer(a, a))
    general = risk(A, law, 40) + SIGMA**2
    theorem = trained_error(covariance, N, 40, SIGMA**2, a, moment)
    claim = "the theorem and the general formula of the risk, M = 40"
    return exact(claim, theorem, general, 1e-10)


def optima(effort: Effort) -> Panel:
    """Show that the closed forms beyond the paper are optimal, and weights that follow M."""
    valley, first = _valleys(effort)
    lengths, second = _lengths(effort)
    text = (
        "With label noise, a prior T over tasks, or examples that are not centred, the best layer "
        "is A* = T R G⁻¹ with G = E ggᵀ. Left: the risk on both sides of A* along a random "
        "direction. Right: one weight for every length (trained at N = 40) against weights that "
        "follow the prompt's own length, as the paper model serves them (d = 10, "
        "condition 4, σ² = 1)."
    )
    title = "The best layer with noise, a prior, a mean, and at every length"
    return Panel("optima", title, text, (valley, lengths), (*first, *second))


def _laws() -> dict[str, Law]:
    rng = np.random.default_rng(5)
    plain = Law(rotated(rng, spectrum(4, 5.0)))
    noisy = replace(plain, noise_variance=2.0)
    prior = replace(noisy, task_moment=rotated(rng, spectrum(4, 20.0)))
    return {
        "label noise": noisy,
        "noise and a prior T": prior,
        "noise, T and a mean": replace(prior, mean=np.array([1.0, -0.5, 0.3, 0.8])),
    }


def _valleys(effort: Effort) -> tuple[Chart, list[Check]]:
    rng = np.random.default_rng(6)
    along = np.linspace(-1.0, 1.0, 9)  # (k,) shares of ‖A*‖
    checks, series = [], []
    for hue, (name, law) in enumerate(_laws().items()):
        best = optimum(law, 10)  # (d, d)
        moves = rng.standard_normal((100, 4, 4))  # (100, d, d)
        moves *= np.linalg.norm(best) / np.linalg.norm(moves, axis=(1, 2), keepdims=True)
        least = risk(best, law, 10)
        worse = np.mean([risk(best + 0.05 * move, law, 10) > least for move in moves])
        points = [best + t * moves[0] for t in along]
        theory = [risk(A, law, 10) for A in points]
        draws = effort.draws(40_000)
        found = [mean_of(squared_errors(A, law, 10, draws, i)) for i, A in enumerate(points)]
        x = along.tolist()
        series += [Series(name, x, theory, hue), dots("", x, found, hue)]
        claim = f"{name}: share of 100 random changes of A* that raise the risk"
        checks += [exact(claim, 1.0, float(worse), 0.0, "every one")]
        checks += [found[i].against(f"{name}: risk at {along[i]:+.2g}", theory[i]) for i in (0, 4)]
    labels = "distance from A* ÷ ‖A*‖", "E (ŷ − ⟨w, x⟩)²"
    return Chart("Risk around the optimum", *labels, tuple(series)), checks


def _lengths(effort: Effort) -> tuple[Chart, list[Check]]:
    law = Law(np.diag(spectrum(10, 4.0)), noise_variance=1.0)
    lengths = (1, 2, 5, 10, 20, 40, 80, 160, 640)
    checks, series = [], []
    forms: dict[str, Callable[[int], Array]] = {
        "A_40 for every length": lambda M: optimum(law, 40),
        "A_M, the prompt's own": lambda M: optimum(law, M),
    }
    for hue, (name, weights) in enumerate(forms.items()):
        theory = [relative_risk(weights(M), law, M) for M in lengths]
        found = []
        for M in lengths:
            draws = effort.draws(min(40_000, 4_000_000 // M))
            squares = squared_errors(weights(M), law, M, draws, hue)  # (draws,)
            found.append(mean_of(squares / law.d))
        series += [Series(name, lengths, theory, hue), dots("", lengths, found, hue)]
        for i in (0, 3, 7):
            checks.append(found[i].against(f"{name}: relative risk, M = {lengths[i]}", theory[i]))
    labels = "examples in the prompt, M", "risk ÷ that of answering 0"
    return Chart("Weights and length", *labels, tuple(series), x_log=True, y_log=True), checks
