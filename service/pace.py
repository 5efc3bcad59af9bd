"""How many log lines of one kind a second may bring, and how many were left out."""

import logging
import math
import threading
import time
from collections.abc import Callable

log = logging.getLogger("sonoba")

LINES_A_SECOND = 10


class Pace:
    """Lets a few lines of each kind through a second; counts the others, and says how many.

    What was left out is said within a second.
    """

    def __init__(
        self, lines_a_second: int = LINES_A_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._clock = lines_a_second, clock
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._written: dict[str, int] = {}
        self._unsaid: dict[str, int] = {}
        self._timer: threading.Timer | None = None
        self._suppressed: dict[str, int] = {}

    def lets(self, kind: str) -> bool:
        """Return whether a line of this kind may be written now."""
        with self._lock:
            now = self._clock()
            if now - self._began.get(kind, -math.inf) >= 1.0:
                self._began[kind], self._written[kind] = now, 0
            if self._written[kind] < self._most:
                self._written[kind] += 1
                return True
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            if self._timer is None:
                self._timer = threading.Timer(1.0, self.say)
                self._timer.daemon = True
                self._timer.start()
        return False

    def counts(self) -> dict[str, int]:
        """Return how many lines of each kind were left out since the start."""
        with self._lock:
            return dict(self._suppressed)

    def say(self) -> None:
        """Say what was left out since the last time, a line a kind."""
        with self._lock:
            unsaid, self._unsaid, self._timer = self._unsaid, {}, None
        for kind, count in sorted(unsaid.items()):
            told = {"event": "suppressed", "reason": kind, "suppressed_count": count}
            log.warning("%d more lines like those of %s were left out", count, kind, extra=told)
