"""Gives a unary call to a thread once its request is there, not before.

grpcio gives the call to a thread first; the thread asks for the request and waits for it. That is
two hand-overs between threads for every call, and a hand-over costs more than a prediction. Here
the polling thread asks, and a thread is woken once, with the request; so a slow caller keeps no
thread either (docs/adr/0021). Of what waits, a few requests more than there are threads are asked
for, in turn by tenants: memory holds no more of them, and caches neither.

This is the one place that asks for a request in grpcio's stead (1.85: `_server._receive_message`,
what `_unary_response_in_pool` takes, `_RPCState`); a test pins what it relies on. Where grpcio is
not as expected nothing of this is used, and threads read requests (service/bodies.py).
"""

import importlib
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from service.background import Repeating
from service.bodies import (
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    PRESSED_SECONDS,
    SLOW_MAX,
    Bodies,
    allowed_seconds,
)
from service.fair_pool import FairPool, Place, Task

log = logging.getLogger("sonoba")

ANSWER = ("rpc_event", "state", "behavior", "argument_thunk")
ANSWER_MORE = ("request_deserializer", "response_serializer")
RECEIVE = ("state", "call", "request_deserializer")
STATE = ("condition", "client", "due", "request", "statused", "context")
CANCELLED = "cancelled"
AHEAD = 8  # requests asked for beyond one a thread, half as many large ones


class Known(NamedTuple):
    """What is used of grpcio."""

    answer: Any  # runs a behaviour in a thread
    receive: Any  # makes what is told of the request
    operation: Any  # asks for it
    token: str  # names it among what is due

    @classmethod
    def find(cls) -> Self | None:
        """Return the parts of the grpcio at hand; None where one is not as expected."""
        try:
            server = importlib.import_module("grpc._server")
            cygrpc = importlib.import_module("grpc._cython.cygrpc")
            answer, receive = server._unary_response_in_pool, server._receive_message
            state, token = vars(server._RPCState()), server._RECEIVE_MESSAGE_TOKEN
            takes = tuple(inspect.signature(answer).parameters)
            tells = tuple(inspect.signature(receive).parameters)
            is_known = takes == ANSWER + ANSWER_MORE and tells == RECEIVE and {*STATE} <= {*state}
            is_known = is_known and server._CANCELLED == CANCELLED
            found = cls(answer, receive, cygrpc.ReceiveMessageOperation, token)
        except (ImportError, AttributeError, TypeError, ValueError):
            is_known = False
        if is_known:
            return found
        log.warning("this grpcio reads requests in another way: threads wait for them")
        return None


class Unread(NamedTuple):
    """What becomes of a call without a request; a behaviour has one as its `unread`."""

    gone: Callable[[bool], None]
    """Is told when nobody waits for the call any more, and whether its deadline has passed."""
    empty: Callable[[Any, Any], Any]
    """The behaviour of a call that brought no request."""


class _Coming(Task):
    """A call whose request is on its way, and then one that waits or runs like others."""

    __slots__ = ("_arrivals", "_behaviour", "_event", "_received", "_state", "since")

    def __init__(
        self, arrivals: "Arrivals", place: Place, work: Any, arguments: tuple[Any, ...]
    ) -> None:
        super().__init__(place, work, arguments)
        self._behaviour: Any = arguments[3]
        self._event, self._state = event, state = arguments[1:3]
        self._arrivals, self.since = arrivals, 0.0
        self._received = arrivals.known.receive(state, event.call, arguments[5])

    def begin(self) -> bool:
        """Ask for the request; False where nobody waits for the call any more."""
        known, state = self._arrivals.known, self._state
        with state.condition:
            if state.client == CANCELLED or state.statused:
                return False
            self.since = time.monotonic()
            self._event.call.start_server_batch((known.operation(0),), self._arrived)
            state.due.add(known.token)
        return True

    def cancel(self) -> None:
        """End the call; what is told of its request then comes at once."""
        self._event.call.cancel()

    def _arrived(self, event: Any) -> Any:
        """Take the request, or the news that there is none, on the polling thread."""
        told = self._received(event)
        self._arrivals.arrived(self)
        return told

    @property
    def wire(self) -> bytes:
        """The request, as it came; empty where there is none."""
        request: bytes | None = self._state.request
        return request or b""

    def run(self) -> None:
        """Answer the call, unless nobody waits for it."""
        state, behaviour, call = self._state, self._behaviour, self._arguments
        self._arrivals.here.pop(self, None)
        try:
            if state.client == CANCELLED:
                behaviour.unread.gone(self._event.call_details.deadline <= time.time())
                return
            if state.request is None:
                behaviour, state.request = behaviour.unread.empty, b""
            self._work(call[0], call[1], state, behaviour, self._request, call[5], call[6])
        finally:
            self._arrivals.ended(self.place.is_large)

    def _request(self) -> Any:
        state = self._state
        with state.condition:
            request, state.request = state.request, None
            return None if state.client == CANCELLED or state.statused else request


