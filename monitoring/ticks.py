"""A count that many threads raise and one reads, without a lock where it is raised.

`next` of `itertools.count` is one step of the interpreter; a lock around a sum is a dozen, and a
service takes each of them cold.
"""

import itertools
import threading
from collections.abc import Callable


class Ticks:
    """Counts calls of `tick`."""

    __slots__ = ("_lock", "_taken", "tick")

    def __init__(self) -> None:
        self.tick: Callable[[], int] = itertools.count().__next__
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> int:
        """Return how many there were since the last time.

        >>> ticks = Ticks()
        >>> ticks.tick(), ticks.tick(), ticks.take(), ticks.take()
        (0, 1, 2, 0)
        """
        with self._lock:
            now = self.tick()  # looking is a tick as well
            count, self._taken = now - self._taken, now + 1
        return count
