"""Asks gRPC's core for the next call when there is room; what comes meanwhile, the core holds.

grpcio asks as soon as a call has come, whatever waits already, and a refusal in Python costs a
large part of an answer. So this stands between the two, and holds grpcio's question back while
there is no room. The core then keeps as many calls as `backlog_options` says, lets those go whose
deadline passes, and refuses what exceeds them for a twentieth of an answer's time: with CANCELLED
and without details, before anybody has seen the call (docs/adr/0024-overload.md has the figures).

This is the one place that reaches into grpcio (1.85: `_server._ServerState.server`, which is asked
by `request_call` and ended by `shutdown`); a test pins it. Where it is not as expected the valve
stays out, and Python refuses.
"""

import logging
import threading
import time
from typing import Any

import grpc

from service.room import Room

log = logging.getLogger("sonoba")


def backlog_options(count: int) -> list[tuple[str, int]]:
    """Return how many calls the core may hold that nobody has asked for."""
    return [
        ("grpc.server.max_pending_requests", count),
        ("grpc.server.max_pending_requests_hard_limit", count + 1),
    ]


class Valve:
    """Lets grpcio ask for the next call while there is room; `turn` looks again."""

    def __init__(self, room: Room) -> None:
        self._room, self._pool = room, room.pool
        self._lock = threading.Lock()
        self._core: Any = None
        self._held: tuple[Any, ...] | None = None  # what grpcio asks with
        self._shut_at = self._shut_seconds = 0.0

    @property
    def is_shut(self) -> bool:
        """Whether a question is held back."""
        return self._held is not None

    def attach(self, server: grpc.Server) -> bool:
        """Stand between a server that has not started and its core; False where that is not known.

        Without the valve calls are let in as grpcio does, and refused by `Front`.
        """
        state = vars(server).get("_state")
        core = getattr(state, "server", None)
        if state is None or not (hasattr(core, "request_call") and hasattr(core, "shutdown")):
            log.warning("this grpcio has no place for the valve: overload is refused in Python")
            return False
        self._core, state.server = core, _Core(self, core)
        return True

    def ask(self, question: tuple[Any, ...]) -> None:
        """Ask for a call, now or when there is room."""
        if self._pool.pending >= self._room.places:
            with self._lock:
                if self._room.free() <= 0:  # with the lock: no call ends unseen after this
                    self._held, self._shut_at = question, time.monotonic()
                    return
        self._core.request_call(*question)

    def turn(self) -> None:
        """Ask what was held back, if there is room by now."""
        if self._held is not None:
            with self._lock:
                if self._room.free() > 0:
                    self._let_go()

    def close(self) -> None:
        """Ask what was held back, whatever waits: the core is about to end, and to answer that."""
        with self._lock:
            self._let_go()

    def refusing_seconds(self) -> float:
        """Return for how long altogether questions were held back."""
        with self._lock:
            since = time.monotonic() - self._shut_at if self._held is not None else 0.0
            return self._shut_seconds + since

    def _let_go(self) -> None:
        question, self._held = self._held, None
        if question is not None:
            self._shut_seconds += time.monotonic() - self._shut_at
            self._core.request_call(*question)


class _Core:
    """The core's server as grpcio knows it, with the valve before its calls."""

    def __init__(self, valve: Valve, core: Any) -> None:
        self._valve, self._core = valve, core

    def request_call(self, *question: Any) -> None:
        self._valve.ask(question)

    def shutdown(self, *arguments: Any) -> None:
        self._valve.close()
        self._core.shutdown(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
