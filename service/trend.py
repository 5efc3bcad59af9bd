"""The last hours in memory: one point every half minute, whether anybody looks or not."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from monitoring.levels import CRITICAL
from monitoring.snapshot import Snapshot
from service.background import Repeating
from service.traffic import Rates

log = logging.getLogger("sonoba")

STEP_SECONDS = 30.0
POINT_COUNT = 720  # six hours


class Errors(NamedTuple):
    """How wrong one model was, in its normal errors; NaN where unknown."""

    score: float  # gate ÷ 2: 1 is the alarm line
    predicted_error: float
    leave_one_out: float
    ridge: float


class Point(NamedTuple):
    """One moment of the whole process."""

    seconds: float  # Unix time
    rates: Rates
    errors: Mapping[str, Errors]  # by model


class Trend(Repeating):
    """A ring of points and the thread that takes them."""

    def __init__(self, take: Callable[[], Point], step_seconds: float = STEP_SECONDS) -> None:
        """Take a point now and at every step."""
        super().__init__(self.add, step_seconds, "trend", is_first_at_once=True)
        self._take = take
        self._points: deque[Point] = deque(maxlen=POINT_COUNT)

    def points(self) -> list[Point]:
        """Return the points, oldest first."""
        return list(self._points)

    def add(self) -> None:
        """Take one point; one that cannot be had is a gap, not the end."""
        try:
            self._points.append(self._take())
        except Exception:
            log.exception("a point of the status page is missing")


def errors_of(snapshot: Snapshot) -> Errors:
    """Return what a snapshot says of the size of errors."""
    level = snapshot.levels.get("h")
    predicted = level.mean if level else float("nan")
    return Errors(snapshot.gate / CRITICAL, predicted, snapshot.loo_ratio, snapshot.ridge_ratio)
