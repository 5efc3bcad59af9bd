"""REGRET: how much of the excess error a repair would take away, from the sums of a window.

With G₁ = E[G], F = E[GTG], N = E[G/M], C = E[vvᵀ], G = UᵀU/M, T = τ²I and ŷ = vᵀA Uᵀr/M,

    R(A) = tr(TC) - 2 tr(CAG₁T) + tr(CA(F + σ²N)Aᵀ),   A* = T G₁(F + σ²N)⁻¹,   REGRET = R(A)/R(A*)

whatever the law of the covariates, where queries are independent of the examples. A window of
several lengths is pooled, and turned to each of them: E[GG] at M is (1 - 1/M) U + F₁/M with
F₁ = E[‖u‖²uuᵀ], for rows that are independent within a prompt (docs/monitoring.md, "REGRET").
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Answering, Scene, expected_excess
from monitoring.evidence import Evidence

Array = NDArray[np.float64]

CONDITION_MAX = 1e10  # of F + σ²N: beyond, weights would be rounding


class Moments(NamedTuple):
    """What R and A* are made of at one length."""

    gram: Array  # (p, p) G₁
    squares: Array  # (p, p) E[GG], F/τ²
    shrunk: Array  # (p, p) N
    queries: Array  # (p, p) C


def moments_at(window: Evidence, length: float | None = None) -> Moments:
    """Return the moments of a window as it is, or as prompts of M examples would make it.

    Raises ValueError where nothing was measured, or a length is asked of a window without rows.
    """
    scene = window.scene
    n = scene.prompt_count
    if not n:
        raise ValueError("window: expected prompts that can be measured, got none")
    gram, squares, inverse = scene.moments / n, scene.squares / n, scene.inverse_lengths / n
    if length is not None and not np.isclose(length * inverse, 1.0, rtol=1e-12):
        if not window.spread_prompts or not inverse < 1.0:
            raise ValueError("window: expected rows of several examples a prompt, got none")
        fourth = window.spread / window.spread_prompts  # (p, p) F₁
        apart = (squares - inverse * fourth) / (1.0 - inverse)  # (p, p) U
        squares, inverse = apart + (fourth - apart) / length, 1.0 / length
    return Moments(gram, squares, gram * inverse, scene.query_moments / n)


def layer_risk(weights: Array, moments: Moments, task_variance: float, noise: float) -> float:
    """Return R(A) of weights (p, p), working units², σ² not in it."""
    gram, squares, shrunk, C = moments
    seen = weights @ (task_variance * squares + noise * shrunk) @ weights.T  # (p, p)
    left = task_variance * (np.eye(len(C)) - 2.0 * weights @ gram) + seen  # (p, p)
    return float(np.sum(C * left.T))


def best_weights(moments: Moments, task_variance: float, noise: float) -> Array:
    """Return A* (p, p); raise ValueError where F + σ²N cannot be solved."""
    whole = task_variance * moments.squares + noise * moments.shrunk  # (p, p)
    whole = 0.5 * (whole + whole.T)
    values = np.linalg.eigvalsh(whole)  # (p,)
    if not values[0] * CONDITION_MAX > values[-1]:
        sentence = f"expected a condition below {CONDITION_MAX:g}, got eigenvalues from"
        raise ValueError(f"window: {sentence} {values[0]:.3g} to {values[-1]:.3g}")
    root = np.linalg.cholesky(whole)  # (p, p) L of LLᵀ
    half = np.linalg.solve(root, task_variance * moments.gram)  # (p, p) L⁻¹G₁T
    found: Array = np.linalg.solve(root.T, half).T
    return found


def layer_regret(
    window: Sequence[Evidence],
    weights_at: Callable[[float], Array],
    task_variance: float,
    noise: float,
) -> float:
    """Return the REGRET of one layer over the parts of a window that share coordinates.

    weights_at(M) is A (p, p) of ŷ = vᵀA Uᵀr/M at M examples. The best is judged on the sums it
    was made of. A window without rows is judged part by part. ValueError as of `best_weights`.
    """
    parts = [part for part in window if part.scene.prompt_count]
    if not parts:
        raise ValueError("window: expected prompts that can be measured, got none")
    pooled = reduce(Evidence.joined, parts)
    served = best = 0.0
    for part in parts:
        M = part.scene.prompt_count / part.scene.inverse_lengths
        moments = moments_at(pooled, M) if pooled.spread_prompts else moments_at(part)
        A = best_weights(moments, task_variance, noise)  # (p, p)
        share = part.scene.prompt_count
        served += share * layer_risk(weights_at(M), moments, task_variance, noise)
        best += share * layer_risk(A, moments, task_variance, noise)
    return served / best if best > 0.0 else float("nan")


def prior_regret(answering: Answering, scene: Scene) -> float:
    """Return the REGRET of a model that inverts its prior: what another mean task would save.

    R of the window under the served (m, T, σ²), over R with the window's own mean task as m. It is
    an approximation: T and σ² are held, so a repair of those is not in it; `scene.drift` is itself
    estimated, by which a quiet window of n prompts reads about 1 + 1/n.
    """
    known = Scene.without_drift(scene.examples, scene.queries, scene.length)
    return expected_excess(answering, scene) / expected_excess(answering, known)
