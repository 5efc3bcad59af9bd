"""A few prompts of one length through a profile at once, each to the bit as it is by itself.

Equivalent to `profile_single.SinglePrompt.answer`, with the same products in the same order, a
matrix of each prompt at a time; what is saved is the cost of an array operation, which below d = 32
is more than its arithmetic.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy import matmul
from numpy.typing import NDArray

from model.answer import Solver
from model.coordinates import PRIOR_ROWS
from model.ladder import PASSES
from model.profile_shared import Shared

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def answer_together(
    shared: Shared, x: Array, y: Array, queries: Array
) -> list[tuple[Array, Solver] | None]:
    """Return of each prompt what `shared.finite` does: answers (Q,), and how they were reached.

    x (B, M, d), y (B, M), queries (B, Q, d); None of a prompt near the profile's limits.
    """
    label_mean = _dots(y, shared.average)  # (B, 1)
    labels = y - label_mean  # (B, M)
    mean, power = matmul(shared.average, x), _dots(labels, labels)  # (B, d), (B, 1)
    near = np.concatenate((mean[:, None], queries), axis=1) - shared.centre  # (B, 1+Q, d)
    fits = _are_ordinary(shared, near, label_mean, power)  # (B,)
    rows = shared.centred(x, mean[:, None])  # (B, M or M+1, d)
    scatter, products = matmul(rows.mT, rows), _times(labels, rows[:, : shared.count])
    if shared.is_scaled:
        scale = _own_scales(shared, scatter.diagonal(0, 1, 2))  # (B, d)
        scatter, products = scatter / scale[:, None] / scale[:, :, None], products / scale
        near /= scale[:, None]
    told, unit = matmul(near, shared.map), _units(shared, power)  # (B, 1+Q, p+1), (B, 1) or ()
    off, u, origin = told[:, 0], told[:, 1:] - told[:, :1], label_mean  # (B, p+1), (B, Q, p+1)
    A, b = _sums(shared, scatter, products / unit)  # (B, p, p), (B, p)
    if shared.has_intercept:
        origin = shared.level + shared.level_unit * off[:, -1:]  # (B, 1)
        gap = shared.gap + shared.sigma * off[:, :-1]  # (B, p)
        A += matmul((shared.coupling * gap)[:, :, None], gap[:, None])
        shift = shared.first + shared.off_share * gap  # (B, p) of every token
        b += (shared.count * (label_mean - origin) / unit) * shift
        u[:, :, :-1] += shift[:, None]
    learnt, solvers = _solved(shared, A, b, u[:, :, :-1])  # (B, Q)
    answers = origin + unit * (u[:, :, -1] + learnt)  # (B, Q)
    found = zip(fits.tolist(), answers, solvers, strict=True)
    return [_plain(one, solver) if is_fit else None for is_fit, one, solver in found]


def _plain(answers: Array, solver: Solver) -> tuple[Array, Solver] | None:
    return (answers, solver) if math.isfinite(answers.dot(answers)) else None


def _dots(rows: Array, others: Array) -> Array:
    """Return the products (B, 1) of vectors (B, n) with others (B, n), or with one (n,)."""
    products: Array = matmul(rows[:, None], others[..., None])[:, 0]
    return products


def _times(rows: Array, matrix: Array) -> Array:
    """Return vectors (B, n) times a matrix (n, k), or each times its own (B, n, k): (B, k)."""
    products: Array = matmul(rows[:, None], matrix)[:, 0]
    return products


def _are_ordinary(shared: Shared, near: Array, label_mean: Array, power: Array) -> Flags:
    """Return which prompts (B,) lie well inside the profile's limits; those with NaN do not."""
    ordinary = np.abs(label_mean - shared.label_centre) < shared.label_reach  # (B, 1)
    ordinary &= (shared.power_min < power) & (power < shared.power_max)
    inside: Flags = np.abs(near) < shared.reach  # (B, 1+Q, d)
    inside &= ordinary[:, None]
    return np.asarray(inside.all(axis=(1, 2)))


def _own_scales(shared: Shared, squares: Array) -> Array:
    """Return s · t (B, d) of the prompts."""
    power = squares / (shared.s * shared.s)  # (B, d)
    share = (power + PRIOR_ROWS * shared.variance) / (shared.count + PRIOR_ROWS)
    scales: Array = shared.s * np.sqrt(share)
    return scales


