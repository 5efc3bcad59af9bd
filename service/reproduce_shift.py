"""The panel of shifts: tasks and queries may change, the law of the examples may not."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.paper import predict
from model.tasks import Law, rotated, spectrum
from model.theory import optimum, relative_risk
from service.reproduce_report import (
    Chart,
    Check,
    Effort,
    Measured,
    Panel,
    Series,
    dots,
    mean_of,
    ratio_of,
)
from service.reproduce_risk import QUERIES, chunks, squared_errors

Array = NDArray[np.float64]

SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)
N, M, D = 200, 200, 5
DRAWS = 12_000


def shifts(effort: Effort) -> Panel:
    """Scale tasks, queries and examples in turn, and look at the error and at the slope."""
    covariance = rotated(np.random.default_rng(8), spectrum(D, 3.0))  # (d, d)
    A = optimum(Law(covariance), N)  # (d, d) Γ⁻¹
    checks: list[Check] = []
    errors, slopes = [], []
    for hue, (name, laws) in enumerate(_shifted(covariance).items()):
        theory = [relative_risk(A, law, M) for law in laws]
        found = [_relative(A, law, effort, i) for i, law in enumerate(laws, 5 * hue)]
        errors += [
            Series(name, SIZES, theory, hue, dashed=name == "queries"),
            dots("", SIZES, found, hue),
        ]
        lines = [_slope(A, law) for law in laws]
        measured = [_measured_slope(A, law, effort, i) for i, law in enumerate(laws, 5 * hue)]
        slopes += [
            Series(name, SIZES, lines, hue, dashed=name == "queries"),
            dots("", SIZES, measured, hue),
        ]
        for i in (0, 2, 4):
            at = f"{name} × {SIZES[i]:g}"
            checks.append(found[i].against(f"{at}: relative error", theory[i]))
            checks.append(measured[i].against(f"{at}: slope of answers on truth", lines[i]))
    checks += _weakest(A, covariance, effort)
    left = _chart("Relative error", "error ÷ that of answering 0", errors)
    right = _chart("Slope of the answers", "slope of ŷ on ⟨w, x⟩", slopes)
    return Panel("shift", "Task, query and covariate shift", TEXT, (left, right), tuple(checks))


def _chart(title: str, y_label: str, series: list[Series]) -> Chart:
    return Chart(title, "factor c of the shift", y_label, tuple(series), x_log=True, y_log=True)


TEXT = (
    "A layer trained at N = 200 (d = 5, condition 3) meets prompts of M = 200 whose tasks, queries "
    "or examples are c times as large, or all along the weakest direction. Tasks and independent "
    "queries may shift: the relative error stays. Covariates may not: examples cx are answered "
    "with c²⟨w, x⟩, and beyond c = √2 that is worse than answering 0."
)


def _shifted(covariance: Array) -> dict[str, list[Law]]:
    law = Law(covariance, query_moment=covariance)
    return {
        "tasks": [replace(law, task_moment=c**2 * np.eye(D)) for c in SIZES],
        "queries": [replace(law, query_moment=c**2 * covariance) for c in SIZES],
        "examples": [replace(law, covariance=c**2 * covariance) for c in SIZES],
    }


def _weakest(A: Array, covariance: Array, effort: Effort) -> list[Check]:
    """Return checks of tasks, then queries, that all point where examples vary least."""
    direction = np.linalg.eigh(covariance).eigenvectors[:, 0]  # (d,)
    only = np.outer(direction, direction)  # (d, d)
    law = Law(covariance, query_moment=covariance)
    laws = {"tasks": replace(law, task_moment=only), "queries": replace(law, query_moment=only)}
    return [
        _relative(A, one, effort).against(
            f"{name} all along the weakest direction: relative error", relative_risk(A, one, M)
        )
        for name, one in laws.items()
    ]


def _relative(A: Array, law: Law, effort: Effort, seed: int = 99) -> Measured:
    scale = float(np.trace(law.T @ law.Q))
    return mean_of(squared_errors(A, law, M, effort.draws(DRAWS), seed) / scale)


def _slope(A: Array, law: Law) -> float:
    """Return E[ŷ⟨w, x_q⟩] ÷ E⟨w, x_q⟩² = tr(Q A R T) ÷ tr(Q T)."""
    return float(np.trace(law.Q @ A @ law.R @ law.T) / np.trace(law.Q @ law.T))


def _measured_slope(A: Array, law: Law, effort: Effort, seed: int) -> Measured:
    rng = np.random.default_rng((10, seed))
    above, below = [], []
    for count in chunks(effort.draws(DRAWS), M, D):
        drawn = law.draw(rng, count, M, QUERIES)
        answers = predict(A, drawn.x, drawn.y, drawn.queries)  # (count, Q)
        above.append((answers * drawn.targets).mean(axis=1))  # (count,)
        below.append((drawn.targets**2).mean(axis=1))  # (count,)
    return ratio_of(np.concatenate(above), np.concatenate(below))
