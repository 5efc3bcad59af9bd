"""A fair share of more prompts than the monitor has time for, kept until it has.

Every prompt draws a number in [0, 1); those below a line stay. When too many stay the line falls,
so what is kept is at any time a uniform random sample of all that came since the last look. When as
many come as the last time, it falls at once to where it would end: to keep what will have to go
costs its copy.
"""

import random
import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from monitoring.ticks import Ticks

Prompt = TypeVar("Prompt")

MORE = 1.5  # times the capacity: what is kept in all when as many come as the last time


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
        self.line, self._came, self._left_out = 1.0, 0, 0
        self._expected_line = 1.0  # if as many come as the last time
        self._taken_in, self._passed_by = Ticks(), Ticks()
        self.take_in: Callable[[], object] = self._taken_in.tick
        """Counts, without a lock, a prompt that drew a number below `line`: it is to be offered."""
        self.pass_by: Callable[[], object] = self._passed_by.tick
        """Counts, without a lock, a prompt that drew another one: it is left out."""

    def __len__(self) -> int:
        return len(self._kept)

    def draw(self, count: int) -> list[tuple[int, float]]:
        """Count prompts that come; return which of them to offer, each with its number."""
        with self._lock:
            self._came += count
            if count == 1:  # the common case, without the cost of arrays
                if (number := random.random()) < self.line:
                    return [(0, number)]
                self._left_out += 1
                return []
            drawn_bytes = random.randbytes(8 * count)  # numpy.random would cost 5 MB of memory
            numbers = np.frombuffer(drawn_bytes, np.uint64) * 2.0**-64  # (count,) in [0, 1)
            drawn = np.flatnonzero(numbers < self.line)  # (n,)
            if len(drawn) > self._capacity:  # the others would have to go
                lowest = np.argpartition(numbers[drawn], self._capacity - 1)[: self._capacity]
                drawn = np.sort(drawn[lowest])  # (capacity,)
            self._left_out += count - len(drawn)
        return list(zip(drawn.tolist(), numbers[drawn].tolist(), strict=True))

    def offer(self, prompt: Prompt, number: float) -> None:
        """Keep a prompt that was drawn with its number; another may have to go for it."""
        with self._lock:
            self._kept.append((number, prompt))
            if len(self._kept) <= self._capacity:
                return
            if self._expected_line < self.line:
                self._fall()
            elif len(self._kept) > 2 * self._capacity:
                self._shrink()

    def _fall(self) -> None:
        """Lower the line to where it is expected to end."""
        count, self.line = len(self._kept), self._expected_line
        self._kept = [one for one in self._kept if one[0] < self.line]
        self._left_out += count - len(self._kept)

    def _shrink(self) -> None:
        self._kept.sort(key=lambda one: one[0])
        self._left_out += len(self._kept) - self._capacity
        del self._kept[self._capacity :]
        self.line = self._kept[-1][0] if self._kept else 1.0

    def take(self, capacity: int) -> Taken[Prompt]:
        """Return the sample and begin the next, of at most `capacity`."""
        with self._lock:
            if len(self._kept) > self._capacity:
                self._shrink()
            passed = self._passed_by.take()
            came = self._came + self._taken_in.take() + passed
            left_out = self._left_out + passed
            taken = Taken([prompt for _, prompt in self._kept], came, left_out)
            self._kept, self.line, self._capacity = [], 1.0, capacity
            self._expected_line = min(1.0, MORE * capacity / max(came, 1))
            self._came, self._left_out = 0, 0
        return taken
