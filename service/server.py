"""Puts one server together from its settings, starts it and drains it: the composition root."""

import gc
import logging
import threading
from typing import TYPE_CHECKING

from grpc_health.v1 import health
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from service import oip_port
from service.access import Access
from service.access_metrics import AccessCollector
from service.admin_port import AdminPort
from service.allocator import giving_back
from service.background import Background
from service.connections import raise_file_limit
from service.core import Predictor
from service.door import Door
from service.errors import STATUS
from service.health import READINESS, Health
from service.health_port import HealthPort
from service.installed import Installed
from service.loading import First, first_models
from service.metrics import LogCollector, RejectionCollector, ServiceCollector, ShadowCollector
from service.metrics_port import HttpPort, metrics_page, opened
from service.monitors import Monitors, watched
from service.oip import SpokenFor
from service.oip_repository import Repository
from service.public_port import PublicPort
from service.replica import SERVICE as REPLICA
from service.replica import Replica
from service.reservoir import reservoir_of
from service.shadow import Shadow
from service.slot import Served, Slots
from service.status import Status
from service.store_watch import StoreWatch
from service.straight import Samples
from service.stream import Streams
from service.swap_metrics import SwapCollector, SwapTally
from service.tally import MethodTally, PromptTally, RejectionTally
from service.telemetry import Telemetry
from service.tokens import Tokens
from service.tracing import Tracing
from service.validate import Limits

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger("sonoba")

SERVICE = READINESS
UNARY = {
    "Predict": Predictor.predict,
    "PredictBatch": Predictor.predict_batch,
    "SummarizeExamples": Predictor.summarize_examples,
    "GetModel": Predictor.get_model,
    "ListModels": Predictor.list_models,
}
STREAM = "PredictStream"


