"""What is counted of prompts: sums that only grow, so that replicas add up exactly.

Sums over one prompt *are* the prompt, so they become public in blocks of 20 and more.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK_PROMPTS = 20
RATIO_BUCKETS = (0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
PREDICTORS = ("served", "ridge")


def _pair() -> Array:
    return np.zeros(2)


@dataclass(slots=True)
class Totals:
    """Sums over prompts; arrays of two are by channel (h, loo) or predictor (served, ridge)."""

    direction_count: int
    prompts: float = 0.0
    rows: float = 0.0
    channel_prompts: Array = field(default_factory=_pair)
    inflation: Array = field(default_factory=_pair)  # Σu
    inflation_square: Array = field(default_factory=_pair)  # Σu²
    clipped: Array = field(default_factory=_pair)
    excess_error: float = 0.0  # Σ(h - σ²)
    query_signal: float = 0.0
    loo_error: Array = field(default_factory=_pair)
    loo_prompts: Array = field(default_factory=_pair)
    label_power: float = 0.0
    length_effect: float = 0.0
    ratio_buckets: Array = field(default_factory=lambda: np.zeros(len(RATIO_BUCKETS) + 1))
    ratio_sum: float = 0.0
    directions: Array = field(init=False)  # (4, D) +z̄, -z̄, z̄², excess

    def __post_init__(self) -> None:
        self.directions = np.zeros((4, self.direction_count))

    def __iadd__(self, other: Self) -> Self:
        for name in self.__dataclass_fields__:
            if name != "direction_count":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class Released:
    """Totals that grow by whole blocks: what is public, and what still waits."""

    def __init__(self, direction_count: int) -> None:
        self.public = Totals(direction_count)
        self._waiting = Totals(direction_count)

    def add(self, totals: Totals) -> None:
        """Take the sums of some prompts; release them when a block is full."""
        self._waiting += totals
        if self._waiting.prompts >= BLOCK_PROMPTS:
            self.public += self._waiting
            self._waiting = Totals(self._waiting.direction_count)