class _Line:
    """Calls of one kind whose requests are not asked for yet, by place in turn."""

    def __init__(self, begun_max: int) -> None:
        self.ring: deque[tuple[Place, deque[_Coming]]] = deque()
        self.waiting: dict[Place, deque[_Coming]] = {}
        self.begun, self.begun_max = 0, begun_max

    def put(self, coming: _Coming) -> None:
        found = self.waiting.get(coming.place)
        if found is None:
            found = self.waiting[coming.place] = deque()
            self.ring.append((coming.place, found))
        found.append(coming)

    def take(self) -> _Coming:
        turn = self.ring.popleft()
        coming = turn[1].popleft()
        if turn[1]:
            self.ring.append(turn)
        else:
            del self.waiting[turn[0]]
        return coming


class Arrivals(Repeating):
    """The calls whose requests are on their way; a thread of its own looks after slow ones.

    A call that is slow no longer counts as pending; while others wait to be asked for theirs, it is
    so after PRESSED_SECONDS. It is cancelled when its request has not come within
    `request_seconds`, or within PATIENCE_SECONDS when more than SLOW_MAX are slow and it is the
    oldest.
    """

    def __init__(
        self, known: Known, pool: FairPool, request_seconds: float, slow_max: int = SLOW_MAX
    ) -> None:
        super().__init__(self._watch, LOOK_SECONDS, "sonoba-arrivals")
        self.known, self._pool = known, pool
        self._seconds, self._slow_max = request_seconds, slow_max
        small, large = pool.thread_count, max(1, pool.thread_count // 2)
        self._lines = _Line(small + AHEAD), _Line(large + AHEAD // 2)
        self._open: dict[_Coming, None] = {}
        self.here: dict[_Coming, bytes] = {}
        """Requests that have come, of calls that no thread has begun."""
        self._slow: dict[_Coming, bool] = {}  # set aside; whether they were ended
        self._lock = threading.Lock()
        self.cancelled_count = 0
        pool.expected = self.expected

    @property
    def slow_count(self) -> int:
        """How many calls are slow."""
        return len(self._slow)

    def expected(self, place: Place, work: Any, arguments: tuple[Any, ...]) -> bool:
        """Wait for the request of a call that grpcio hands over; False of what is no such call."""
        if arguments[0] is not self.known.answer or not hasattr(arguments[3], "unread"):
            return False
        coming = _Coming(self, place, work, arguments)
        self._pool.expect(place)
        line = self._lines[place.is_large]
        with self._lock:
            if line.begun >= line.begun_max:
                line.put(coming)
                return True
            line.begun += 1
        self._begin(coming)
        return True

    def _begin(self, coming: _Coming) -> None:
        self._open[coming] = None
        if not coming.begin():
            self.arrived(coming)

    def arrived(self, coming: _Coming) -> None:
        """Let a call wait for a thread."""
        if self._open.pop(coming, self) is self:  # it has been set aside
            with self._lock:
                del self._slow[coming]
                self._lines[coming.place.is_large].begun += 1
        self.here[coming] = coming.wire
        self._pool.put(coming)

    def waiting(self) -> list[bytes]:
        """Return the requests that have come, of calls that wait for a thread."""
        return list(self.here.values())  # a copy in one step: others add and take meanwhile

    def ended(self, is_large: bool) -> None:
        """Ask for the next request: a call has been answered, or set aside."""
        line = self._lines[is_large]
        with self._lock:
            line.begun -= 1
            if not line.ring or line.begun >= line.begun_max:
                return
            coming = line.take()
            line.begun += 1
        self._begin(coming)

    def _watch(self) -> None:
        if self._open or self._slow:
            self.look()

    def look(self) -> None:
        """Set those aside that are slow, and cancel those that are too slow."""
        now, aside = time.monotonic(), []
        is_pressed = any(line.ring for line in self._lines)  # others wait to be asked for theirs
        patience = PRESSED_SECONDS if is_pressed else PATIENCE_SECONDS
        with self._lock:
            for coming in list(self._open):  # a copy in one step: others add and take meanwhile
                is_slow = 0.0 < coming.since < now - patience
                if is_slow and self._open.pop(coming, self) is None:  # else it has come by now
                    self._slow[coming] = False
                    aside.append(coming)
            for place, (coming, is_ended) in enumerate(self._slow.items()):
                allowed = allowed_seconds(place, len(self._slow), self._slow_max, self._seconds)
                if not is_ended and coming.since < now - allowed:
                    self._slow[coming] = True
                    self.cancelled_count += 1
                    coming.cancel()
        for coming in aside:
            self._pool.set_aside(coming)
            self.ended(coming.place.is_large)


def reader(pool: FairPool, request_seconds: float) -> Bodies | Arrivals:
    """Return who reads requests: before a thread has their calls where grpcio is as expected."""
    known = Known.find()
    return (
        Bodies(pool, request_seconds) if known is None else Arrivals(known, pool, request_seconds)
    )
