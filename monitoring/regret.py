"""REGRET: how much of the excess error a repair would take away, from the sums of a window.

With G₁ = E[G], F = E[GTG], N = E[G/M], C = E[vvᵀ], G = UᵀU/M, T = τ²I and ŷ = vᵀA Uᵀr/M,

    R(A) = tr(TC) - 2 tr(CAG₁T) + tr(CA(F + σ²N)Aᵀ),   A* = T G₁(F + σ²N)⁻¹,   REGRET = R(A)/R(A*)

whatever the law of the covariates, where queries are independent of the examples. For a length M
that a window mixes with others, E[G²] = (1 - 1/M) U + F₁/M with F₁ = E[‖u‖²uuᵀ].
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Answering, Scene
from monitoring.evidence import Evidence

Array = NDArray[np.float64]

NOTEWORTHY = 1.25


class Moments(NamedTuple):
    """What R and A* are made of at one length."""

    gram: Array  # (p, p) G₁
    squares: Array  # (p, p) E[GG], F/τ²
    shrunk: Array  # (p, p) N
    queries: Array  # (p, p) C


def moments_at(window: Evidence, length: float | None = None) -> Moments:
    """Return the moments of a window, at another length M where one is given.

    Raises ValueError where a length is asked of a window without rows.
    """
    raise NotImplementedError


def layer_risk(weights: Array, moments: Moments, task_variance: float, noise: float) -> float:
    """Return R(A) of weights (p, p), working units², σ² not in it."""
    raise NotImplementedError


def best_weights(moments: Moments, task_variance: float, noise: float) -> Array:
    """Return A* (p, p); raise ValueError where F + σ²N is too ill-conditioned to solve."""
    raise NotImplementedError


def layer_regret(
    window: tuple[Evidence, ...],
    weights_at: Callable[[float], Array],
    task_variance: float,
    noise: float,
) -> float:
    """Return the REGRET of a layer over a window's parts, each judged at its own length.

    weights_at(M) is A (p, p) of ŷ = vᵀA Uᵀr/M for a prompt of M examples.
    """
    raise NotImplementedError


def prior_regret(answering: Answering, scene: Scene) -> float:
    """Return R under the served prior over R under the window's own mean task (approximate)."""
    raise NotImplementedError
