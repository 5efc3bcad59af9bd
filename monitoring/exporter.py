"""Monitors as Prometheus sees them: state becomes metrics when it asks; nothing is set elsewhere.

Names and labels are the contract of docs/monitoring.md, "Metrics". Counters merge over replicas by
`sum`; a mean is a ratio of two of them. Nothing here names a caller, a group or a feature.

When a monitor is replaced, its sums are told for an hour more, so that the last scrapes count; what
it knew of the present (gate, scores, the reference in force) ends at once, or its alarms would go
on. A model has two references at most.
"""

import copy
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitoring.monitor import REASONS, Monitor
from monitoring.reference import Reference
from monitoring.snapshot import CHANNELS, Snapshot
from monitoring.totals import PREDICTORS, RATIO_BUCKETS, Totals

RETIRED_SECONDS = 3600.0  # for which the sums of a replaced monitor are told
OF_MODEL = ("model", "reference")
WARMING = "warming"  # the label while there is no reference

SINGLE = (
    ("sonoba_drift_prompts", "Prompts admitted to the statistics.", "prompts"),
    ("sonoba_drift_rows", "Examples of these prompts.", "rows"),
    (
        "sonoba_drift_excess_error",
        "Sum of predicted error less noise, working units²",
        "excess_error",
    ),
    ("sonoba_drift_query_signal", "Sum of the queries' signal, working units².", "query_signal"),
    ("sonoba_drift_label_power", "Sum of mean squared labels, working units².", "label_power"),
    (
        "sonoba_drift_length_effect",
        "Sum of what prompts' lengths do to the error.",
        "length_effect",
    ),
)
BY_CHANNEL = (
    ("sonoba_drift_channel_prompts", "Prompts with this statistic.", "channel_prompts"),
    ("sonoba_drift_inflation", "Sum of the clipped error ratio.", "inflation"),
    ("sonoba_drift_inflation_sq", "Sum of its squares.", "inflation_square"),
    ("sonoba_drift_clipped_prompts", "Prompts at the clip.", "clipped"),
)
BY_PREDICTOR = (
    ("sonoba_drift_loo_error", "Sum of leave-one-out errors, working units².", "loo_error"),
    ("sonoba_drift_loo_prompts", "Prompts of this sum.", "loo_prompts"),
)
REFERENCE_VALUES = ("predicted", "loo", "ridge", "label_power", "query_signal")
QUANTITIES = {"predicted": "h", "ridge": "loo_ridge"}


