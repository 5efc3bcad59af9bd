"""What a history says of a changed world: its usual values, and each group's own linear relation.

A group's slopes b minimise |y - ȳ - (X - X̄)b|² + λ|S(b - b₀)|², S the deviations of the columns and
b₀ the slopes that the learnt groups share; one λ serves all groups, the one whose leave-one-out
error is least. So long groups keep their own relation and short ones lean on what all have.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.history import Group, History

Array = NDArray[np.float64]

PENALTIES = np.geomspace(1e-6, 1e6, 13)
ROWS_MOST = 512  # of a group
SMALLEST = 1e-9  # of a mean: a smaller deviation is rounding


class Usual(NamedTuple):
    """The rows of a history together."""

    mean: Array  # (d,)
    deviation: Array  # (d,) 1 where a column is constant
    correlation: Array  # (d, d)
    varies: NDArray[np.bool_]  # (d,) more than two different values
    within: Array  # (d,) deviation of rows within a group
    low: Array  # (d,)
    high: Array  # (d,)


class Relation(NamedTuple):
    """The slopes (groups, d) of some groups in natural units, and the noise about them."""

    slopes: Array
    noise: float  # target's unit


def usual(history: History) -> Usual:
    """Return what the rows of a history are like."""
    rows = np.concatenate([group.x for group in history.groups])  # (n, d)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)  # (d,), (d,)
    is_constant = deviation <= SMALLEST * np.abs(mean)  # (d,)
    deviation = np.where(is_constant, 1.0, deviation)  # (d,)
    z = (rows - mean) / deviation  # (n, d)
    low, high = rows.min(axis=0), rows.max(axis=0)  # (d,), (d,)
    varies = ((rows > low) & (rows < high)).any(axis=0) & ~is_constant  # (d,)
    squares = [((g.x - g.x.mean(axis=0)) ** 2).sum(axis=0) for g in history.groups]  # (d,) each
    within = np.sqrt(np.sum(squares, axis=0) / len(rows))  # (d,)
    return Usual(mean, deviation, z.T @ z / len(z), varies, within, low, high)


def relation(groups: Sequence[Group], known: History, deviation: Array) -> Relation:
    """Return the slopes of every group, each in its own rows."""
    shared = _shared(known, deviation)  # (d,) standardised
    parts = [_centred(group, deviation) for group in groups]
    spectra = [np.linalg.svd(x, full_matrices=False) for x, _ in parts]
    left = [y - x @ shared for x, y in parts]  # (n,) each
    losses = sum(
        _left_out(spectrum[0], spectrum[1], y) for spectrum, y in zip(spectra, left, strict=True)
    )  # (penalties,)
    best = int(np.argmin(losses))
    count = sum(len(y) for y in left)
    slopes = [
        shared + vt.T @ (_shrunk(s, PENALTIES[best])[0] * (u.T @ y))
        for (u, s, vt), y in zip(spectra, left, strict=True)
    ]
    noise = float(np.sqrt(np.atleast_1d(losses)[best] / count))
    return Relation(np.array(slopes) / deviation, noise)


def _shared(known: History, deviation: Array) -> Array:
    """Return the slopes (d,) of all learnt groups together, standardised, about their own means."""
    d = len(deviation)
    gram, products = np.zeros((d, d)), np.zeros(d)  # (d, d), (d,)
    for group in known.groups:
        x, y = _centred(group, deviation)
        gram += x.T @ x
        products += x.T @ y
    ridge = 1e-6 * max(float(np.trace(gram)) / d, 1e-300)
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(d), products))  # (d,)


def _centred(group: Group, deviation: Array) -> tuple[Array, Array]:
    """Return x (n, d) in deviations and y (n,), less their means, of the last rows."""
    x, y = group.x[-ROWS_MOST:], group.y[-ROWS_MOST:]
    return (x - x.mean(axis=0)) / deviation, y - y.mean()


def _shrunk(s: Array, penalty: float) -> tuple[Array, Array]:
    """Return s/(s² + λ) (r,) and s²/(s² + λ) (r,)."""
    lifted = s * s + penalty  # (r,)
    return s / lifted, s * s / lifted


def _left_out(u: Array, s: Array, y: Array) -> Array:
    """Return the sum of squared errors (penalties,) of rows that were left out, one at a time."""
    along, n = u.T @ y, len(y)  # (r,)
    found = []
    for penalty in PENALTIES:
        share = _shrunk(s, penalty)[1]  # (r,)
        leverage = np.minimum((u * u) @ share + 1.0 / n, 1.0 - 1e-6)  # (n,)
        found.append(float((((y - u @ (share * along)) / (1.0 - leverage)) ** 2).sum()))
    return np.array(found)
