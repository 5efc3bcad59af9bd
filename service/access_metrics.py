"""When the certificate ends, and whether files of access were taken when they changed."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.access import Access


class AccessCollector(Collector):
    """Tells of a process's access; nothing of what is not in use."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def collect(self) -> Iterator[Metric]:
        """Yield every family at this moment."""
        if (pair := self._access.transport.pair) is not None:
            ends = "Unix time at which the first certificate of the chain in use ends."
            yield _gauge("sonoba_certificate_expiry_timestamp_seconds", ends, pair.value.ends)
            life = "How long that chain is good, from its first to its last moment."
            yield _gauge("sonoba_certificate_lifetime_seconds", life, pair.value.life_seconds)
            tried = "New pairs of certificate and key that were taken, or left as no good."
            reloads = CounterMetricFamily("sonoba_certificate_reloads", tried, labels=["outcome"])
            for outcome, count in pair.reloads.items():
                reloads.add_metric([outcome], count)
            yield reloads
        files = [one for one in (self._access.callers_file, self._access.quota_file) if one]
        if files:
            tried = "Changed files of callers and quotas that were taken, or left as no good."
            labels = ["file", "outcome"]
            family = CounterMetricFamily("sonoba_access_file_reloads", tried, labels=labels)
            for file in files:
                for outcome, count in file.reloads.items():
                    family.add_metric([file.setting, outcome], count)
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
