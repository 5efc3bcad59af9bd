"""Spans of calls by OpenTelemetry: made only where an exporter is configured, an optional extra.

Names and attributes are those of the semantic conventions of RPC, and `sonoba.*` for the model and
the shape; never a number of a prompt, a name of a column, a tenant, a token. How spans are sampled
and where they go is configured by the library's own variables (OTEL_*), which it reads itself; of
them only whether there is an exporter is asked here (docs/adr/0026).
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from model.answer import Answer, Mode
from model.prompt import Block
from service import __version__
from service.slot import Served
from service.trace_context import CURRENT, Asked, Metadata, Trace

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger("sonoba")

EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("traceparent", "tracestate")
FLUSH_SECONDS = 3.0  # that a stop waits for a collector which does not answer
FAULTS = {  # codes that make a server's span an error, by the conventions
    *(grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED),
    *(grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS),
}
Method = Callable[[Any, Any], Any]


def open_tracing(environ: Mapping[str, str]) -> "Tracing | None":
    """Return what makes spans, where the environment names an exporter; warn where it cannot."""
    if not is_wanted(environ):
        return None
    exporter = environ.get(EXPORTER) or "otlp"
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), "grpc")
    fault = ""
    if exporter != "otlp":
        fault = f"{EXPORTER}: expected otlp or none, got {exporter}"
    elif protocol != "grpc":
        fault = f"{PROTOCOLS[1]}: expected grpc, got {protocol}"
    else:
        try:
            return Tracing(_provider(environ))
        except ImportError:
            fault = "expected the extra `otel` (pip install 'sonoba-server[otel]'), which is absent"
    log.warning("traces: %s; none are made", fault, extra={"event": "tracing"})
    return None


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for traces, as OpenTelemetry's specification reads it."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter := environ.get(EXPORTER):
        return exporter != "none"
    return any(environ.get(name) for name in ENDPOINTS)


class Tracing:
    """Makes a span of every call, a child of the caller's, and hands it to the exporter.

    `unary` and `stream` are put around methods at start; `note` and `reason` add to the span of the
    call at hand.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider, self._tracer = provider, provider.get_tracer("sonoba", __version__)
        self._w3c = TraceContextTextMapPropagator()

    def unary(self, inner: Method, method: str) -> Method:
        """Return a unary method that makes spans."""

        def behaviour(request: Any, context: Any) -> Any:
            span, code = self._begin(method, context), grpc.StatusCode.OK
            try:
                return inner(request, context)
            except BaseException:
                code = context.code() or grpc.StatusCode.UNKNOWN
                raise
            finally:
                _end(span, code)

        return behaviour

    def stream(self, inner: Method, method: str) -> Method:
        """Return a bidirectional method that makes one span for all of a call."""

        def behaviour(requests: Any, context: Any) -> Iterator[Any]:
            span, code = self._begin(method, context), grpc.StatusCode.CANCELLED
            try:
                yield from inner(requests, context)
                code = grpc.StatusCode.OK
            except Exception:
                code = context.code() or grpc.StatusCode.UNKNOWN
                raise
            finally:
                _end(span, code)

        return behaviour

    def note(self, artifact: Served, block: Block, answer: Answer) -> None:
        """Tell the span of this call which model answered prompts of which shape."""
        trace = CURRENT.get()
        if trace is None or not trace.is_sampled:
            return
        span: Span = trace.span  # type: ignore[assignment]  # what _begin put there
        trace.prompt_count += len(block.queries)
        modes = {mode for mode in answer.modes if mode}
        span.set_attributes(
            {
                "sonoba.model": artifact.name,
                "sonoba.model_version": artifact.version,
                "sonoba.mode": "/".join(Mode(mode).name.lower() for mode in sorted(modes)),
                "sonoba.prompt_count": trace.prompt_count,
                "sonoba.example_count": block.example_count,
                "sonoba.feature_count": block.queries.shape[2],
                "sonoba.query_count": block.queries.shape[1],
            }
        )

    def reason(self, reason: str) -> None:
        """Tell the span of this call why it was refused."""
        trace = CURRENT.get()
        if trace is not None and trace.is_sampled:
            trace.span.set_attribute("sonoba.reason", reason)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Send what is left, as long as the collector takes it within seconds."""
        flushing = threading.Thread(target=self._provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if flushing.is_alive():
            log.warning("traces: the collector does not answer; the last ones are lost")

    def _begin(self, method: str, context: Asked) -> "Span":
        from opentelemetry.trace import SpanKind

        parent = self._parent(context.invocation_metadata())
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        ids = span.get_span_context()
        CURRENT.set(Trace(f"{ids.trace_id:032x}", ids.trace_flags.sampled, span))
        return span

    def _parent(self, metadata: Metadata) -> "Context":
        """Return the caller's span, or no span."""
        from opentelemetry.context import Context

        carrier = {key: value for key, value in metadata if key in HEADERS}
        return self._w3c.extract(carrier, Context()) if carrier else Context()


def _end(span: "Span", code: grpc.StatusCode) -> None:
    """End the span of the call at hand with its status."""
    from opentelemetry.trace import Status, StatusCode

    CURRENT.set(None)
    span.set_attribute("rpc.response.status_code", code.name)
    if code in FAULTS:
        span.set_attribute("error.type", code.name)
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _provider(environ: Mapping[str, str]) -> "TracerProvider":
    """Return the library's provider, set up by its own variables, with an exporter."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(environ), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _resource(environ: Mapping[str, str]) -> "Resource":
    """Return what every span says of this process; OTEL_RESOURCE_ATTRIBUTES has the last word."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = {
        "service.name": "sonoba",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())
