"""What was learnt of messages that come again, found by their length; bounded, for many threads."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Known = TypeVar("Known")

KNOWN_KEPT = 256
SAME_LENGTH_KEPT = 4  # of one length, each compared with a message of that length
LENGTHS_SEEN_KEPT = 4096


class ByLength(Generic[Known]):
    """A few of each of the lengths seen lately; one is learnt the second time its length comes."""

    def __init__(self) -> None:
        self.by_length: dict[int, tuple[Known, ...]] = {}  # the last first
        self._seen: set[int] = set()
        self._lock = threading.Lock()

    def _learn(
        self,
        length: int,
        make: Callable[[], Known | None],
        is_same: Callable[[Known, Known], bool] = lambda one, other: False,
    ) -> None:
        """Keep what is made of a message, if anything is, in place of what is the same."""
        with self._lock:
            if length not in self._seen:
                if len(self._seen) >= LENGTHS_SEEN_KEPT:
                    self._seen.clear()
                self._seen.add(length)
                return
            known = make()
            if known is None:
                return
            kept = self.by_length if len(self.by_length) < KNOWN_KEPT // SAME_LENGTH_KEPT else {}
            others = [one for one in kept.get(length, ()) if not is_same(one, known)]
            self.by_length = {**kept, length: (known, *others)[:SAME_LENGTH_KEPT]}

    def _forget(self, is_gone: Callable[[Known], bool]) -> None:
        """Let go of some."""
        with self._lock:
            kept = {
                length: tuple(one for one in several if not is_gone(one))
                for length, several in self.by_length.items()
            }
            self.by_length = {length: several for length, several in kept.items() if several}