def _units(shared: Shared, power: Array) -> Array | float:
    """Return the unit of labels, (B, 1), or one of all."""
    if shared.has_fixed_unit:
        return shared.unit
    total = power + PRIOR_ROWS * shared.label_variance  # (B, 1)
    units: Array = shared.sigma * np.sqrt(total / (shared.count + PRIOR_ROWS))
    return units


def _sums(shared: Shared, scatter: Array, products: Array) -> tuple[Array, Array]:
    """Return the sums A (B, p, p) and b (B, p) of the tokens."""
    seen = matmul(scatter, shared.map)  # (B, d, p+1)
    A = matmul(shared.back, seen[:, :, :-1])  # (B, p, p)
    A += shared.prior_gram
    return A, matmul(shared.back, (products - seen[:, :, -1])[:, :, None])[:, :, 0]


def _solved(shared: Shared, A: Array, b: Array, queries: Array) -> tuple[Array, list[Solver]]:
    """Return what the examples add to the prior's answers (B, Q), and the stages that did."""
    D = A.diagonal(0, 1, 2) ** -0.5  # (B, p)
    A *= matmul(D[:, :, None], D[:, None])
    flat = A.reshape(len(A), -1)  # (B, p p)
    scale = 1.0 / np.sqrt(_dots(flat, flat)[:, None])  # (B, 1, 1) 1/‖A‖_F
    A *= scale
    rows = np.concatenate((b[:, None], queries), axis=1)  # (B, 1+Q, p)
    rows *= D[:, None]
    keys, solvers = _climbed(shared, A, rows, scale)  # (B, Q, p)
    return matmul(keys, rows[:, 0, :, None])[:, :, 0], solvers


class _Climb(NamedTuple):
    """The prompts that are not certified yet, and what the passes have made of their rows."""

    places: NDArray[np.intp]  # (n,) among all
    S: Array  # (n, p, p)
    rows: Array  # (n, 1+Q, p)
    scale: Array  # (n, 1, 1)
    total: Array  # (n, 1+Q, p)
    left: Array  # (n, 1+Q, p)

    def take(self, chosen: Flags) -> "_Climb":
        """Return some of them."""
        S, rows, scale = self.S[chosen], self.rows[chosen], self.scale[chosen]
        return _Climb(self.places[chosen], S, rows, scale, self.total[chosen], self.left[chosen])


def _climbed(shared: Shared, S: Array, rows: Array, scale: Array) -> tuple[Array, list[Solver]]:
    """Return P u (B, Q, p) of the queries, and each P's stage."""
    keys, solvers = np.empty_like(rows[:, 1:]), [Solver.EXACT] * len(S)  # (B, Q, p)
    nothing = np.zeros_like(rows)
    climb = _Climb(np.arange(len(S)), S, rows, scale, nothing, rows)
    for passes, solver in PASSES:
        climb = _passed(shared, climb, passes - passes // 2)  # 1, 2, 4 passes in all
        found = climb.total[:, 1:] * climb.scale  # (n, Q, p)
        certified = _are_certified(shared, found, climb)  # (n,)
        keys[climb.places] = found
        for place in climb.places[certified].tolist():
            solvers[place] = solver
        if certified.all():
            return keys, solvers
        climb = climb.take(~certified)
    solved = np.linalg.solve(climb.S, climb.rows[:, 1:].mT).mT  # (n, Q, p)
    keys[climb.places] = climb.scale * solved
    return keys, solvers


def _passed(shared: Shared, climb: _Climb, passes: int) -> _Climb:
    """Return the climb after some passes more."""
    total, left = climb.total, climb.left  # (n, 1+Q, p), (n, 1+Q, p)
    for _ in range(passes):
        more, left = shared.layers.once(climb.S, left, matmul)
        total = total + more
    return climb._replace(total=total, left=left)


def _are_certified(shared: Shared, keys: Array, climb: _Climb) -> Flags:
    """Return of which prompts (n,) one more pass would move no answer beyond the bound."""
    moved = np.abs(matmul(keys, climb.left[:, 0, :, None])[:, :, 0])  # (n, Q)
    leverage = (keys * climb.rows[:, 1:]).sum(axis=2)  # (n, Q)
    if not shared.has_intercept:
        leverage += 1.0 / shared.count
    by_noise = (moved <= shared.bound).all(axis=1)  # (n,) the noise alone covers it
    certified: Flags = (moved <= shared.bound * np.sqrt(1.0 + leverage)).all(axis=1)
    certified |= by_noise
    return certified
