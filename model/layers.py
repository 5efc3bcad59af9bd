"""The deep engine: L isotropic linear self-attention layers, on matrices and on their spectrum.

A layer moves the covariate channel and the label channel of every token (arXiv 2306.09927 eq. (3.3)
with W^PV = diag(-b I, -a); the two-channel form of von Oswald et al. 2022). Attention is divided by
‖A‖_F of the Gram matrix A of all key tokens, so every eigenvalue stays in (0, 1] and no prompt
diverges: derived in docs/model.md. `model/tokens.py` is the same network token by token.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SPARED = ((31.0, 2.0), (72.0, 6.0), (200.0, 1.0))
"""From a width of (first) + (second) · rows on, to form N once more, or at last F, costs more than
it spares: docs/performance.md, Wide prompts."""
Steps = Sequence[tuple[float, float]]
"""(a_l, b_l) of every layer: the label step and the covariate step; the last b is unused."""
Times: TypeAlias = Callable[[Array, Array], Array]
"""The product of two matrices, or of two stacks of as many."""
_Turns: TypeAlias = "tuple[tuple[Array, _Turns], ...]"
"""b of every turn after F, and the turns before it."""


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


class Way(NamedTuple):
    """Which layers form N, the turn after them that forms F, and what is turned besides.

    Steps are arrays () here: NumPy would look at a float anew in every operation.
    """

    formed: Sequence[tuple[Array, Array]]  # (b, a)
    turn: Array | None  # b; None where F is not worth it either
    others: Sequence[tuple[_Turns, Array]]  # (turns, a)


class Layers:
    """L layers on rows of one width p, without forming P: what the layers alone decide, once.

    The recursion in N = m² takes n · p² where P takes p³, and few array operations. At each layer
    N becomes F N F, F = I - b T, T = S N; all are polynomials in S, and so commute.
    """

    def __init__(self, steps: Steps, width: int) -> None:
        self._first, self._eye = np.array(steps[0][0]), _eye(width)  # a_1 (), I (p, p)
        few = ((width - fixed) / each for fixed, each in SPARED)
        self._few = sorted(accumulate(few, min))  # a later line spares only what earlier ones do
        most = len(steps) - 2
        self._ways = [_way(steps, max(-1, most - spared)) for spared in range(len(SPARED), -1, -1)]

    def way(self, row_count: int) -> Way:
        """Return the cheapest way of so many rows through the layers."""
        return self._ways[bisect_left(self._few, row_count)]

    def once(self, S: Array, rows: Array, times: Times = np.ndarray.dot) -> tuple[Array, Array]:
        """Return (rows · p(S), rows · r(S)), both (n, p): what one pass makes of rows, and leaves.

        S (p, p) is A/‖A‖_F of one prompt; equivalent to `effective_inverse`. With `np.matmul` for
        `times` the same of several prompts, S (B, p, p) and rows (B, n, p).
        """
        way = self.way(rows.shape[-2])
        answered = self._first * rows  # (n, p)
        left = rows - times(answered, S)  # (n, p)
        N, T = None, S  # (p, p) each; N is I
        for b, a in way.formed:
            turn = self._eye - b * T  # (p, p)
            N = times(turn, turn) if N is None else times(times(turn, N), turn)  # (p, p)
            T = times(S, N)  # (p, p)
            seen = a * times(left, N)  # (n, p)
            answered += seen
            left -= times(seen, S)
        F = None if way.turn is None else self._eye - way.turn * T  # (p, p)
        for turns, a in way.others:
            seen = a * _turned(left, N, T, F, turns, times)  # (n, p)
            answered += seen
            left -= times(seen, S)
        return answered, left


def _way(steps: Steps, formed: int) -> Way:
    """Return the way through the layers that forms N that often; of -1 not even F."""
    moves = [(np.array(b), np.array(a)) for (_, b), (a, _) in pairwise(steps)]
    turns: list[_Turns] = [()]
    for b, _ in moves[formed + 1 :]:
        turns.append((*turns[-1], (b, turns[-1])))
    if formed < 0:
        return Way((), None, [(turns[place + 1], a) for place, (_, a) in enumerate(moves)])
    rest = enumerate(moves[formed:])
    return Way(moves[:formed], moves[formed][0], [(turns[place], a) for place, (_, a) in rest])


def _turned(
    rows: Array, base: Array | None, T: Array, F: Array | None, turns: _Turns, times: Times
) -> Array:
    """Return rows (n, p) times N or T, the base, after the turn F and some more: none is formed.

    A turn that is formed takes 3 products of matrices, 3 p³; else it makes the products with rows
    three times as many.
    """
    if F is not None:
        rows = times(times(rows, F), F)  # (n, p)
    if base is not None:
        rows = times(rows, base)  # (n, p)
    for b, before in turns:
        rows = rows - b * _turned(rows, T, T, F, before, times)
        rows = rows - b * _turned(rows, T, T, F, before, times)
    return rows


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
