"""An exporter of every metric of the contract: a harmed service, soon after a promotion.

It stands in where no server with a re-evaluator runs; its counters are straight lines in time.
"""

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

OF_MODEL = {"model": "foundation", "reference": "0123abcd"}
REPLACED = {"model": "foundation", "reference": "4567ef01"}  # gains for its last seconds, doubled
LAST_SECONDS = 10
CHANNELS = ("h", "loo")
CALL = {"grpc_type": "unary", "grpc_service": "sonoba.v1.Predictor", "grpc_method": "Predict"}
CODES = {"OK": 50.0, "InvalidArgument": 2.0, "Internal": 1.0, "Unavailable": 0.0}
RATIO_BOUNDS = ("0.5", "0.8", "1.0", "1.25", "1.5", "2.0", "3.0", "5.0", "10.0", "20.0", "+Inf")
SECOND_BOUNDS = ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "+Inf")
INFO = ("mean", "mean_max", "covariance", "diagonal", "covariance_max", "tail", "glr")
QUANTITIES = ("h", "loo", "loo_ridge", "label_power", "query_signal")
Rates = dict[tuple[str, ...], float]  # label values → gain a second, or the value of a gauge


def named(labels: Iterable[str], value: float) -> Rates:
    """Return one value for each of several labels."""
    return {(label,): value for label in labels}


COUNTERS: dict[str, tuple[dict[str, str], tuple[str, ...], Rates]] = {
    "sonoba_drift_prompts": (OF_MODEL, (), {(): 50}),
    "sonoba_drift_rows": (OF_MODEL, (), {(): 1500}),
    "sonoba_drift_channel_prompts": (OF_MODEL, ("channel",), named(CHANNELS, 50)),
    "sonoba_drift_inflation": (OF_MODEL, ("channel",), named(CHANNELS, 200)),
    "sonoba_drift_inflation_sq": (OF_MODEL, ("channel",), named(CHANNELS, 850)),
    "sonoba_drift_clipped_prompts": (OF_MODEL, ("channel",), named(CHANNELS, 3)),
    "sonoba_drift_excess_error": (OF_MODEL, (), {(): 100}),
    "sonoba_drift_query_signal": (OF_MODEL, (), {(): 60}),
    "sonoba_drift_loo_error": (OF_MODEL, ("predictor",), {("served",): 150, ("ridge",): 60}),
    "sonoba_drift_loo_prompts": (OF_MODEL, ("predictor",), named(("served", "ridge"), 50)),
    "sonoba_drift_label_power": (OF_MODEL, (), {(): 70}),
    "sonoba_drift_length_effect": (OF_MODEL, (), {(): 80}),
    "sonoba_drift_shadow_disagreement": (OF_MODEL, (), {(): 1}),
    "sonoba_drift_shadow_prompts": (OF_MODEL, (), {(): 5}),
    "sonoba_drift_direction_sum": (
        OF_MODEL,
        ("direction", "sign"),
        {(str(n), sign): n for n in (1, 2, 3) for sign in ("positive", "negative")},
    ),
    "sonoba_drift_direction_mean_sq": (OF_MODEL, ("direction",), named("123", 2)),
    "sonoba_drift_direction_excess": (OF_MODEL, ("direction",), named("123", 3)),
    "sonoba_drift_skipped_prompts": (OF_MODEL, ("reason",), named(("queue_full", "budget"), 1)),
    "sonoba_queries": ({}, ("model",), {("foundation",): 55}),
    "sonoba_rejections": ({}, ("reason",), named(("BAD_SHAPE", "QUOTA_EXCEEDED"), 1)),
    "sonoba_swaps": ({"model": "foundation"}, ("outcome",), {("ok",): 0.2, ("refused",): 0.1}),
    "sonoba_reevaluations": (
        {"model": "foundation"},
        ("verdict", "outcome"),
        {("KEEP", "ok"): 0.3, ("RECALIBRATE", "ok"): 0.2, ("NONE", "error"): 0.1},
    ),
    "sonoba_promotions": ({"model": "foundation"}, ("outcome",), {("ok",): 0.1}),
    "grpc_server_started": (CALL, (), {(): 53}),
    "grpc_server_handled": (CALL, ("grpc_code",), {(code,): n for code, n in CODES.items()}),
}
GAUGES: dict[str, tuple[dict[str, str], tuple[str, ...], Rates]] = {
    "sonoba_drift_gate": (OF_MODEL, ("channel",), named(CHANNELS, 4)),
    "sonoba_drift_info_score": (OF_MODEL, (), {(): 1.5}),
    "sonoba_drift_info_channel_score": (OF_MODEL, ("channel",), named(INFO, 1.2)),
    "sonoba_drift_reference_info": (OF_MODEL, ("model_version",), {("1",): 1}),
    "sonoba_drift_reference_value": (
        OF_MODEL,
        ("quantity",),
        {**named(QUANTITIES, 1.0), ("noise_variance",): 0.5},
    ),
    "sonoba_drift_queue_prompts": (OF_MODEL, (), {(): 3}),
    "sonoba_drift_warming": (OF_MODEL, (), {(): 0}),
    "sonoba_regret_ratio": ({"model": "foundation"}, (), {(): 1.4}),
    "sonoba_pending_requests": ({}, (), {(): 2}),
    "sonoba_workers": ({}, (), {(): 4}),
    "sonoba_workers_alive": ({}, (), {(): 3}),
    "sonoba_model_info": ({"kind": "foundation"}, ("model", "version"), {("foundation", "1"): 1}),
}
CLOCKS = {"sonoba_last_reevaluation_timestamp_seconds": {"model": "foundation"}}
CLOCKS |= {"sonoba_publish_last_success_timestamp_seconds": {}}
CLOCKS |= {"sonoba_drift_last_update_timestamp_seconds": OF_MODEL}


