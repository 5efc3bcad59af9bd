"""Puts one server together from its settings, starts it and drains it: the composition root."""

import gc
import logging
import threading
from pathlib import Path

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from model.checkpoint import FOUNDATION_FILE, Artifact, load, load_stored
from model.foundation import FoundationModel
from model.store import Store
from service.core import Predictor
from service.counting import counted_stream, counted_unary
from service.errors import STATUS, answered
from service.health import READINESS, Health
from service.metrics import RejectionCollector, ServiceCollector, ShadowCollector
from service.metrics_port import MetricsPort
from service.monitors import monitors_of
from service.pools import Pools, on_pool
from service.settings import Settings
from service.shadow import Shadow
from service.slot import Slots
from service.start_error import StartError
from service.status import Status
from service.stream import Streams
from service.tally import MethodTally, PromptTally, RejectionTally
from service.validate import Limits

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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.registry = _registry()
        artifacts = _artifacts(settings)
        self._shadow = Shadow(artifacts, settings.shadow_share)
        self._monitors = monitors_of(artifacts, settings)
        tallies = {name: MethodTally("unary", SERVICE, name) for name in UNARY}
        tallies[STREAM] = MethodTally("bidi_stream", SERVICE, STREAM)
        self._status = self._told(artifacts, list(tallies.values()))
        predictor = self._predictor(artifacts, list(tallies.values()))
        self._streams = Streams(
            predictor,
            settings.max_streams,
            settings.stream_seconds,
            settings.default_deadline_seconds,
        )
        self._pools = Pools(settings.threads, settings.max_streams)
        self._grpc = self._build(predictor, tallies)
        self._health = Health(self._grpc, self._pools.admin)
        self._metrics: MetricsPort | None = None
        self.grpc_port = 0
        self.metrics_port = 0
        self.described = _described(artifacts, settings.default_model)

    def _predictor(self, artifacts: list[Artifact], calls: list[MethodTally]) -> Predictor:
        """Return what answers, and let everybody who counts be asked for metrics."""
        prompts = PromptTally([artifact.name for artifact in artifacts])
        self.registry.register(ServiceCollector(calls, prompts, artifacts))
        reference_id = self._monitors.reference_id
        self.registry.register(ShadowCollector(self._shadow.tallies, reference_id))
        self.registry.register(self._monitors.collector)
        return Predictor(
            Slots(artifacts, self._settings.default_model),
            limits_of(self._settings),
            prompts.observe,
            self._shadow.offer,
            self._monitors.watching.offer,
            self._monitors.trusted(self._status.is_harmed),
        )

    def _told(self, artifacts: list[Artifact], calls: list[MethodTally]) -> Status:
        """Return the status of what is served, the default model first."""
        settings, by_model = self._settings, self._monitors.by_model
        artifacts = sorted(artifacts, key=lambda one: one.name != settings.default_model)
        return Status(
            lambda: [by_model[one.name].snapshot() for one in artifacts if one.name in by_model],
            calls,
            artifacts,
            diagnosed=self._monitors.diagnosed,
            page_names=settings.page_names,
            keep_seconds=settings.monitor_hold_seconds,
        )

    def _build(self, predictor: Predictor, tallies: dict[str, MethodTally]) -> grpc.Server:
        server = grpc.server(self._pools.predict, options=_options(self._settings))
        seconds = self._settings.default_deadline_seconds
        rejections = RejectionTally(STATUS)
        self.registry.register(RejectionCollector(rejections))
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
        for name, method in UNARY.items():
            behaviour = answered(method.__get__(predictor), seconds, rejections.count)
            counted = counted_unary(behaviour, tallies[name])
            handlers[name] = grpc.unary_unary_rpc_method_handler(counted)
        counted = counted_stream(self._streams.predict_stream, tallies[STREAM])
        stream = on_pool(self._pools.streams, counted)
        handlers[STREAM] = grpc.stream_stream_rpc_method_handler(stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if self._settings.reflection:
            names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server

    def start(self) -> None:
        """Listen and answer; a port in use is an error, never shared."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            self.grpc_port = self._grpc.add_insecure_port(address)
        except RuntimeError:
            self.grpc_port = 0
        if not self.grpc_port:
            raise StartError(f"grpc_port: cannot listen on {address}; is another server there?")
        try:
            self._metrics = MetricsPort(
                settings.host, settings.metrics_port, self.registry, self._status
            )
        except OSError as error:
            sentence = f"metrics_port: cannot listen on {settings.host}:{settings.metrics_port}"
            raise StartError(f"{sentence} ({error.strerror})") from None
        self.metrics_port = self._metrics.number
        self._shadow.start()
        self._monitors.watching.start()
        self._status.trend.start()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
        self._grpc.start()
        self._health.set_ready(True)

    def stop(self, lame_duck_seconds: float) -> None:
        """Turn unhealthy, wait for callers to notice, refuse new calls, finish those in flight."""
        self._health.set_ready(False)
        log.info("draining: unhealthy for %g s, then no new calls", lame_duck_seconds)
        threading.Event().wait(lame_duck_seconds)
        self._streams.drain()
        self._grpc.stop(self._settings.drain_seconds).wait()
        self._pools.shut_down()
        self._shadow.stop()
        self._monitors.watching.stop()
        self._status.trend.stop()
        if self._metrics is not None:
            self._metrics.close()
        log.info("stopped")


def _registry() -> CollectorRegistry:
    """Return a registry of what is known of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _described(artifacts: list[Artifact], default: str) -> str:
    """Return what is served, in words."""
    others = ", ".join(sorted(one.name for one in artifacts if one.name != default))
    return f"the model {default}" + (f"; by name also {others}" if others else "")


def _artifacts(settings: Settings) -> list[Artifact]:
    """Return the bundled foundation model, and the models of the settings' files and store."""
    artifacts = [load(path) for path in (FOUNDATION_FILE, *settings.model_files)]
    if settings.store is not None:
        if not Path(settings.store).is_dir():
            sentence = "expected a folder that `sonoba pretrain` wrote, got none"
            raise StartError(f"store: {settings.store}: {sentence}")
        fallback = artifacts[0].model
        assert isinstance(fallback, FoundationModel)
        for name in Store(Path(settings.store)).names():
            artifacts.append(load_stored(Path(settings.store), name, fallback=fallback))
    names = [artifact.name for artifact in artifacts]
    known = ", ".join(names)
    if len(set(names)) < len(names):
        raise StartError(f"model_files: expected models of different names, got {known}")
    if settings.default_model not in names:
        sentence = f"expected one of {known}, got {settings.default_model}"
        raise StartError(f"default_model: {sentence}")
    return artifacts


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # a second start on the port must fail, not share it
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", 60_000),
        ("grpc.keepalive_time_ms", 120_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def limits_of(settings: Settings) -> Limits:
    """Return the limits that requests are held to."""
    return Limits(
        feature_count_max=settings.feature_count_max,
        example_count_max=settings.example_count_max,
        query_count_max=settings.query_count_max,
        batch_prompt_count_max=settings.batch_prompt_count_max,
        element_count_max=settings.element_count_max,
        message_bytes_max=settings.max_message_bytes,
    )
