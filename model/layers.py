"""The deep engine: L isotropic linear self-attention layers, on matrices and on their spectrum.

A layer moves the covariate channel and the label channel of every token (arXiv 2306.09927 eq. (3.3)
with W^PV = diag(-b I, -a); the two-channel form of von Oswald et al. 2022). Attention is divided by
‖A‖_F of the Gram matrix A of all key tokens, so every eigenvalue stays in (0, 1] and no prompt
diverges: derived in docs/model.md. `model/tokens.py` is the same network token by token.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WIDE = 16  # times as many columns as rows: from there on products of matrices are the dearer ones
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
    eye = _eye(S.shape[-1])  # (p, p)
    a, b = steps[0]
    answered = a * rows  # (n, p)
    left = rows - times(answered, S)  # (n, p)
    factor = eye - b * S  # (p, p) I - b S m²
    N = times(factor, factor)  # (p, p)
    by_rows = 0.0  # b of a layer whose N is not formed
    for place, (a, b) in enumerate(steps[1:], 2):
        seen = _turned(left, N, S, by_rows, times) if by_rows else times(left, N)  # (n, p)
        seen *= a
        answered += seen
        left = left - times(seen, S)  # (n, p)
        if place == len(steps) - 1 and WIDE * rows.shape[-2] <= S.shape[-1]:
            by_rows = b
        elif place < len(steps):
            factor = times(N, S)  # (p, p)
            factor *= -b
            factor += eye
            N = times(times(factor, N), factor)  # (p, p)
    return answered, left


def _turned(rows: Array, N: Array, S: Array, b: float, times: Times) -> Array:
    """Return rows (n, p) · F N F with F = I - b N S: 5 n p², where forming it takes 3 p³."""
    rows = rows - b * times(times(rows, N), S)  # (n, p)
    rows = times(rows, N)  # (n, p)
    turned: Array = rows - b * times(times(rows, N), S)  # (n, p)
    return turned


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
