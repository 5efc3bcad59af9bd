"""Where the rows of a group lie outside of what the profile learnt: which column, how far.

A column's distance is the root mean square of (value - mean)/deviation over the group's rows, mean
and deviation those of all rows of the learnt groups: 1 is usual, and both a middle that is off and
a spread that is too wide show. A group is outside where that distance is at least 3 and beyond 1.2
times the farthest learnt group. The label is a column like others, the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.history import Group

Array = NDArray[np.float64]
Direction = Literal["above", "below", "around"]

FAR, BEYOND = 3.0, 1.2
CONSTANT = 1e-9  # deviation by size; below, a column never varied


@dataclass(frozen=True, slots=True)
class Farthest:
    """The column that lies farthest outside, by its limit."""

    column: int  # d is the label
    excess: float  # its distance by the limit: above 1 is outside
    deviations: float  # 0 where the learnt groups have one value only
    direction: Direction
    middle: float  # of the group
    usual: float  # mean of the learnt groups
    spread: float  # deviation of the learnt groups


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the learnt groups look like, column by column, the label last."""

    mean: Array  # (d + 1,)
    deviation: Array  # (d + 1,) 0 where a column never varied
    limit: Array  # (d + 1,)

    def distances(self, rows: Array) -> Array:
        """Return the distance (d + 1,) of rows (n, d + 1).

        Of a column that never varied: a little beyond its limit where most of the rows hold another
        value, else 0.
        """
        known = self.deviation > 0.0  # (d + 1,)
        off = rows - self.mean  # (n, d + 1)
        size = np.sqrt((off**2).mean(axis=0)) / np.where(known, self.deviation, 1.0)  # (d + 1,)
        other = np.abs(off) > CONSTANT * np.maximum(np.abs(self.mean), 1.0)  # (n, d + 1)
        strange = 1.01 * FAR * (2.0 * other.mean(axis=0) > 1.0)  # (d + 1,)
        found: Array = np.where(known, size, strange)
        return found

    def farthest(self, group: Group, with_label: bool = True) -> Farthest:
        """Return the column of a group that lies farthest by its limit."""
        rows = rows_of(group)  # (n, d + 1)
        distance = self.distances(rows)  # (d + 1,)
        excess = distance / self.limit  # (d + 1,)
        j = int(excess[: len(excess) if with_label else -1].argmax())
        middle, usual, spread = rows[:, j].mean(), self.mean[j], self.deviation[j]
        return Farthest(
            column=j,
            excess=float(excess[j]),
            deviations=float(distance[j]) if spread > 0.0 else 0.0,
            direction=_direction(float(middle - usual), float(spread)),
            middle=float(middle),
            usual=float(usual),
            spread=float(spread),
        )


def _direction(off: float, spread: float) -> Direction:
    """Return on which side a group's middle lies; around where it lies within one deviation."""
    if abs(off) <= spread:
        return "around"
    return "above" if off > 0.0 else "below"


def learnt_from(groups: Sequence[Group]) -> Learnt:
    """Return what groups look like; every row counts once."""
    rows = [rows_of(group) for group in groups]
    whole = np.concatenate(rows)  # (n, d + 1)
    mean, deviation = whole.mean(axis=0), whole.std(axis=0)  # (d + 1,), (d + 1,)
    deviation = np.where(deviation <= CONSTANT * np.abs(mean), 0.0, deviation)  # (d + 1,)
    start = Learnt(mean, deviation, np.full(len(mean), FAR))
    seen = np.stack([start.distances(part) for part in rows]).max(axis=0)  # (d + 1,)
    limit = np.where(deviation > 0.0, np.maximum(FAR, BEYOND * seen), FAR)  # (d + 1,)
    return Learnt(mean, deviation, limit)


def rows_of(group: Group) -> Array:
    """Return features and label (n, d + 1) of a group's rows."""
    return np.concatenate([group.x, group.y[:, None]], axis=1)
