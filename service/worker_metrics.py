"""What a supervisor counts, as Prometheus sees it."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from service.standing import Standing


class WorkerCollector(Collector):
    """Turns what is known of the workers into metric families on every scrape."""

    def __init__(self, standings: Callable[[], Sequence[Standing]]) -> None:
        self._standings = standings

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one moment."""
        standings = self._standings()
        text = "Server processes that there should be."
        wanted = GaugeMetricFamily("sonoba_workers", text)
        wanted.add_metric((), len(standings))
        yield wanted
        text = "Server processes that answer."
        alive = GaugeMetricFamily("sonoba_workers_alive", text)
        alive.add_metric((), sum(one.is_ready for one in standings))
        yield alive
        text = "Times that a server process that had ended was started again."
        restarts = CounterMetricFamily("sonoba_worker_restarts", text, labels=("worker",))
        for one in standings:
            restarts.add_metric((str(one.number),), one.restart_count)
        yield restarts


def registry_of(standings: Callable[[], Sequence[Standing]]) -> CollectorRegistry:
    """Return what a supervisor's metrics page shows."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(WorkerCollector(standings))
    return registry
