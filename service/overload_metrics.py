"""What is known of overload, as Prometheus sees it."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.arrivals import Arrivals
from service.bodies import Bodies
from service.fair_pool import FairPool
from service.tally import RejectionTally
from service.valve import Valve

QUEUED = "Calls that wait or run, of at most max_pending."
REFUSING = "Time in which further calls were refused unseen: they are in no other count."
EXPIRED = "Calls whose caller was gone or whose deadline had passed before they were computed."
SLOW = "Calls cancelled because their request did not arrive in time."


class OverloadCollector(Collector):
    """Asks the threads, the valve and the readers of requests on every scrape."""

    def __init__(
        self, pool: FairPool, valve: Valve, bodies: Bodies | Arrivals, rejections: RejectionTally
    ) -> None:
        self._pool, self._valve, self._bodies = pool, valve, bodies
        self._rejections = rejections

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one moment."""
        yield GaugeMetricFamily("sonoba_queued_requests", QUEUED, self._pool.pending)
        yield _counter("sonoba_refusing_seconds", REFUSING, self._valve.refusing_seconds())
        with self._rejections.lock:
            expired = self._rejections.counts["EXPIRED"]
        yield _counter("sonoba_expired_requests", EXPIRED, expired)
        yield _counter("sonoba_slow_requests_cancelled", SLOW, self._bodies.cancelled_count)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value)