class Server:
    """One server process: predictions, health and reflection over gRPC, metrics over HTTP."""

    def __init__(self, settings: "Settings", tracing: Tracing | None = None) -> None:
        self._settings = settings
        self.registry = _registry()
        first = first_models(settings)
        self._slots = Slots((watched(one, settings) for one in first.all), settings.default_model)
        self._telemetry = Telemetry(settings, self._slots, tracing)
        self._shadow = Shadow(self._slots, settings.shadow_share)
        self._monitors = Monitors(self._slots, settings)
        self._prompts, swaps = PromptTally(self._slots.names()), SwapTally()
        self._rejections, self._reservoir = RejectionTally(STATUS), reservoir_of(settings)
        self._door = Door(Access(settings), is_asked=self._reservoir is not None)
        self.installed = self._follower(first, swaps)
        tallies = self._tallies()
        self._status = self._told(list(tallies.values()))
        self._predictor, self._admin = self._answering(), self._administered()
        self._open, self._watch = oip_port.tallies(self._telemetry.tally), self._looking(first)
        self._register([*tallies.values(), *self._open.values()], swaps)
        self._streams = self._streaming()
        self._port = self._build(self._predictor, tallies)
        self._health = Health(self._port.grpc, self._port.pools.admin)
        self._probes = HealthPort(settings, self._health)
        self._background = self._threads()
        self._metrics: HttpPort | None = None
        self.grpc_port = self.metrics_port = self.admin_port = 0
        self.described = _described(self._slots.names(), settings.default_model)

    def _tallies(self) -> dict[str, MethodTally]:
        """Return a tally of the calls of each method."""
        found = {name: self._telemetry.tally("unary", SERVICE, name) for name in UNARY}
        return found | {STREAM: self._telemetry.tally("bidi_stream", SERVICE, STREAM)}

    def _follower(self, first: First, swaps: SwapTally) -> Installed:
        """Return what follows the store; models of files stay what they are."""
        return Installed(
            self._slots,
            first,
            self._settings,
            swaps,
            coming=(lambda served: self._prompts.admit(served.name), self._shadow.admit),
            gone=(self._let_go,),
        )

    def _let_go(self, before: Served) -> None:
        """Forget a version that is no longer in force, but for the sums of its monitor."""
        self._predictor.forget(before.name)
        if before.monitor is not None:
            self._monitors.collector.retire(before.monitor)

    def _answering(self) -> Predictor:
        """Return what answers."""
        return Predictor(
            self._slots,
            limits_of(self._settings),
            self._prompts.observe,
            self._shadow.offer,
            self._telemetry.watch(self._monitors.watching.offer),
            self._status.is_harmed,
            None if self._reservoir is None else self._reservoir.offer,
            self._samples(),
        )

    def _samples(self) -> Samples | None:
        """Return who samples prompts; None where somebody, a trace or a reservoir, sees all."""
        if self._telemetry.traces or self._reservoir is not None:
            return None
        return Samples(self._prompts, self._shadow, self._monitors.watching)

    def _streaming(self) -> Streams:
        """Return what answers streams."""
        of, telemetry = self._settings, self._telemetry
        return Streams(
            self._predictor,
            of.max_streams,
            of.stream_seconds,
            of.default_deadline_seconds,
            self._door.admit(STREAM),
            telemetry.log_of(f"{SERVICE}/{STREAM}"),
            telemetry.count(self._rejections.count),
        )

    def _administered(self) -> AdminPort | None:
        """Return the administrators' port; without a token there is none."""
        settings = self._settings
        if settings.admin_token_file is None:
            return None
        replica = Replica(self.installed, self._reservoir, settings.max_message_bytes)
        tokens, count = Tokens(settings.admin_token_file), self._rejections.count
        return AdminPort(settings, tokens, REPLICA, replica.handlers(), count, self._door.access)

    def _register(self, calls: list[MethodTally], swaps: SwapTally) -> None:
        """Let everybody who counts be asked for metrics."""
        if self._admin is not None:
            calls = [*calls, *self._admin.tallies.values()]
        self.registry.register(ServiceCollector(calls, self._prompts, self._slots))
        self.registry.register(RejectionCollector(self._rejections))
        self.registry.register(ShadowCollector(self._shadow, self._monitors.reference_id))
        self.registry.register(self._monitors.collector)
        self.registry.register(SwapCollector(swaps))
        self.registry.register(AccessCollector(self._door.access))
        self.registry.register(LogCollector(self._telemetry.pace.counts))

    def _looking(self, first: First) -> StoreWatch | None:
        """Return what looks at the store; None without one."""
        if first.refresh is None:
            return None
        return StoreWatch(first.refresh, self.installed.follow, self._settings.store_poll_seconds)

    @property
    def health_port(self) -> int:
        """The port of health checks without TLS; 0 where there is none."""
        return self._probes.number

    def _threads(self) -> list[Background]:
        """Return what works beside the calls."""
        found: list[Background] = [self._port.bodies, self._shadow, self._monitors.watching]
        found.append(self._status.trend)
        found += [self._door.access.watch, self._probes]
        found.append(giving_back(lambda: self._port.pools.predict.pending))
        if self._reservoir is not None:
            found.append(self._reservoir)
        return found if self._watch is None else [*found, self._watch]

    def _told(self, calls: list[MethodTally]) -> Status:
        """Return the status of what is served, the default model first."""
        return Status(
            lambda: [monitor.snapshot() for monitor in self._monitors],
            calls,
            self._slots,
            diagnosed=self._monitors.diagnosed,
            last_evaluation=self.installed.last_evaluation,
            page_names=self._settings.page_names,
            keep_seconds=self._settings.monitor_hold_seconds,
        )

    def _build(self, predictor: Predictor, tallies: dict[str, MethodTally]) -> PublicPort:
        """Return the port of predictions with its methods."""
        port = PublicPort(self._settings, self._door, self._telemetry, self._rejections)
        predictor.ahead.waiting = port.bodies.waiting
        for name, method in UNARY.items():
            port.unary(SERVICE, name, method.__get__(predictor), tallies[name])
        port.stream(SERVICE, STREAM, self._streams.predict_stream, tallies[STREAM])
        oip_port.add(port, self._spoken_for(), self._open)
        if self._door.access.shows_contract:
            port.show_contract((SERVICE, health.SERVICE_NAME))
        self.registry.register(port.collector)
        return port

    def _spoken_for(self) -> SpokenFor:
        """Return what the Open Inference Protocol is spoken for."""
        look = None if self._watch is None else self._watch.look
        repository = Repository(self._slots, self.installed, look)
        of = self._predictor, self._slots, limits_of(self._settings), repository
        return SpokenFor(*of, lambda: self._health.is_ready)

    def start(self) -> None:
        """Listen and answer; a port in use is an error, never shared."""
        settings = self._settings
        admin = {} if self._admin is None else {"admin_host": settings.admin_host}
        self._door.access.check(host=settings.host, **admin)
        bind = self._door.access.transport.bind
        self.grpc_port = bind(self._port.grpc, "grpc_port", settings.host, settings.grpc_port)
        page = metrics_page(self.registry, self._status)
        self._metrics = opened("metrics_port", settings.host, settings.metrics_port, page)
        self.metrics_port = self._metrics.number
        if self._admin is not None:
            self.admin_port = self._admin.start()
        for thread in self._background:
            thread.start()
        raise_file_limit()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
        self._port.grpc.start()
        self._health.set_ready(True)

    def stop(self, lame_duck_seconds: float) -> None:
        """Turn unhealthy, wait for callers to notice, refuse new calls, finish those in flight."""
        self._health.set_ready(False)
        log.info(
            "draining: unhealthy for %g s, then no new calls",
            lame_duck_seconds,
            extra={"event": "drain"},
        )
        threading.Event().wait(lame_duck_seconds)
        self._streams.drain()
        self._port.grpc.stop(self._settings.drain_seconds).wait()
        if self._admin is not None:
            self._admin.stop(self._settings.drain_seconds)
        self._port.pools.shut_down()
        for thread in reversed(self._background):
            thread.stop()
        if self._metrics is not None:
            self._metrics.close()
        self._telemetry.close()
        log.info("stopped", extra={"event": "stop"})


def _registry() -> CollectorRegistry:
    """Return a registry of what is known of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _described(names: list[str], default: str) -> str:
    """Return what is served, in words."""
    others = ", ".join(name for name in names if name != default)
    return f"the model {default}" + (f"; by name also {others}" if others else "")


def limits_of(settings: "Settings") -> Limits:
    """Return the limits that requests are held to."""
    return Limits(
        feature_count_max=settings.feature_count_max,
        example_count_max=settings.example_count_max,
        query_count_max=settings.query_count_max,
        batch_prompt_count_max=settings.batch_prompt_count_max,
        element_count_max=settings.element_count_max,
        message_bytes_max=settings.max_message_bytes,
    )
