"""The re-evaluator as Prometheus sees it: its tally, and when each model was last judged.

Labels are model, verdict and outcome only; every series is there from the start, so that the first
event is seen as one.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from monitoring.verdict import Verdict
from service.reevaluation_tally import OUTCOMES, SECONDS, UNJUDGED, ReevaluationTally

BOUNDS = [*(str(bound) for bound in SECONDS), "+Inf"]


class ReevaluatorCollector(Collector):
    """Turns the tally into metric families on every scrape."""

    def __init__(
        self,
        tally: ReevaluationTally,
        names: Callable[[], Sequence[str]],
        last_seconds: Callable[[str], float],
        is_leading: Callable[[], bool],
    ) -> None:
        """Take the tally, the models, when each was last judged (Unix, 0: never), who acts."""
        self._tally, self._names = tally, names
        self._last_seconds, self._is_leading = last_seconds, is_leading

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one snapshot."""
        names = list(self._names())
        yield from self._counts(names)
        yield self._durations(names)
        text = "When the model was last judged, Unix seconds; 0 until then."
        last = GaugeMetricFamily(
            "sonoba_last_reevaluation_timestamp_seconds", text, labels=("model",)
        )
        for name in names:
            last.add_metric((name,), self._last_seconds(name))
        yield last
        text = "1 where this process acts, 0 where it stands by."
        yield GaugeMetricFamily("sonoba_reevaluator_leading", text, value=float(self._is_leading()))

    def _counts(self, names: Sequence[str]) -> Iterator[Metric]:
        tally, labels = self._tally, ("model", "verdict", "outcome")
        text = "Re-evaluations by verdict; outcome error: one that came to no end of its own."
        judged = CounterMetricFamily("sonoba_reevaluations", text, labels=labels)
        text = "Candidates by what came of them."
        promotions = CounterMetricFamily("sonoba_promotions", text, labels=("model", "outcome"))
        text = "Excess error over the least that any weights could reach, at the last verdict."
        regret = GaugeMetricFamily("sonoba_regret_ratio", text, labels=("model",))
        with tally.lock:
            for name in names:
                for verdict in (*map(str, Verdict), UNJUDGED):
                    for outcome in ("ok", "error") if verdict != UNJUDGED else ("error",):
                        key = (name, verdict, outcome)
                        judged.add_metric(key, tally.reevaluations[key])
                for outcome in OUTCOMES:
                    promotions.add_metric((name, outcome), tally.promotions[name, outcome])
                if name in tally.regret:
                    regret.add_metric((name,), tally.regret[name])
        yield from (judged, promotions, regret)

    def _durations(self, names: Sequence[str]) -> Metric:
        text = "Time from the request for a re-evaluation to its verdict."
        family = HistogramMetricFamily("sonoba_reevaluation_seconds", text, labels=("model",))
        with self._tally.lock:
            for name in names:
                counts = self._tally.buckets.get(name, [0] * len(BOUNDS))
                buckets = list(zip(BOUNDS, accumulate(counts), strict=True))
                family.add_metric((name,), buckets, self._tally.seconds.get(name, 0.0))
        return family


def registry_of(collector: ReevaluatorCollector) -> CollectorRegistry:
    """Return a registry of the re-evaluator and of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(collector)
    return registry
