"""Doubts of a profile about prompts it answered: kinds of numbers, and ten statistics' limits.

docs/intervals.md, section 6: they inform and change no answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Warned
from model.explain import Smoother
from model.profile_range import Reference, broken_kinds, doubts, statistics
from model.prompt import Block
from model.support import warned_of

Array = NDArray[np.float64]

NEVER = float(np.finfo(np.float64).max)  # a stored version holds finite numbers only


@dataclass(frozen=True, slots=True)
class DoubtLimits:
    """The largest ordinary statistics of prompts, by length; NEVER where nothing is known."""

    lengths: Array  # (n,)
    limits: Array  # (n, 10)

    def of(self, count: int) -> Array:
        """Return the limits (10,) of the length nearest in ratio to `count` examples."""
        limits: Array = self.limits[np.abs(np.log(self.lengths / count)).argmin()]  # (10,)
        return limits


def limits_of(found: Sequence[tuple[int, Array]]) -> DoubtLimits | None:
    """Return lengths and their limits (10,) as one; None where there are none."""
    if not found:
        return None
    lengths = np.array([length for length, _ in found], np.float64)  # (n,)
    limits = np.stack([limits for _, limits in found])  # (n, 10)
    return DoubtLimits(lengths, np.nan_to_num(limits, nan=NEVER, posinf=NEVER))


def doubted(
    answer: Answer, block: Block, reference: Reference, smoother: Smoother, limits: DoubtLimits
) -> Answer:
    """Return the answer with what of its prompts is unlike history, each code once a prompt."""
    told = {(one.prompt, one.caution) for one in answer.warned}
    found = statistics(block, reference, smoother)  # (B, 10)
    more: list[Warned] = []
    strange = doubts(block, reference, found, limits.of(block.example_count))
    for finding in [*broken_kinds(block, reference), *strange]:  # the kind says more than a mean
        warned = warned_of(finding)
        if (warned.prompt, warned.caution) not in told:
            told.add((warned.prompt, warned.caution))
            more.append(warned)
    return answer._replace(warned=[*answer.warned, *more])
