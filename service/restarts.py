"""When a worker that died is started again, and when starting is given up.

The wait doubles with every death that follows a short life, and is forgotten after a long one.
"""

import math

STEADY_SECONDS = 60.0  # a life as long as this was no failure of the start
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0
FAILED_STARTS_MAX = 4  # in a row, of every worker


class Restarts:
    """The lives of one worker; times are of one monotonic clock, seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.due = math.inf  # when the next start is due
        self._short_lives = 0
        self._failed_starts = 0
        self._ready_at = math.nan

    @property
    def is_hopeless(self) -> bool:
        """Whether it has not once been ready in many starts."""
        return self._failed_starts >= FAILED_STARTS_MAX

    def ready(self, now: float) -> None:
        """Note that it answers."""
        self._ready_at, self._failed_starts = now, 0

    def ended(self, now: float) -> float:
        """Note a death, return the seconds until the next start."""
        was_ready = self._ready_at == self._ready_at
        self._failed_starts += not was_ready
        if was_ready and now - self._ready_at >= STEADY_SECONDS:
            self._short_lives = 0
        wait = min(FIRST_WAIT_SECONDS * 2.0**self._short_lives, LONGEST_WAIT_SECONDS)
        self._short_lives, self._ready_at = self._short_lives + 1, math.nan
        self.due = now + wait
        return wait

    def started(self) -> None:
        """Note that it was started again."""
        self.count += 1
        self.due = math.inf
