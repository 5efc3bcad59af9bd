"""What the process knows of itself, as the JSON of the status page.

The answer is judged at every step of the trend and at every request, so that its memory (since
when, what alarm still holds) does not depend on somebody looking.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from model.checkpoint import Artifact
from model.last_evaluation import LastEvaluation
from monitoring.snapshot import Snapshot
from service import traffic
from service.status_numbers import Section, lines, plain, reason
from service.status_sections import attribution, evaluation, kind_of, models, series
from service.tally import MethodTally
from service.trend import STEP_SECONDS, Point, Trend, errors_of
from service.trust import KEEP_SECONDS, Finding, Judge, Trust

Monitors = Callable[[], Sequence[Snapshot]]
"""Returns what the monitor of each model knows now, the default model's first."""
Evaluations = Callable[[str], LastEvaluation | None]
"""Returns the last evaluation of a model; None where there was none."""


class Status:
    """The answer of one process, and the last hours behind it."""

    def __init__(
        self,
        monitors: Monitors,
        calls: Sequence[MethodTally],
        in_force: Iterable[Artifact],
        *,
        diagnosed: Callable[[str], Snapshot | None] | None = None,
        last_evaluation: Evaluations | None = None,
        page_names: bool = False,
        keep_seconds: float = KEEP_SECONDS,
        step_seconds: float = STEP_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what to ask, and what to ask in detail of one model, by its name.

        `in_force`, the default model first, is asked again at every report; `page_names` shows
        names and values of features, `clock` is Unix time.
        """
        self._diagnosed, self._last_evaluation = diagnosed, last_evaluation
        self._monitors, self._calls, self._in_force = monitors, calls, in_force
        self._page_names, self._keep_seconds, self._clock = page_names, keep_seconds, clock
        self._lock = threading.Lock()
        self._judges: dict[tuple[str, str], Judge] = {}  # by model and reference
        self._trusts: dict[str, Trust] = {}  # by model
        self._trust, self._since = Trust.NOT_MEASURED, clock()
        self._readings = [traffic.read(calls, clock())]  # at the last two steps
        self.trend = Trend(self._step, step_seconds)  # to be started and stopped

    def report(self, model: str | None = None) -> Section:
        """Return the contract of `/status.json`, in detail for one model: by default the worst.

        A model that is not served is a KeyError.
        """
        with self._lock:
            now = self._clock()
            snapshots = {one.model: one for one in self._monitors()}
            worst, finding = self._answer(snapshots, now)
            points = [*self.trend.points(), self._point(snapshots, now)]
            trust, since = self._trust, self._since
        artifacts = list(self._in_force)
        shown = _named(artifacts, model or worst)
        return {
            "answer": trust,
            "reason": reason(finding, snapshots.get(worst)),
            "since": round(since),
            "now": round(now),
            "lines": lines(),
            "model": shown.name,
            "version": shown.version,
            "kind": kind_of(shown),
            **series(points, shown.name),
            "models": models(artifacts, snapshots),
            **self._details(shown, self._detailed(shown.name) or snapshots.get(shown.name)),
            "last_evaluation": evaluation(self._evaluated(shown.name), self._page_names),
            "replicas": 1,
        }

    def _detailed(self, model: str) -> Snapshot | None:
        return None if self._diagnosed is None else self._diagnosed(model)

    def _evaluated(self, model: str) -> LastEvaluation | None:
        return None if self._last_evaluation is None else self._last_evaluation(model)

    def _details(self, shown: Artifact, snapshot: Snapshot | None) -> Section:
        """Return the score of the model shown, and what moved it."""
        names = shown.schema.names if self._page_names else None
        score = plain(errors_of(snapshot).score) if snapshot else None
        return {"score": score, **attribution(snapshot, names)}

    def is_harmed(self, model: str) -> bool:
        """Return whether a harmful shift of one model is open."""
        with self._lock:
            self._answer({one.model: one for one in self._monitors()}, self._clock())
            return self._trusts.get(model) is Trust.NO

    def _step(self) -> Point:
        """Judge and return the point of one step."""
        with self._lock:
            now = self._clock()
            snapshots = {one.model: one for one in self._monitors()}
            self._answer(snapshots, now)
            point = self._point(snapshots, now)
            self._readings = [*self._readings[-1:], traffic.read(self._calls, now)]
            return point

    def _answer(self, snapshots: Mapping[str, Snapshot], now: float) -> tuple[str, Finding]:
        """Judge every model; return the worst one's name and finding."""
        keys = {(one.model, one.reference) for one in snapshots.values()}
        self._judges = {
            key: self._judges.get(key) or Judge(self._keep_seconds) for key in sorted(keys)
        }
        found = [
            (name, self._judges[name, one.reference].judge(one, now))
            for name, one in snapshots.items()
        ]
        self._trusts = {name: finding.trust for name, finding in found}
        nothing = ("", Finding(Trust.NOT_MEASURED, "NO_MONITOR"))
        worst = max(found, key=lambda pair: pair[1].trust.severity, default=nothing)
        if worst[1].trust is not self._trust:
            self._trust, self._since = worst[1].trust, now
        return worst

    def _point(self, snapshots: Mapping[str, Snapshot], now: float) -> Point:
        """Return the present moment; rates are over the last one or two steps."""
        reading = traffic.read(self._calls, now)
        rates = traffic.between(self._readings[0], reading)
        return Point(now, rates, {name: errors_of(one) for name, one in snapshots.items()})


def _named(artifacts: Sequence[Artifact], model: str) -> Artifact:
    """Return the model of a name; of none, the first."""
    named = {artifact.name: artifact for artifact in artifacts}
    return named[model] if model else artifacts[0]