class MonitorCollector(Collector):
    """Yields the families of all monitors; `queued` counts the prompts that wait for a model's."""

    def __init__(
        self,
        monitors: Iterable[Monitor],
        queued: Callable[[str], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the monitors in force, to be asked again at every scrape; `clock` is in seconds."""
        self._monitors, self._queued, self._clock = monitors, queued, clock
        self._lock = threading.Lock()  # guards the next
        self._retired: dict[str, _Retired] = {}  # by model, the latest

    def retire(self, monitor: Monitor) -> None:
        """Tell the sums of a monitor that was replaced for RETIRED_SECONDS more.

        One without a reference has no sums: its rows are let go of, and the one before it stays.
        """
        if monitor.watch is not None:
            until = self._clock() + RETIRED_SECONDS
            with self._lock:
                self._retired[monitor.model] = _Retired(monitor, until)

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one moment."""
        monitors = list(self._monitors)
        snapshots = [monitor.snapshot() for monitor in monitors]
        counted = [_counted(monitor) for monitor in monitors]
        old = self._old({one.labels for one in counted})
        summed = [*counted, *(_counted(monitor) for monitor in old)]
        yield from _counters(summed)
        yield from _directions(summed)
        yield _ratios(summed)
        yield _skipped([*snapshots, *(monitor.snapshot() for monitor in old)])
        yield from self._gauges(snapshots)
        yield from _references(counted)

    def _old(self, known: set[tuple[str, str]]) -> list[Monitor]:
        """Return the retired whose time is not over and whose labels are not in force again."""
        now = self._clock()
        with self._lock:
            self._retired = {name: one for name, one in self._retired.items() if now < one.until}
            retired = [one.monitor for one in self._retired.values()]
        return [one for one in retired if (one.model, one.reference_id) not in known]

    def _gauges(self, snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
        name, text = "sonoba_drift_gate", "Lower 95 % bound of this process's error ratio."
        gate = GaugeMetricFamily(name, text, labels=(*OF_MODEL, "channel"))
        name, text = "sonoba_drift_info_score", "Distance of the covariates; 1 is the alarm line."
        score = GaugeMetricFamily(name, text, labels=OF_MODEL)
        name, text = "sonoba_drift_info_channel_score", "The same by channel."
        channels = GaugeMetricFamily(name, text, labels=(*OF_MODEL, "channel"))
        name, text = "sonoba_drift_warming", "1 while the model cannot be judged yet, else 0."
        warming = GaugeMetricFamily(name, text, labels=OF_MODEL)
        name, text = "sonoba_drift_queue_prompts", "Prompts that wait to be looked at."
        queue = GaugeMetricFamily(name, text, labels=OF_MODEL)
        name = "sonoba_drift_last_update_timestamp_seconds"
        updated = GaugeMetricFamily(name, "Unix time of the last prompt.", labels=OF_MODEL)
        for snapshot in snapshots:
            labels = _labels(snapshot)
            for channel, level in snapshot.levels.items():
                gate.add_metric((*labels, channel), level.gate)
            if snapshot.info_score == snapshot.info_score:
                score.add_metric(labels, snapshot.info_score)
                for channel, value in snapshot.info_channels.items():
                    channels.add_metric((*labels, channel), value)
            warming.add_metric(labels, float(snapshot.is_warming))
            queue.add_metric(labels, self._queued(snapshot.model))
            updated.add_metric(labels, snapshot.last_update_seconds)
        yield from (gate, score, channels, warming, queue, updated)


class _Retired(NamedTuple):
    """A monitor that was replaced, and until when its sums are told."""

    monitor: Monitor
    until: float  # on the collector's clock


def _labels(snapshot: Snapshot) -> tuple[str, str]:
    return snapshot.model, snapshot.reference or WARMING


class _Counted(NamedTuple):
    """The public sums of one monitor at one moment."""

    labels: tuple[str, str]
    totals: Totals
    version: str
    reference: Reference | None


def _counted(monitor: Monitor) -> _Counted:
    with monitor.lock:
        if (watch := monitor.watch) is None:
            return _Counted((monitor.model, WARMING), Totals(0), monitor.version, None)
        labels = monitor.model, watch.reference.id
        totals = copy.deepcopy(watch.released.public)  # all of one moment
        return _Counted(labels, totals, monitor.version, watch.reference)


def _counters(counted: Sequence[_Counted]) -> Iterator[Metric]:
    for name, text, attribute in SINGLE:
        family = CounterMetricFamily(name, text, labels=OF_MODEL)
        for one in counted:
            family.add_metric(one.labels, getattr(one.totals, attribute))
        yield family
    for families, label, values in (
        (BY_CHANNEL, "channel", CHANNELS),
        (BY_PREDICTOR, "predictor", PREDICTORS),
    ):
        for name, text, attribute in families:
            family = CounterMetricFamily(name, text, labels=(*OF_MODEL, label))
            for one in counted:
                sums = getattr(one.totals, attribute).tolist()
                for value, total in zip(values, sums, strict=True):
                    family.add_metric((*one.labels, value), total)
            yield family


def _directions(counted: Sequence[_Counted]) -> Iterator[Metric]:
    """Yield the sums by direction: eigenvectors of the reference, the largest variance first."""
    labels = (*OF_MODEL, "direction")
    name, text = "sonoba_drift_direction_sum", "Sums of the positive and negative parts of z̄."
    sums = CounterMetricFamily(name, text, labels=(*labels, "sign"))
    name = "sonoba_drift_direction_mean_sq"
    squares = CounterMetricFamily(name, "Sum of squares of z̄.", labels=labels)
    name, text = "sonoba_drift_direction_excess", "Sum of the excess error along a direction."
    excess = CounterMetricFamily(name, text, labels=labels)
    for one in counted:
        for place, column in enumerate(one.totals.directions.T.tolist()):
            own = (*one.labels, str(place + 1))
            sums.add_metric((*own, "positive"), column[0])
            sums.add_metric((*own, "negative"), column[1])
            squares.add_metric(own, column[2])
            excess.add_metric(own, column[3])
    yield from (sums, squares, excess)


def _ratios(counted: Sequence[_Counted]) -> Metric:
    name, text = "sonoba_drift_inflation_ratio", "Predicted error over normal, not clipped."
    family = HistogramMetricFamily(name, text, labels=OF_MODEL)
    bounds = [*(str(bound) for bound in RATIO_BUCKETS), "+Inf"]
    for one in counted:
        counts = accumulate(one.totals.ratio_buckets.tolist())
        family.add_metric(one.labels, list(zip(bounds, counts, strict=True)), one.totals.ratio_sum)
    return family


def _skipped(snapshots: Sequence[Snapshot]) -> Metric:
    name, text = "sonoba_drift_skipped_prompts", "Prompts left out of the statistics, by reason."
    family = CounterMetricFamily(name, text, labels=(*OF_MODEL, "reason"))
    for snapshot in snapshots:
        for reason in REASONS:
            family.add_metric((*_labels(snapshot), reason), snapshot.skipped[reason])
    return family


def _references(counted: Sequence[_Counted]) -> Iterator[Metric]:
    name, text = "sonoba_drift_reference_info", "1 for the reference in force."
    info = GaugeMetricFamily(name, text, labels=(*OF_MODEL, "model_version"))
    name, text = "sonoba_drift_reference_value", "Means over the reference, working units²."
    value = GaugeMetricFamily(name, text, labels=(*OF_MODEL, "quantity"))
    for one in counted:
        if one.reference is not None:
            info.add_metric((*one.labels, one.version), 1)
            for quantity in REFERENCE_VALUES:
                named = (*one.labels, QUANTITIES.get(quantity, quantity))
                value.add_metric(named, one.reference.baselines.mean(quantity))
            value.add_metric((*one.labels, "noise_variance"), one.reference.noise_variance)
    yield from (info, value)