class Moving(Collector):
    """Yields every family, with what its counters gained since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        elapsed = time.monotonic() - self._start
        for name, (fixed, varied, rates) in COUNTERS.items():
            family = CounterMetricFamily(name, name, labels=(*fixed, *varied))
            for labels, rate in rates.items():
                family.add_metric((*fixed.values(), *labels), rate * elapsed)
                if fixed is OF_MODEL:
                    rate *= 2 if name == "sonoba_drift_inflation" else 1
                    gained = rate * min(elapsed, LAST_SECONDS)
                    family.add_metric((*REPLACED.values(), *labels), gained)
            yield family
        for name, (fixed, varied, values) in GAUGES.items():
            gauge = GaugeMetricFamily(name, name, labels=(*fixed, *varied))
            for labels, value in values.items():
                gauge.add_metric((*fixed.values(), *labels), value)
                if name == "sonoba_drift_reference_value":
                    gauge.add_metric((*REPLACED.values(), *labels), value)
            yield gauge
        for name, fixed in CLOCKS.items():
            clock = GaugeMetricFamily(name, name, labels=tuple(fixed))
            clock.add_metric(tuple(fixed.values()), time.time() // 3 * 3)
            yield clock
        yield histogram("sonoba_drift_inflation_ratio", OF_MODEL, RATIO_BOUNDS, elapsed)
        yield histogram("grpc_server_handling_seconds", CALL, SECOND_BOUNDS, elapsed)
        evaluated = {"model": "foundation"}
        yield histogram("sonoba_reevaluation_seconds", evaluated, SECOND_BOUNDS, elapsed)


def histogram(
    name: str, labels: dict[str, str], bounds: tuple[str, ...], elapsed: float
) -> HistogramMetricFamily:
    """Return a histogram whose buckets fill at the same pace."""
    family = HistogramMetricFamily(name, name, labels=tuple(labels))
    buckets = [(bound, 5 * (n + 1) * elapsed) for n, bound in enumerate(bounds)]
    family.add_metric(tuple(labels.values()), buckets, 9 * elapsed)
    return family


def registry() -> CollectorRegistry:
    """Return a registry with all of it, and with the process's own numbers."""
    filled = CollectorRegistry()
    filled.register(Moving())
    ProcessCollector(registry=filled)
    return filled
