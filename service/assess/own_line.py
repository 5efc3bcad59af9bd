"""The best line through all rows of one group: what no linear answer to that group can beat by far.

Least squares with an intercept on standardised features, w = Z⁺(y - ȳ), directions without spread
left out. Its noise is √(RSS/(n - r - 1)) with r directions, unbiased where the relation is linear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.baselines import CONSTANT_SD, RANK_CUTOFF
from model.history import Group, Prompts

Array = NDArray[np.float64]

FEWEST_FREE = 5  # rows beyond the coefficients; fewer cannot tell a line from its noise


@dataclass(frozen=True, slots=True)
class OwnLine:
    """The line of one group and the size of what it leaves."""

    centre: Array  # (d,) mean of the features
    level: float  # mean of the labels
    slopes: Array  # (d,) target's unit a unit of the feature
    spread: Array  # (d,) deviation of the features within the group, 0 where constant
    noise: float  # target's unit
    free: int  # n - r - 1
    count: int  # n

    def answer(self, queries: Array) -> Array:
        """Return the line (..., ) at queries (..., d)."""
        values: Array = self.level + (queries - self.centre) @ self.slopes
        return values

    def error(self, prompts: Prompts) -> float:
        """Return the median NRMSE of the line on prompts of its group.

        The line has seen the queries, so its errors are taken √(n/free) times as large.
        """
        seen = nrmse(prompts, self.answer(prompts.queries))  # (P,)
        return float(np.median(seen)) * float(np.sqrt(self.count / self.free))


def own_line(group: Group) -> OwnLine | None:
    """Return the line of a group; None of a group with too few rows for one."""
    n = len(group.y)
    centre, spread = group.x.mean(axis=0), group.x.std(axis=0)  # (d,), (d,)
    constant = spread <= CONSTANT_SD * np.abs(group.x).max(axis=0)  # (d,)
    unit = np.where(constant, 1.0, spread)  # (d,)
    z = np.where(constant, 0.0, (group.x - centre) / unit)  # (n, d)
    level = float(group.y.mean())
    r = group.y - level  # (n,)
    values, vectors = np.linalg.eigh(z.T @ z / n)  # (d,), (d, d)
    kept = values > RANK_CUTOFF * max(float(values[-1]), 1.0)  # (d,)
    free = n - int(kept.sum()) - 1
    if free < FEWEST_FREE:
        return None
    along = vectors[:, kept].T @ (z.T @ r / n) / values[kept]  # (r,)
    w = vectors[:, kept] @ along  # (d,)
    noise = float(np.sqrt(((r - z @ w) ** 2).sum() / free))
    return OwnLine(centre, level, w / unit, np.where(constant, 0.0, spread), noise, free, n)


def nrmse(prompts: Prompts, answers: Array) -> Array:
    """Return the error (P,) of answers (P, Q): RMSE by the deviation of the prompt's labels."""
    square = np.where(prompts.weight > 0.0, (answers - prompts.targets) ** 2, 0.0)  # (P, Q)
    error: Array = np.sqrt(square.sum(axis=1) / prompts.weight.sum(axis=1)) / prompts.y.std(axis=1)
    return error
