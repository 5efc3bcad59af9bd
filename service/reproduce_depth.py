"""The panel of depth: what four layers leave over, and what running them again is worth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import FOUNDATION_FILE, load
from model.foundation import FoundationModel
from model.layers import Steps, effective_inverse, inverse_polynomial
from model.tasks import Law, rotated, spectrum
from model.theory import optimum, risk
from model.tokens import deep_prediction
from service.reproduce_report import (
    Chart,
    Check,
    Effort,
    Measured,
    Panel,
    Series,
    dots,
    exact,
    ratio_of,
)
from service.reproduce_risk import QUERIES

Array = NDArray[np.float64]

PASSES = (1, 2, 4)
CONDITIONS = (1.0, 4.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
D, M, NOISE = 10, 40, 1.0  # λ is the noise, as tasks have variance 1
PROMPTS = 24_000
AT_ONCE = 3000
HARD_RATIO = 1.025  # four passes at condition 1000 (docs/model.md, section 2)


def depth(effort: Effort) -> Panel:
    """Draw the residual polynomial, and the error over that of Bayes ridge by passes."""
    steps = shipped_steps()
    rows = [_row(steps, condition, effort) for condition in CONDITIONS]
    checks = [*_engine(steps), *_ratios(rows)]
    series = []
    for hue, passes in enumerate(PASSES):
        name = f"{passes} pass{'es' if passes > 1 else ''} of four layers"
        theory = [row.theory[hue] for row in rows]
        found = [row.found[hue] for row in rows]
        series += [Series(name, CONDITIONS, theory, hue), dots("", CONDITIONS, found, hue)]
    labels = "condition number of the covariance", "error ÷ that of Bayes ridge"
    middle = Chart("Error by condition and passes", *labels, tuple(series), x_log=True)
    single = (
        Series("the paper's one layer, A_M", CONDITIONS, [row.one_theory for row in rows], 3),
        dots("", CONDITIONS, [row.one_found for row in rows], 3),
        Series("one pass of four layers", CONDITIONS, [row.theory[0] for row in rows], 0),
    )
    right = Chart("One layer and four", *labels, single, x_log=True)
    charts = _residual(steps), middle, right
    return Panel("depth", "Depth and looping", TEXT, charts, tuple(checks))


TEXT = (
    "The four shipped layers are one polynomial p in the Gram matrix; what they leave over is "
    "r(s) = 1 − s p(s) on an eigenvalue s, and r(s)^k after k passes. Left: r^k stays in (−1, 1), "
    "so no prompt diverges and passes converge to ridge. Middle and right: d = 10, M = 40, σ² = 1; "
    "lines by closed forms, dots by running the layers on sampled labels (two standard errors). "
    "Depth is what makes the answer as good as ridge: one layer is six to seven times as far off."
)


def shipped_steps() -> Steps:
    """Return the trained steps of the bundled foundation model."""
    model = load(FOUNDATION_FILE).model
    assert isinstance(model, FoundationModel)
    return model.steps


class _Row(NamedTuple):
    """One condition number: errors over Bayes ridge's, by `PASSES`, and of the single layer."""

    theory: list[float]
    found: list[Measured]
    one_theory: float
    one_found: Measured


