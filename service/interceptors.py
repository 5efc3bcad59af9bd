"""What is counted of every call: the metrics of go-grpc-prometheus, and the prompts behind them."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from model.answer import Answer, Mode, Solver
from model.checkpoint import Artifact

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for type checkers only
METHOD = ["grpc_type", "grpc_service", "grpc_method"]


class _Children(NamedTuple):
    """The counters of one method, looked up once."""

    started: Counter
    received: Counter
    sent: Counter
    seconds: Histogram
    handled: dict[grpc.StatusCode, Counter]


class RpcMetrics(grpc.ServerInterceptor):
    """Counts and times every unary call and every prompt stream."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._started = counter("grpc_server_started_total", "Calls begun.", METHOD)
        text = "Calls ended, by status code."
        self._handled = counter("grpc_server_handled_total", text, [*METHOD, "grpc_code"])
        self._received = counter("grpc_server_msg_received_total", "Messages received.", METHOD)
        self._sent = counter("grpc_server_msg_sent_total", "Messages sent.", METHOD)
        name, text = "grpc_server_handling_seconds", "Time from a call's start to its end."
        self._seconds = Histogram(name, text, METHOD, buckets=BUCKETS, registry=registry)
        self._handlers: dict[str, Handler] = {}

    def prepare(self, service: str, methods: dict[str, str]) -> None:
        """Create the series of our own methods (name to type) for every code: none is absent."""
        for method, kind in methods.items():
            self._children(kind, service, method)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the method's handler with counting around it; made once a method."""
        name = handler_call_details.method
        handler = self._handlers.get(name)
        if handler is None:
            handler = continuation(handler_call_details)
            if handler is None:
                return None  # an unknown method: counting it would let callers make series
            handler = self._counted(handler, name)
            self._handlers[name] = handler
        return handler

    def _counted(self, handler: Handler, name: str) -> Handler:
        _, service, method = name.split("/")
        if handler.unary_unary:
            children = self._children("unary", service, method)
            behaviour = _counted_unary(handler.unary_unary, children)
            wrap = grpc.unary_unary_rpc_method_handler
        elif handler.stream_stream:
            children = self._children("bidi_stream", service, method)
            behaviour = _counted_stream(handler.stream_stream, children)
            wrap = grpc.stream_stream_rpc_method_handler
        else:
            return handler  # health's Watch, which the library runs without a thread
        inner = handler.unary_unary or handler.stream_stream
        pool = getattr(inner, "experimental_thread_pool", None)
        behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
        return wrap(behaviour, handler.request_deserializer, handler.response_serializer)

    def _children(self, kind: str, service: str, method: str) -> _Children:
        labels = (kind, service, method)
        return _Children(
            self._started.labels(*labels),
            self._received.labels(*labels),
            self._sent.labels(*labels),
            self._seconds.labels(*labels),
            {code: self._handled.labels(*labels, _code_name(code)) for code in grpc.StatusCode},
        )


def _code_name(code: grpc.StatusCode) -> str:
    """Return a code as Go writes it: DEADLINE_EXCEEDED is DeadlineExceeded."""
    return "OK" if code is grpc.StatusCode.OK else code.name.title().replace("_", "")


def _counted_unary(inner: Callable[..., Any], children: _Children) -> Callable[..., Any]:
    def behaviour(request: Any, context: Any) -> Any:
        begun = time.perf_counter()
        children.started.inc()
        children.received.inc()
        code = grpc.StatusCode.UNKNOWN
        try:
            response = inner(request, context)
            code = context.code() or grpc.StatusCode.OK
            children.sent.inc()
            return response
        except BaseException:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        finally:
            children.handled[code].inc()
            children.seconds.observe(time.perf_counter() - begun)

    return behaviour


def _counted_stream(inner: Callable[..., Any], children: _Children) -> Callable[..., Any]:
    def received(requests: Iterator[Any]) -> Iterator[Any]:
        for request in requests:
            children.received.inc()
            yield request

    def behaviour(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        begun = time.perf_counter()
        children.started.inc()
        code = grpc.StatusCode.CANCELLED  # what remains when the caller walks away
        try:
            for response in inner(received(requests), context):
                children.sent.inc()
                yield response
            code = context.code() or grpc.StatusCode.OK
        except Exception:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        finally:
            children.handled[code].inc()
            children.seconds.observe(time.perf_counter() - begun)

    return behaviour


class PromptMetrics:
    """Counts what the models answered."""

    def __init__(self, registry: CollectorRegistry, artifacts: list[Artifact]) -> None:
        text = "Prompts answered, by model and by what really answered."
        prompts = Counter("sonoba_prompts_total", text, ["model", "mode"], registry=registry)
        text = "Queries answered."
        queries = Counter("sonoba_queries_total", text, ["model"], registry=registry)
        text = "Prompts answered, by how the layers reached the answer."
        solver = Counter("sonoba_solver_total", text, ["solver"], registry=registry)
        names = [artifact.name for artifact in artifacts]
        self._prompts = {
            (name, int(mode)): prompts.labels(name, mode.name.lower())
            for name in names
            for mode in Mode
        }
        self._queries = {name: queries.labels(name) for name in names}
        self._solvers = {int(s): solver.labels(s.name.lower()) for s in Solver}
        served = Gauge(
            "sonoba_model_info",
            "1 for every model in force.",
            ["model", "version", "kind"],
            registry=registry,
        )
        for artifact in artifacts:
            served.labels(artifact.name, artifact.version, artifact.model.mode.name.lower()).set(1)

    def observe(self, model: str, answer: Answer, query_count: int) -> None:
        """Count one block of answers."""
        if len(answer.modes) == 1:  # the hot path: one prompt
            self._prompts[model, int(answer.modes[0])].inc()
            self._solvers[int(answer.solvers[0])].inc()
            self._queries[model].inc(query_count)
            return
        answered = answer.modes > 0
        for (name, mode), child in self._prompts.items():
            if name == model:
                child.inc(int((answer.modes == mode).sum()))
        for solver, child in self._solvers.items():
            child.inc(int((answer.solvers[answered] == solver).sum()))
        self._queries[model].inc(query_count * int(answered.sum()))
