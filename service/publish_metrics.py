"""Publishing as Prometheus sees it: when it last succeeded, and what kept it from that."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.publish_watch import PublishTally


class PublishCollector(Collector):
    """Turns the tally into metric families on every scrape."""

    def __init__(self, tally: PublishTally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Yield every family; all reasons are there from the start."""
        text = "When the ConfigMaps last held what the store does, Unix seconds; 0 until then."
        value = self._tally.last_success_seconds
        yield GaugeMetricFamily("sonoba_publish_last_success_timestamp_seconds", text, value=value)
        text = "Attempts to publish the store that failed, by reason."
        failures = CounterMetricFamily("sonoba_publish_failures", text, labels=("reason",))
        for reason, count in self._tally.failures.items():
            failures.add_metric((reason,), count)
        yield failures
