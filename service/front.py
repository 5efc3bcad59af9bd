"""What meets every call of the public port when it arrives: who calls, and is there room for it.

gRPC asks `Front.service` on its one polling thread, before anything of the request is read. So what
is refused here costs no thread and no memory, and what is let in waits in the place of its tenant
(service/pools.py). Beyond the room, gRPC's core refuses without asking (service/valve.py).
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import grpc

from model.refusal import Refusal
from service.arrivals import Arrivals, Unread
from service.bodies import Bodies
from service.call import Call
from service.call_log import CallLog
from service.door import Door, Enter
from service.errors import STATUS, Admit, ending
from service.inline import Inline
from service.pools import Pools, on_pool
from service.roles import PREDICTS, Caller
from service.room import Room
from service.tally import MethodTally
from service.tenants import ANONYMOUS, HEADER
from service.valve import Valve

log = logging.getLogger("sonoba")

HANDLERS_MAX = 4096  # of methods and callers; hints are as many as callers invent
REFUSERS_MAX = 256
EVERYBODY = Caller(ANONYMOUS, PREDICTS, "")  # who says nothing, where nobody need say anything
TELL_SECONDS = 10.0  # between two lines about an overload
Behaviour = Callable[[Any, grpc.ServicerContext], Any]
Make = Callable[[Admit | None], Behaviour]


class Method(NamedTuple):
    """One method of the port; made for a caller when that caller first calls.

    `make` takes what stands before the handler (None: nothing does) and returns the behaviour, of
    bytes where the method is unary. `enter` lets a caller in (`Door.enter`). Without a `pool` the
    method shares the threads of predictions; `is_large` may bring many prompts, and never takes
    all of these threads. `told` logs what is refused here.
    """

    make: Make
    tally: MethodTally
    enter: Enter | None = None
    pool: futures.ThreadPoolExecutor | None = None
    is_stream: bool = False
    is_large: bool = False
    told: CallLog | None = None


class Front(grpc.GenericRpcHandler):
    """Gives every call the handler of its method and its caller, or one that refuses."""

    def __init__(
        self,
        door: Door,
        pools: Pools,
        room: Room,
        bodies: Bodies | Arrivals,
        count: Callable[[str], None],
    ) -> None:
        """Take who may call, the threads, their room, who reads requests; `count` gets reasons."""
        self._door, self._pool, self._room, self._bodies = door, pools.predict, room, bodies
        self._is_plain = not door.access.callers.proves
        self._inline, self._count = pools.inline, count
        self._methods: dict[str, Method] = {}
        self._handlers: dict[tuple[str, Caller], Any] = {}
        self._plain: dict[str, Any] = {}  # handlers for who says nothing and need not
        self._refusers: dict[tuple[str, str, str], Any] = {}
        self._told_at = -TELL_SECONDS
        sentence = f"expected at most {room.max_pending} calls at once, got one more"
        self._full = Refusal("OVERLOADED", "", sentence)
        self.valve = Valve(room)
        self._pool.on_end, self._pool.watch_from = self._ended, max(1, room.places // 2)

    @property
    def handler_count(self) -> int:
        """How many handlers are kept, of methods and callers."""
        return len(self._handlers)

    def add(self, path: str, method: Method) -> None:
        """Serve a method at `/service/name`."""
        self._methods[path] = method

    def serve_on(self, server: grpc.Server) -> None:
        """Take the calls of a server that has not started."""
        server.add_generic_rpc_handlers((self,))
        if not self.valve.attach(server):
            self._room.places = self._room.max_pending

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call; None where there is no such method."""
        handler = self._plain.get(details.method)
        room = self._room
        if handler is None or room.last is not ANONYMOUS or self._pool.pending >= room.places:
            return self._chosen(details)
        for key, _ in details.invocation_metadata:
            if key == HEADER:
                return self._chosen(details)
        return handler

    def _chosen(self, details: grpc.HandlerCallDetails) -> Any:
        path = details.method
        method = self._methods.get(path)
        if method is None:
            return None
        try:
            caller = self._door.of(details.invocation_metadata)
        except Refusal as refusal:
            return self._refuser(path, method, refusal)
        if method.pool is None and not self._room.has_place(caller.tenant):
            self._tell()
            return self._refuser(path, method, self._full)
        return self._handlers.get((path, caller)) or self._handler(path, method, caller)

    def _ended(self) -> None:
        self._room.ended()
        self.valve.turn()

    def _handler(self, path: str, method: Method, caller: Caller) -> Any:
        """Make and keep the handler of a method for a caller."""
        behaviour = method.make(_admission(method.enter, caller))
        pool = method.pool or self._pool.place(caller.tenant, method.is_large)
        handler: Any
        if method.is_stream:
            handler = grpc.stream_stream_rpc_method_handler(on_pool(pool, behaviour))
        elif isinstance(self._bodies, Arrivals) and method.pool is None:
            setattr(behaviour, "experimental_thread_pool", pool)  # noqa: B010  as `on_pool` does,
            setattr(behaviour, "unread", self._unread(method))  # noqa: B010  a function less
            handler = grpc.unary_unary_rpc_method_handler(behaviour)
        else:
            behaviour = on_pool(pool, self._received(behaviour, method))
            handler = grpc.stream_unary_rpc_method_handler(behaviour)
        if len(self._handlers) >= HANDLERS_MAX:
            self._handlers.clear()
        self._handlers[path, caller] = handler
        if caller == EVERYBODY and self._is_plain and method.pool is None:
            self._plain[path] = handler
        return handler

    def _received(self, inner: Behaviour, method: Method) -> Behaviour:
        """Return a unary behaviour that reads its one request itself, once a thread has taken it.

        To grpcio it is one of a stream of requests: for a unary one it would read ahead of the
        behaviour, where nobody could tell that the caller is gone or how long it takes.
        """
        assert isinstance(self._bodies, Bodies)
        read, is_large = self._bodies.read, method.is_large

        def behaviour(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            try:
                wire = read(requests, context, is_large)
            except grpc.RpcError:
                self._expired(method, context.time_remaining() <= 0, context)
                raise
            except StopIteration:
                wire = None
            if wire is None:
                self._end(method, context, Refusal("MALFORMED_REQUEST", "", NO_REQUEST))
            return inner(wire, context)

        return behaviour

    def _unread(self, method: Method) -> Unread:
        """Return what becomes of calls of a method that bring no request."""

        def empty(_: object, context: grpc.ServicerContext) -> None:
            self._end(method, context, Refusal("MALFORMED_REQUEST", "", NO_REQUEST))

        return Unread(lambda is_late: self._expired(method, is_late, None), empty)

    def _expired(self, method: Method, is_late: bool, context: grpc.ServicerContext | None) -> None:
        """Count a call that nobody waits for any more; nothing of it was computed."""
        code = grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.CANCELLED
        method.tally.begin(0)
        method.tally.end(code, 0.0, 0)
        self._count("EXPIRED")
        _log(method, context, "EXPIRED", code)

    def _end(self, method: Method, context: grpc.ServicerContext, refusal: Refusal) -> None:
        method.tally.begin(0)
        method.tally.end(STATUS[refusal.reason], 0.0, 0)
        self._count(refusal.reason)
        _log(method, context, refusal.reason, STATUS[refusal.reason])
        context.abort_with_status(ending(refusal, Call(0.0).request_id))

    def _refuser(self, path: str, method: Method, refusal: Refusal) -> Any:
        """Return the handler that refuses at once, on the thread that asks for it.

        What it ends calls with is made once; so it names no request.
        """
        key = path, refusal.reason, str(refusal)
        found = self._refusers.get(key)
        if found is None:
            if len(self._refusers) >= REFUSERS_MAX:
                self._refusers.clear()
            found = self._refusers[key] = _refuser(method, refusal, self._count, self._inline)
        return found

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            sentence = "overloaded: %d calls wait or run, more are refused"
            log.warning(sentence, self._pool.pending, extra={"event": "overload"})


NO_REQUEST = "expected one request, got none"


def _admission(enter: Enter | None, caller: Caller) -> Admit | None:
    """Return what lets a known caller in."""
    if enter is None:
        return None
    let_in = enter

    def admit(context: grpc.ServicerContext, call: Call) -> None:
        let_in(context, call, caller)

    return admit


def _log(
    method: Method, context: grpc.ServicerContext | None, reason: str, code: grpc.StatusCode
) -> None:
    """Log what was refused before it was a call, a few lines a second."""
    if method.told is not None:
        method.told.refused(None, b"", context, reason, code.name)


def _refuser(method: Method, refusal: Refusal, count: Callable[[str], None], inline: Inline) -> Any:
    """Return a handler that ends a call before its request is read."""
    status, code, tally = ending(refusal, ""), STATUS[refusal.reason], method.tally

    def behaviour(requests: object, context: grpc.ServicerContext) -> None:
        tally.begin(0)
        tally.end(code, 0.0, 0)
        count(refusal.reason)
        _log(method, context, refusal.reason, code)
        context.abort_with_status(status)

    return grpc.stream_unary_rpc_method_handler(on_pool(inline, behaviour))
