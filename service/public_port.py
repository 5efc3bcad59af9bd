"""The port of predictions, put together: its threads, its front, and the methods behind it."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from service.arrivals import reader
from service.connections import connection_options
from service.counting import counted_stream
from service.door import Door
from service.errors import Admit, Handler, answered
from service.front import Behaviour, Front, Method
from service.overload_metrics import OverloadCollector
from service.pools import Pools, on_pool
from service.room import Room
from service.tally import MethodTally, RejectionTally
from service.telemetry import Telemetry
from service.transport import server_options
from service.valve import backlog_options

if TYPE_CHECKING:
    from service.settings import Settings

LARGE = ("PredictBatch", "SummarizeExamples", "ModelInfer")
"""Methods whose requests may hold many prompts or rows."""
PROBES = ("ServerLive", "ServerReady", "ModelReady")
"""Methods that must answer whatever waits: they pass by the front, in the threads of health."""
Stream = Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]


class PublicPort:
    """A gRPC server with a front; listens on what `grpc` is bound to."""

    def __init__(
        self, settings: "Settings", door: Door, telemetry: Telemetry, rejections: RejectionTally
    ) -> None:
        """Take who may call, what is told of calls, and who counts refusals."""
        self._seconds = settings.default_deadline_seconds
        self._door, self._telemetry, self._count = (
            door,
            telemetry,
            telemetry.count(rejections.count),
        )
        self.pools = Pools(settings.threads, settings.max_streams)
        room = Room(self.pools.predict, settings.max_pending)
        self.bodies = reader(self.pools.predict, settings.request_seconds)
        self.front = Front(door, self.pools, room, self.bodies, self._count)
        options = [*server_options(settings), *connection_options()]
        options += backlog_options(room.backlog)
        self.grpc = grpc.server(self.pools.predict, options=options)
        self.front.serve_on(self.grpc)
        parts = self.pools.predict, self.front.valve, self.bodies, rejections
        self.collector = OverloadCollector(*parts)

    def unary(self, service: str, name: str, handler: Handler, tally: MethodTally) -> None:
        """Serve a unary method of bytes."""
        path = f"{service}/{name}"
        log, telemetry = self._telemetry.log_of(path), self._telemetry

        def make(admit: Admit | None) -> Behaviour:
            behaviour = answered(handler, self._seconds, self._count, admit, log, tally)
            return telemetry.unary(behaviour, path)

        if name in PROBES:
            probe: Any = grpc.unary_unary_rpc_method_handler(on_pool(self.pools.admin, make(None)))
            self.grpc.add_registered_method_handlers(service, {name: probe})
            return
        enter = None if self._door.is_open_to_all(name) else self._door.enter(name)
        self.front.add(f"/{path}", Method(make, tally, enter, is_large=name in LARGE, told=log))

    def stream(self, service: str, name: str, behaviour: Stream, tally: MethodTally) -> None:
        """Serve a bidirectional method of bytes, in the threads of streams; it lets callers in."""
        path = f"{service}/{name}"

        def make(_: Admit | None) -> Behaviour:
            return self._telemetry.stream(counted_stream(behaviour, tally), path)

        told = self._telemetry.log_of(path)
        method = Method(make, tally, pool=self.pools.streams, is_stream=True, told=told)
        self.front.add(f"/{path}", method)

    def show_contract(self, services: Iterable[str]) -> None:
        """Let clients ask for the contract of services, in threads of its own."""
        shown = reflection.ReflectionServicer((*services, reflection.SERVICE_NAME))
        method = on_pool(self.pools.contract, shown.ServerReflectionInfo)
        setattr(shown, "ServerReflectionInfo", method)  # noqa: B010
        show = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        show(shown, self.grpc)  # type: ignore[no-untyped-call]  # generated
