"""The tallies as Prometheus sees them; nothing is set anywhere else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

import grpc
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from model.answer import Mode, Solver
from model.checkpoint import Artifact
from monitoring.exporter import WARMING
from service.shadow import Shadow
from service.tally import (
    BUCKETS,
    RATIO_BUCKETS,
    ExemplaryTally,
    MethodTally,
    PromptTally,
    RejectionTally,
)

Values = Mapping[tuple[str, ...], int]
Bucket = tuple[str, float] | tuple[str, float, Exemplar]
METHOD = ("grpc_type", "grpc_service", "grpc_method")


class ServiceCollector(Collector):
    """Turns tallies into metric families on every scrape."""

    def __init__(
        self,
        calls: Sequence[MethodTally],
        prompts: PromptTally,
        in_force: Iterable[Artifact],
    ) -> None:
        """Take what is in force, to be asked again at every scrape."""
        self._calls = calls
        self._prompts = prompts
        self._in_force = in_force

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one snapshot."""
        yield from _call_families(self._calls)
        pending = GaugeMetricFamily("sonoba_pending_requests", "Calls begun and not ended.")
        pending.add_metric((), sum(map(_pending_count, self._calls)))
        yield pending
        yield from self._prompt_families()
        served = GaugeMetricFamily(
            "sonoba_model_info", "1 for every model in force.", labels=("model", "version", "kind")
        )
        for artifact in self._in_force:
            kind = artifact.model.mode.name.lower()
            served.add_metric((artifact.name, artifact.version, kind), 1)
        yield served

    def _prompt_families(self) -> Iterator[Metric]:
        tally = self._prompts
        tally.settle()
        with tally.lock:
            prompts, queries = dict(tally.prompts), dict(tally.queries)
            solvers = dict(tally.solvers)
        text = "Prompts answered, by model and by what really answered."
        yield _counter(
            "sonoba_prompts",
            text,
            ("model", "mode"),
            {(model, Mode(mode).name.lower()): n for (model, mode), n in prompts.items()},
        )
        named: Values = {(model,): n for model, n in queries.items()}
        yield _counter("sonoba_queries", "Queries answered.", ("model",), named)
        text = "Prompts answered, by how the layers reached the answer."
        named = {(Solver(solver).name.lower(),): n for solver, n in solvers.items()}
        yield _counter("sonoba_solver", text, ("solver",), named)


class RejectionCollector(Collector):
    """Turns the tally of refusals into a metric family on every scrape."""

    def __init__(self, tally: RejectionTally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Yield the family of one snapshot, every reason in it from the start."""
        with self._tally.lock:
            counts: Values = {(reason,): n for reason, n in self._tally.counts.items()}
        text = "Calls without an answer, by reason."
        yield _counter("sonoba_rejections", text, ("reason",), counts)


class LogCollector(Collector):
    """Turns the count of log lines that were left out into a metric family on every scrape."""

    def __init__(self, suppressed: Callable[[], Mapping[str, int]]) -> None:
        self._suppressed = suppressed

    def collect(self) -> Iterator[Metric]:
        """Yield the family of one snapshot; a reason is there once a line of it was left out."""
        counts: Values = {(reason,): n for reason, n in self._suppressed().items()}
        text = "Log lines about calls left out because there were too many, by reason."
        yield _counter("sonoba_log_lines_suppressed", text, ("reason",), counts)


class ShadowCollector(Collector):
    """Turns the tallies of the exact solves, by model, into metric families on every scrape."""

    def __init__(self, shadow: Shadow, reference_id: Callable[[str], str | None]) -> None:
        self._shadow, self._reference_id = shadow, reference_id

    def collect(self) -> Iterator[Metric]:
        """Yield both families of one snapshot."""
        text = "Largest distance of a prompt's answers from the exact ones, in standard errors."
        name, values = "sonoba_shadow_disagreement_ratio", dict[tuple[str, ...], int]()
        ratios = HistogramMetricFamily(name, text, labels=("model",))
        bounds = [*(str(bound) for bound in RATIO_BUCKETS), "+Inf"]
        for model, tally in self._shadow.tallies.items():
            with tally.lock:
                counts, total = list(accumulate(tally.buckets)), tally.ratios
                outcomes = dict(tally.outcomes)
            ratios.add_metric((model,), list(zip(bounds, counts, strict=True)), total)
            values |= {(model, outcome): n for outcome, n in outcomes.items()}
        yield ratios
        text = "Prompts chosen to be solved exactly too, by what came of it."
        yield _counter("sonoba_shadow_prompts", text, ("model", "outcome"), values)
        yield from self._sums()

    def _sums(self) -> Iterator[Metric]:
        """Yield the sums of the versions in force beside the monitor's, with their reference."""
        labels = ("model", "reference")
        name, text = "sonoba_drift_shadow_disagreement", "Sum of the distances from the exact ones."
        distance = CounterMetricFamily(name, text, labels=labels)
        name, text = "sonoba_drift_shadow_prompts", "Prompts of this sum."
        count = CounterMetricFamily(name, text, labels=labels)
        for model, (_, tally) in self._shadow.in_force.items():
            if (reference := self._reference_id(model)) is None:
                continue  # it is not watched
            own = (model, reference or WARMING)
            with tally.lock:
                distance.add_metric(own, tally.ratios)
                count.add_metric(own, tally.outcomes["solved"])
        yield from (distance, count)


def _pending_count(tally: MethodTally) -> int:
    tally.settle()
    with tally.lock:
        return tally.started - sum(tally.handled.values())


def _call_families(tallies: Sequence[MethodTally]) -> Iterator[Metric]:
    for tally in tallies:
        tally.settle()
    started: Values = {tally.labels: tally.started for tally in tallies}
    yield _counter("grpc_server_started", "Calls begun.", METHOD, started)
    received: Values = {tally.labels: tally.received for tally in tallies}
    yield _counter("grpc_server_msg_received", "Messages received.", METHOD, received)
    sent: Values = {tally.labels: tally.sent for tally in tallies}
    yield _counter("grpc_server_msg_sent", "Messages sent.", METHOD, sent)
    handled: Values = {
        (*tally.labels, _code_name(code)): n
        for tally in tallies
        for code, n in tally.handled.items()
    }
    text = "Calls ended, by status code."
    yield _counter("grpc_server_handled", text, (*METHOD, "grpc_code"), handled)
    name, text = "grpc_server_handling_seconds", "Time from a call's start to its end."
    seconds = HistogramMetricFamily(name, text, labels=METHOD)
    for tally in tallies:
        with tally.lock:
            counts, total = list(accumulate(tally.buckets)), tally.seconds
        seconds.add_metric(tally.labels, list(_buckets(tally, counts)), total)
    yield seconds


def _buckets(tally: MethodTally, counts: Iterable[int]) -> Iterator[Bucket]:
    """Yield the buckets of a histogram; one with a trace names it, as Grafana looks for it."""
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    exemplars = tally.exemplars if isinstance(tally, ExemplaryTally) else [None] * len(bounds)
    for bound, count, one in zip(bounds, counts, exemplars, strict=True):
        if one is None:
            yield bound, count
        else:
            yield bound, count, Exemplar({"trace_id": one.trace_id}, one.seconds, one.at)


def _counter(name: str, text: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for named, value in values.items():
        family.add_metric(named, value)
    return family


def _code_name(code: grpc.StatusCode) -> str:
    """Return a code as Go writes it: DEADLINE_EXCEEDED is DeadlineExceeded."""
    return "OK" if code is grpc.StatusCode.OK else code.name.title().replace("_", "")