def _row(steps: Steps, condition: float, effort: Effort) -> _Row:
    rng = np.random.default_rng(round(condition))
    law = Law(rotated(rng, spectrum(D, condition)), NOISE)
    risks, squares = [], []
    for _ in range(effort.draws(PROMPTS) // AT_ONCE):
        drawn = law.draw(rng, AT_ONCE, M, QUERIES)
        gram = drawn.x.mT @ drawn.x  # (B, d, d)
        risks.append(_risks(steps, law, gram))  # (B, passes + 1)
        ridge = np.linalg.inv(gram + NOISE * np.eye(D))  # (B, d, d)
        inverses = [*_passes(steps, gram), ridge, optimum(law, M) / M]
        along = drawn.x.mT @ drawn.y[..., None]  # (B, d, 1)
        answers = [(drawn.queries @ (P @ along))[..., 0] for P in inverses]  # (B, Q) each
        errors = [((one - drawn.targets) ** 2).mean(axis=1) for one in answers]  # (B,) each
        squares.append(np.column_stack(errors))  # (B, passes + 2)
    risk_means = np.concatenate(risks).mean(axis=0)  # (passes + 1,)
    every = np.concatenate(squares)  # (prompts, passes + 2), the last two ridge and one layer
    return _Row(
        (risk_means[:-1] / risk_means[-1]).tolist(),
        [ratio_of(every[:, k], every[:, -2]) for k in range(len(PASSES))],
        risk(optimum(law, M), law, M) / float(risk_means[-1]),
        ratio_of(every[:, -1], every[:, -2]),
    )


def _risks(steps: Steps, law: Law, gram: Array) -> Array:
    """Return the exact risk (B, passes + 1) by the polynomial, the last column ridge's."""
    values, vectors = np.linalg.eigh(gram)  # (B, d), (B, d, d)
    values = np.maximum(values, 0.0)  # (B, d)
    power = (vectors * (law.covariance @ vectors)).sum(axis=1)  # (B, d) of a query
    lifted = values + NOISE  # (B, d)
    rho = np.linalg.norm(lifted, axis=1, keepdims=True)  # (B, 1)
    residual = 1.0 - lifted / rho * inverse_polynomial(lifted / rho, steps)  # (B, d)
    columns = []
    for left in (*(residual**k for k in PASSES), np.zeros_like(residual)):
        inverse = (1.0 - left) / lifted  # (B, d)
        missed = (1.0 - values * inverse) ** 2 + NOISE * values * inverse**2  # (B, d)
        columns.append((power * missed).sum(axis=1))  # (B,)
    return np.column_stack(columns)


def _passes(steps: Steps, gram: Array) -> list[Array]:
    """Return the layers' inverse (B, d, d) after 1, 2 and 4 passes: P ← P + P(I − AP)."""
    A = gram + NOISE * np.eye(D)  # (B, d, d)
    inverses = [effective_inverse(A, steps)]
    for _ in PASSES[1:]:
        P = inverses[-1]  # (B, d, d)
        inverses.append(2 * P - P @ A @ P)
    return inverses


def _residual(steps: Steps) -> Chart:
    s = np.geomspace(1e-4, 1.0, 400)  # (n,)
    residual = 1.0 - s * inverse_polynomial(s, steps)  # (n,)
    series = tuple(
        Series(f"{k} pass{'es' if k > 1 else ''}", s.tolist(), (residual**k).tolist(), hue)
        for hue, k in enumerate(PASSES)
    )
    return Chart("What is left over", "eigenvalue s of A ÷ ‖A‖_F", "r(s)^k", series, x_log=True)


def _engine(steps: Steps) -> list[Check]:
    """Return the checks of the layers themselves: certificate, token form, the limit of passes."""
    rng = np.random.default_rng(12)
    drawn = Law(rotated(rng, spectrum(D, 10.0)), NOISE).draw(rng, 1, M)
    A = drawn.x.mT @ drawn.x + np.eye(D)  # (1, d, d)
    b, query = drawn.x.mT @ drawn.y[..., None], drawn.queries[0, 0]  # (1, d, 1), (d,)
    P = effective_inverse(A, steps)  # (1, d, d)
    tokens = deep_prediction(drawn.x[0], drawn.y[0], query, np.eye(D), steps)
    ridge = float(query @ np.linalg.solve(A, b)[0, :, 0])
    many = P
    for _ in range(14):
        many = 2 * many - many @ A @ many  # (1, d, d)
    return [
        exact(
            "share of s in [1e-6, 1] where r is in [−.1, 1) and p positive", 1.0, _safe(steps), 0.0
        ),
        exact("token by token and as matrices", tokens, float(query @ (P @ b)[0, :, 0]), 1e-10),
        exact("2^14 passes and the exact solve", ridge, float(query @ (many @ b)[0, :, 0]), 1e-8),
    ]


def _safe(steps: Steps) -> float:
    """Return the share of 20,001 eigenvalues on which the layers cannot make an answer worse."""
    s = np.geomspace(1e-6, 1.0, 20_001)  # (n,)
    p = inverse_polynomial(s, steps)  # (n,)
    residual = 1.0 - s * p  # (n,)
    return float(np.mean((residual >= -0.1) & (residual < 1.0) & (p > 0.0)))


def _ratios(rows: Sequence[_Row]) -> list[Check]:
    checks = [
        row.found[i].against(f"condition {condition:g}, passes {PASSES[i]}: error ÷ Bayes ridge",
                             row.theory[i])
        for condition, row in zip(CONDITIONS, rows, strict=True)
        for i in range(len(PASSES))
    ]  # fmt: skip
    checks += [
        row.one_found.against(f"condition {condition:g}, the paper's one layer", row.one_theory)
        for condition, row in zip(CONDITIONS, rows, strict=True)
    ]
    hard = rows[-1].theory[-1]
    claim = f"condition 1000, four passes: within {HARD_RATIO - 1:.1%} of Bayes ridge"
    return [*checks, exact(claim, 1.0, hard, HARD_RATIO - 1.0, "docs/model.md, 2")]
