"""The deep engine: L isotropic linear self-attention layers, on matrices and on their spectrum.

A layer moves the covariate channel and the label channel of every token (arXiv 2306.09927 eq. (3.3)
with W^PV = diag(-b I, -a); the two-channel form of von Oswald et al. 2022). Attention is divided by
‖A‖_F of the Gram matrix A of all key tokens, so every eigenvalue stays in (0, 1] and no prompt
diverges: derived in docs/model.md. `model/tokens.py` is the same network token by token.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SPARED = ((26.0, 0.7), (50.0, 3.0), (95.0, 8.0))
"""From a width of (first) + (second) · rows on, products of matrices for one layer more cost more
than what they spare: docs/performance.md, Wide prompts."""
Steps = Sequence[tuple[float, float]]
"""(a_l, b_l) of every layer: the label step and the covariate step; the last b is unused."""
Times: TypeAlias = Callable[[Array, Array], Array]
"""The product of two matrices, or of two stacks of as many."""


def effective_inverse(gram: Array, steps: Steps) -> Array:
    """Return P (B, p, p), the layers' inverse of gram (B, p, p); a query u is answered uᵀP b."""
    eye = np.eye(gram.shape[-1])  # (p, p)
    rho = np.linalg.norm(gram, axis=(-2, -1), keepdims=True)  # (B, 1, 1) ‖gram‖_F
    S = gram / rho  # (B, p, p) eigenvalues in (0, 1]: why no prompt diverges

    P = np.zeros_like(S)  # (B, p, p)
    m = np.broadcast_to(eye, S.shape)  # (B, p, p) what the layers have made of the covariates
    for a, b in steps:
        P = P + a * m @ m @ (eye - S @ P)  # (B, p, p)
        m = m - b * S @ m @ m @ m  # (B, p, p)
    inverse: Array = P / rho  # (B, p, p)
    return inverse


def inverse_polynomial(s: Array, steps: Steps) -> Array:
    """Return p(s) (...), the same layers on eigenvalues s (...) in (0, 1] of A/‖A‖_F.

    Equivalent to `effective_inverse` in the eigenbasis; r(s) = 1 - s p(s) is what is left over.
    """
    p = np.zeros_like(s)  # (...)
    m = np.ones_like(s)  # (...)
    for a, b in steps:
        square = m * m  # (...)
        p += a * square * (1.0 - s * p)  # (...)
        m -= b * s * square * m  # (...)
    return p


def pass_through(S: Array, rows: Array, steps: Steps, times: Times = np.dot) -> tuple[Array, Array]:
    """Return (rows · p(S), rows · r(S)), both (n, p): what one pass makes of rows, and leaves.

    S (p, p) is A/‖A‖_F of one prompt. Equivalent to `effective_inverse`, without forming P: the
    recursion in N = m² takes n · p² where P takes p³, and few array operations. With `np.matmul`
    for `times` the same of several prompts, S (B, p, p) and rows (B, n, p).
    """
    formed = _formed(len(steps) - 1, *rows.shape[-2:])
    answered = steps[0][0] * rows  # (n, p)
    left = rows - times(answered, S)  # (n, p)
    N: Array | None = None  # of the last layer of which it is formed
    turns: list[float] = []  # b of the layers since
    for place, ((_, b), (a, _)) in enumerate(pairwise(steps)):
        if place < formed:
            N = _turned(N, S, b, times)  # (p, p)
        else:
            turns.append(b)
        seen = _attended(left, N, S, turns, times)  # (n, p)
        seen *= a
        answered += seen
        left = left - times(seen, S)  # (n, p)
    return answered, left


@lru_cache(maxsize=1024)
def _formed(count: int, n: int, p: int) -> int:
    """Return of how many of so many layers N is formed for n rows of width p: the cheapest way."""
    return max(0, count - sum(p >= width + each * n for width, each in SPARED))


def _turned(N: Array | None, S: Array, b: float, times: Times) -> Array:
    """Return the next N (p, p) = F N F with F = I - b N S; before the first, N is I."""
    factor = -b * (S if N is None else times(N, S))  # (p, p)
    factor += _eye(S.shape[-1])
    return times(factor if N is None else times(factor, N), factor)


def _attended(
    rows: Array, N: Array | None, S: Array, turns: Sequence[float], times: Times
) -> Array:
    """Return rows (n, p) · N after some turns more, without forming it.

    A turn takes 3 products of matrices, 3 p³, or makes the products with rows three times as many.
    """
    if not turns:
        return rows if N is None else times(rows, N)
    *before, b = turns
    rows = rows - b * times(_attended(rows, N, S, before, times), S)  # (n, p)
    rows = _attended(rows, N, S, before, times)  # (n, p)
    return rows - b * times(_attended(rows, N, S, before, times), S)


@lru_cache(maxsize=64)
def _eye(p: int) -> Array:
    """Return I (p, p), to be read only."""
    eye = np.eye(p)  # (p, p)
    eye.flags.writeable = False
    return eye


def certificate(steps: Steps, points: int = 20_001) -> tuple[float, float, float]:
    """Return (smallest r, largest r, smallest p) over log-spaced eigenvalues in [1e-6, 1].

    Layers are safe to publish when -0.1 <= r < 1 and p > 0: then every pass shrinks the residual
    and the effective inverse stays positive definite on every prompt (derived in docs/model.md).
    """
    s = np.geomspace(1e-6, 1.0, points)  # (points,)
    p = inverse_polynomial(s, steps)  # (points,)
    residual = 1.0 - s * p  # (points,)
    return float(residual.min()), float(residual.max()), float(p.min())
