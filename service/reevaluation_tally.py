"""What a re-evaluator has done since its start, counted; metrics read it, nothing is set there."""

import threading
from bisect import bisect_left
from collections import Counter
from typing import Literal

SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper edges of the buckets of durations."""
UNJUDGED = "NONE"  # in place of a verdict, of an evaluation that failed before it had one
Outcome = Literal["ok", "rolled_back", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "rolled_back", "rejected")


class ReevaluationTally:
    """Counts of one process; `lock` is held while they are read together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reevaluations: Counter[tuple[str, str, str]] = Counter()  # model, verdict, ok or error
        self.promotions: Counter[tuple[str, str]] = Counter()  # model, outcome
        self.regret: dict[str, float] = {}  # by model, of its last verdict that knew it
        self.buckets: dict[str, list[int]] = {}  # by model, one more than SECONDS
        self.seconds: dict[str, float] = {}  # by model

    def judged(self, model: str, verdict: str, seconds: float, regret: float | None) -> None:
        """Count a verdict, and the time since somebody asked for it."""
        with self.lock:
            self.reevaluations[model, verdict, "ok"] += 1
            counts = self.buckets.setdefault(model, [0] * (len(SECONDS) + 1))
            counts[bisect_left(SECONDS, seconds)] += 1
            self.seconds[model] = self.seconds.get(model, 0.0) + seconds
            if regret is not None:
                self.regret[model] = regret

    def failed(self, model: str, verdict: str) -> None:
        """Count an evaluation that came to no end of its own, or that stands still."""
        with self.lock:
            self.reevaluations[model, verdict or UNJUDGED, "error"] += 1

    def promoted(self, model: str, outcome: Outcome) -> None:
        """Count what came of a candidate."""
        with self.lock:
            self.promotions[model, outcome] += 1
