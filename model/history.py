"""Historical tasks, and prompts drawn from them as a caller would have sent them.

A group is one task: a store, a school, a week. Prompts never mix groups, and every group that is
long enough gives equally many, so that a large one does not decide what is normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.prompt import Block, Examples

Array = NDArray[np.float64]

QUERIES = 16  # asked of a prompt where its group has that many rows left
FEWEST_QUERIES = 3


@dataclass(frozen=True, slots=True)
class Group:
    """One historical task, rows in serving order; a sample of them when the group is large."""

    name: str
    x: Array  # (n, d)
    y: Array  # (n,)


@dataclass(frozen=True, slots=True)
class History:
    """The tasks of the past."""

    groups: tuple[Group, ...]
    is_ordered: bool  # rows follow time: contexts are windows, queries come after

    def long_enough(self, length: int) -> list[int]:
        """Return which groups can give prompts of `length` examples."""
        needed = length + FEWEST_QUERIES
        return [place for place, group in enumerate(self.groups) if len(group.y) >= needed]

    def chosen(self, places: Sequence[int]) -> "History":
        """Return the history of some groups."""
        return History(tuple(self.groups[place] for place in places), self.is_ordered)


class Prompts(NamedTuple):
    """P historical prompts of one length; a query of weight 0 only fills its row."""

    x: Array  # (P, M, d)
    y: Array  # (P, M)
    queries: Array  # (P, Q, d)
    targets: Array  # (P, Q)
    weight: Array  # (P, Q) 1 or 0
    groups: NDArray[np.int64]  # (P,) place in the history

    @property
    def block(self) -> Block:
        """What a model would be asked."""
        return Block(Examples(self.x, self.y), self.queries)

    def take(self, chosen: NDArray[np.bool_]) -> "Prompts":
        """Return the prompts where chosen (P,) is true."""
        return Prompts(
            self.x[chosen],
            self.y[chosen],
            self.queries[chosen],
            self.targets[chosen],
            self.weight[chosen],
            self.groups[chosen],
        )


def draw(history: History, length: int, count: int, seed: int) -> Prompts:
    """Return `count` prompts of `length` examples, balanced over the groups long enough.

    Examples and queries are drawn at random without replacement; where rows follow time they are a
    random window, the queries after the examples. ValueError where no group is long enough.
    """
    rng = np.random.default_rng([seed, length])
    places = history.long_enough(length)
    if not places:
        needed = length + FEWEST_QUERIES
        raise ValueError(f"groups: expected at least one of {needed} rows or more, got none")
    rounds = -(-count // len(places))
    members = np.concatenate([rng.permutation(places) for _ in range(rounds)])[:count]  # (P,)
    parts = [_one(history.groups[place], length, history.is_ordered, rng) for place in members]
    x, y, queries, targets, weight = (np.stack(part) for part in zip(*parts, strict=True))
    return Prompts(x, y, queries, targets, weight, members.astype(np.int64))


def _one(group: Group, M: int, is_ordered: bool, rng: "np.random.Generator") -> tuple[Array, ...]:
    """Return x (M, d), y (M,), queries (Q, d), targets (Q,) and weight (Q,) of one prompt."""
    n = len(group.y)
    Q = min(QUERIES, n - M)
    if is_ordered:
        rows = np.arange(M + Q) + rng.integers(0, n - M - Q + 1)  # (M + Q,)
    else:
        rows = rng.permutation(n)[: M + Q]  # (M + Q,)
    asked = np.concatenate([rows[M:], np.repeat(rows[M], QUERIES - Q)])  # (QUERIES,)
    weight = (np.arange(QUERIES) < Q).astype(np.float64)  # (QUERIES,)
    return group.x[rows[:M]], group.y[rows[:M]], group.x[asked], group.y[asked], weight
