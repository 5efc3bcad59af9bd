"""A fair share of more prompts than the monitor has time for, kept until it has.

Every prompt draws a number in [0, 1); those below a line stay. When too many stay the line falls,
so what is kept is at any time a uniform random sample of all that came since the last look.
"""

import random
import threading
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Prompt = TypeVar("Prompt")


class Taken(NamedTuple, Generic[Prompt]):
    """What stayed since the last look, and how many came and were left out."""

    prompts: list[Prompt]
    came_count: int
    left_out_count: int


class Sampler(Generic[Prompt]):
    """Keeps at most `capacity` of the prompts that come between two looks."""

    def __init__(self, capacity: int) -> None:
        self._lock = threading.Lock()
        self._capacity = capacity
        self._kept: list[tuple[float, Prompt]] = []
        self._line, self._came, self._left_out = 1.0, 0, 0

    def __len__(self) -> int:
        return len(self._kept)

    def draw(self, count: int) -> NDArray[np.intp] | Sequence[int]:
        """Count prompts that come, and return which of them should be offered."""
        with self._lock:
            self._came += count
            if self._line >= 1.0:
                return range(count)
            if count == 1:
                drawn: NDArray[np.intp] | Sequence[int] = (0,) * (random.random() < self._line)
            else:
                drawn = np.flatnonzero(np.random.default_rng().random(count) < self._line)
            self._left_out += count - len(drawn)
            return drawn

    def offer(self, prompt: Prompt) -> None:
        """Keep a prompt that was drawn; another may have to go for it."""
        with self._lock:
            self._kept.append((random.random() * self._line, prompt))
            if len(self._kept) > 2 * self._capacity:
                self._shrink()

    def _shrink(self) -> None:
        self._kept.sort(key=lambda one: one[0])
        self._left_out += len(self._kept) - self._capacity
        del self._kept[self._capacity :]
        self._line = self._kept[-1][0] if self._kept else 1.0

    def take(self, capacity: int) -> Taken[Prompt]:
        """Return the sample and begin the next, of at most `capacity`."""
        with self._lock:
            if len(self._kept) > self._capacity:
                self._shrink()
            taken = Taken([prompt for _, prompt in self._kept], self._came, self._left_out)
            self._kept, self._line, self._capacity = [], 1.0, capacity
            self._came, self._left_out = 0, 0
        return taken
