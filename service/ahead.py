"""Answers found ahead of their turn: with a prompt whose turn has come, some that wait are solved.

A few prompts of one layout at once cost a fraction of as many one by one, and under load their
requests are there (service/arrivals.py). Only the arithmetic is done ahead: every call keeps its
turn, its deadline and its place. An answer is kept by the request itself, that very object, and by
what it was asked of; so none can reach another call, or outlive its version. Each is the same to
the bit as by itself. docs/adr/0036.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

TOGETHER_MAX = 16  # of which the first waits as long as for 8: docs/performance.md
TOGETHER_BYTES = 2**18  # of requests: the arithmetic of larger ones is what they cost
FEWEST = 2  # others; with one alone nothing is saved
KEPT_MAX = 32  # answers ahead, of calls of which some never come to their turn

Result = TypeVar("Result")
Fits = Callable[[bytes], bool]
"""Tells whether another request of as many bytes is answered in the same way."""


def nobody() -> Iterable[bytes]:
    """Return the requests that wait where nobody knows of them."""
    return ()


class Ahead:
    """What was found ahead; bounded, and safe to use from many threads."""

    def __init__(self) -> None:
        self.waiting: Callable[[], Iterable[bytes]] = nobody
        self._kept: dict[int, tuple[bytes, object, Any]] = {}
        self._lock = threading.Lock()

    def solved(
        self,
        wire: bytes,
        of: object,
        fits: Fits,
        alone: Callable[[], Result],
        together: Callable[[Sequence[bytes]], Sequence[Result]],
    ) -> Result:
        """Return what was found for a request of something, or solve it and some that wait.

        `together` returns of each request what `alone` does of this one.
        """
        found: Result | None = self.take(wire, of)
        if found is not None:
            return found
        others = self.claim(wire, fits)
        if others:
            try:
                own, *rest = together((wire, *others))
            except np.linalg.LinAlgError:
                return alone()  # one of them is to blame: each finds out at its own turn
            for other, answer in zip(others, rest, strict=True):
                self.keep(other, of, answer)
            return own
        return alone()

    def take(self, wire: bytes, of: object) -> Any:
        """Return what was found for a request of something, and forget it; None: nothing was."""
        kept = self._kept.pop(id(wire), None)  # which holds its request: no other has that id
        return None if kept is None or kept[1] is not of else kept[2]

    def claim(self, wire: bytes, fits: Fits) -> Sequence[bytes]:
        """Return other requests to be answered with this one, which nobody has claimed."""
        size, kept, found = len(wire), self._kept, []
        room = min(TOGETHER_MAX, TOGETHER_BYTES // size) - 1
        if room < FEWEST:
            return ()
        for other in self.waiting():
            if len(other) == size and id(other) not in kept and other is not wire and fits(other):
                found.append(other)
                if len(found) >= room:
                    break
        if len(found) < FEWEST:
            return ()
        with self._lock:
            for key in list(kept)[: max(0, len(kept) + len(found) - KEPT_MAX)]:  # the oldest
                kept.pop(key, None)
            for other in found:
                kept[id(other)] = other, None, None
        return found

    def keep(self, wire: bytes, of: object, answer: object) -> None:
        """Keep the answer to a claimed request until its turn, unless that has come already."""
        with self._lock:
            if id(wire) in self._kept:
                self._kept[id(wire)] = wire, of, answer
