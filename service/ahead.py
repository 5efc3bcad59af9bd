"""Answers found ahead of their turn: with a prompt whose turn has come, some that wait are solved.

A few prompts of one layout at once cost a fraction of as many one by one, and under load their
requests are there (service/arrivals.py). Only the arithmetic is done ahead: every call keeps its
turn, its deadline and its place. An answer is kept by the request itself, that very object, and by
what it was asked of; so none can reach another call, or outlive its version. Each is the same to
the bit as by itself. A call whose turn comes while its prompt is being solved waits for that, which
takes less than to solve it twice. docs/adr/0036.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

TOGETHER_MAX = 16  # of which the first waits as long as for 8: docs/performance.md
TOGETHER_BYTES = 2**18  # of requests: the arithmetic of larger ones is what they cost
FEWEST = 2  # others; with one alone nothing is saved
KEPT_MAX = 32  # answers ahead, of calls of which some never come to their turn
WAIT_SECONDS = 0.25  # for a solve in another thread, which takes a hundredth of it

Result = TypeVar("Result")
Fits = Callable[[bytes], bool]
"""Tells whether another request of as many bytes is answered in the same way."""


def nobody() -> Iterable[bytes]:
    """Return the requests that wait where nobody knows of them."""
    return ()


def others_at_most(size: int) -> int:
    """Return how many others are solved beside a request of so many bytes, at most."""
    others = min(TOGETHER_MAX, TOGETHER_BYTES // size) - 1
    return others if others >= FEWEST else 0


class _Claimed:
    """A request that is solved beside another one, and its answer once that is done."""

    __slots__ = ("answer", "of", "solving", "wire")

    def __init__(self, wire: bytes, of: object, solving: threading.Lock) -> None:
        self.wire, self.of, self.solving = wire, of, solving  # the lock is held until then
        self.answer: Any = None


class Ahead:
    """What was found ahead; bounded, and safe to use from many threads."""

    def __init__(self) -> None:
        self.waiting: Callable[[], Iterable[bytes]] = nobody
        self._kept: dict[int, _Claimed] = {}
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
        solving = threading.Lock()
        with solving:
            if not (others := self.claim(wire, of, fits, solving)):
                return alone()
            try:
                own, *rest = together((wire, *(other.wire for other in others)))
            except np.linalg.LinAlgError:
                return alone()  # one of them is to blame: each finds out at its own turn
            for other, answer in zip(others, rest, strict=True):
                other.answer = answer
            return own

    def take(self, wire: bytes, of: object) -> Any:
        """Return what was found for a request of something, and forget it; None: nothing was."""
        claimed = self._kept.pop(id(wire), None)  # which holds its request: no other has that id
        if claimed is None or claimed.of is not of:
            return None
        if claimed.answer is None and claimed.solving.acquire(timeout=WAIT_SECONDS):
            claimed.solving.release()
        return claimed.answer

    def claim(
        self, wire: bytes, of: object, fits: Fits, solving: threading.Lock
    ) -> Sequence[_Claimed]:
        """Return other requests to be solved beside this one, which nobody has claimed."""
        size, kept, found = len(wire), self._kept, []
        if not (most := others_at_most(size)):
            return ()
        for other in self.waiting():
            if len(other) == size and id(other) not in kept and other is not wire and fits(other):
                found.append(_Claimed(other, of, solving))
                if len(found) >= most:
                    break
        if len(found) < FEWEST:
            return ()
        with self._lock:
            for key in list(kept)[: max(0, len(kept) + len(found) - KEPT_MAX)]:  # the oldest
                kept.pop(key, None)
            for claimed in found:
                kept[id(claimed.wire)] = claimed
        return found
