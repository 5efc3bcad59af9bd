"""What is counted of versions that come: swaps, refusals, and the prompts of candidates."""

import threading
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service import candidate_shadow

OUTCOMES = ("ok", "refused")


class SwapTally:
    """The versions of every model that were put in force or refused, since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._swaps: dict[tuple[str, str], int] = {}
        self._prompts: dict[tuple[str, str], int] = {}

    def admit(self, model: str) -> None:
        """Begin to count a model, at 0."""
        with self._lock:
            for outcome in OUTCOMES:
                self._swaps.setdefault((model, outcome), 0)
            for outcome in candidate_shadow.OUTCOMES:
                self._prompts.setdefault((model, outcome), 0)

    def count(self, model: str, outcome: str) -> None:
        """Count a version that came: one of OUTCOMES."""
        self.admit(model)
        with self._lock:
            self._swaps[model, outcome] += 1

    def prompts_of(self, model: str) -> Callable[[str, int], None]:
        """Return what counts the prompts of a model's candidates."""
        self.admit(model)

        def count(outcome: str, prompt_count: int) -> None:
            with self._lock:
                self._prompts[model, outcome] += prompt_count

        return count

    def swaps(self) -> dict[tuple[str, str], int]:
        """Return the versions that came, by model and outcome."""
        with self._lock:
            return dict(self._swaps)

    def prompts(self) -> dict[tuple[str, str], int]:
        """Return the prompts that candidates were shown, by model and what came of it."""
        with self._lock:
            return dict(self._prompts)


class SwapCollector(Collector):
    """Turns the tally into metric families on every scrape."""

    def __init__(self, tally: SwapTally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Yield both families of one snapshot."""
        labels = ("model", "outcome")
        text = "Versions of the store that were put in force or refused."
        swaps = CounterMetricFamily("sonoba_swaps", text, labels=labels)
        for named, count in self._tally.swaps().items():
            swaps.add_metric(named, count)
        yield swaps
        text = "Prompts shown to a candidate beside the version in force, by what came of it."
        prompts = CounterMetricFamily("sonoba_candidate_prompts", text, labels=labels)
        for named, count in self._tally.prompts().items():
            prompts.add_metric(named, count)
        yield prompts
