"""How far every method errs on held-out prompts of each length, and ours beside each.

An error is the median NRMSE over the prompts that a method answers. A ratio is that of the two
medians over the prompts that both answer, its bounds from drawing whole groups again
(`service.held_out.ratio`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.assess.asking import Asked
from service.assess.findings import Accuracy, Bounds, MethodError
from service.held_out import METHODS, PROFILE, Cell, ratio

Array = NDArray[np.float64]

WITHIN = 0.80  # of the answers err by less than what is said


def accuracy(cells: Sequence[Cell], asked: Mapping[int, Asked], seed: int) -> tuple[Accuracy, ...]:
    """Return every method's error a length; a length at which nothing is answered is left out."""
    return tuple(
        _of_length(cell, asked[cell.example_count], seed)
        for cell in cells
        if np.isfinite(cell.error[PROFILE]).any()
    )


def _of_length(cell: Cell, asked: Asked, seed: int) -> Accuracy:
    """Return one length; ours is the first method."""
    names = [name for name in METHODS if name in cell.error]
    found = [compared(cell, name, seed) for name in names]
    missed = np.abs(asked.misses[np.isfinite(asked.misses)])  # (n,)
    return Accuracy(
        example_count=cell.example_count,
        prompt_count=len(cell.group),
        methods=tuple(one for one in found if one is not None),
        typical_error=asked.typical_error,
        within=float(np.quantile(missed, WITHIN)),
    )


def compared(cell: Cell, name: str, seed: int) -> MethodError | None:
    """Return a method's error and our ratio to it; None where the two answer no common prompt.

    Of one group only, prompts are drawn again in its place: the bounds then speak of that group.
    """
    ours, theirs = cell.error[PROFILE], cell.error[name]  # (B,)
    answered = np.isfinite(theirs)  # (B,)
    both = answered & np.isfinite(ours)  # (B,)
    if not both.any():
        return None
    error = float(np.median(theirs[answered]))
    if name == PROFILE:
        return MethodError(name, error, Bounds(1.0, 1.0, 1.0))
    group = cell.group[both]  # (n,)
    if len(np.unique(group)) == 1:
        group = np.arange(len(group))
    pair = Cell(cell.example_count, group, {PROFILE: ours[both], name: theirs[both]})
    bounds = Bounds(*ratio([pair], PROFILE, name, seed))
    return MethodError(name, error, bounds)
