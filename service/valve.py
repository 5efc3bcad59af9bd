"""Asks gRPC's core for as many calls as there is room for; what comes beyond, the core refuses.

grpcio asks for the next call as soon as one has come, whatever waits already, and a refusal in
Python costs a large part of an answer. So this stands between the two, and asks while there is
room. The core holds BACKLOG more calls, lets those go whose deadline passes, and refuses what
exceeds them for a twentieth of an answer's time (docs/adr/0024-overload.md has the figures).

Few requests for calls are outstanding at a time: what has come waits in one line with the requests
of calls that threads are reading, and with health, until the polling thread gets there.

This is the one place that reaches into grpcio (1.85: `_server._ServerState.server` and `.due`); a
test pins what it relies on. Where it is not as expected the valve stays out, and Python refuses.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

log = logging.getLogger("sonoba")

AHEAD_MAX = 16  # requests for calls outstanding


def backlog_options(count: int) -> list[tuple[str, int]]:
    """Return how many calls the core may hold that nobody has asked for."""
    return [
        ("grpc.server.max_pending_requests", count),
        ("grpc.server.max_pending_requests_hard_limit", count + 1),
    ]


class Valve:
    """Asks for calls while `room` says that some may come; `turn` looks again."""

    def __init__(self, room: Callable[[], int]) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._core: Any = None
        self._arguments: tuple[Any, ...] = ()
        self._is_closed = False
        self._shut_at = 0.0  # when the last request for a call had been used up
        self._shut_seconds = 0.0
        self._coming = 0  # has come, and is not yet counted by who keeps the room
        self.outstanding = 0

    def attach(self, server: grpc.Server) -> bool:
        """Stand between a server that has not started and its core; False where that is not known.

        Without the valve calls are let in as grpcio does, and refused by `Front`.
        """
        state = vars(server).get("_state")
        core, due = getattr(state, "server", None), getattr(state, "due", None)
        if state is None or type(due) is not set or due or not hasattr(core, "request_call"):
            log.warning("this grpcio has no place for the valve: overload is refused in Python")
            return False
        self._core = core
        state.server, state.due = _Core(self, core), _Due(self)
        return True

    def turn(self) -> None:
        """Ask for more calls if there is room for more than were asked for."""
        if self._wanted() <= 0:
            return
        with self._lock:
            while self._wanted() > 0 and self._arguments and not self._is_closed:
                if not self.outstanding and self._shut_at:
                    self._shut_seconds += time.monotonic() - self._shut_at
                    self._shut_at = 0.0
                self.outstanding += 1
                self._core.request_call(*self._arguments)

    def _wanted(self) -> int:
        return min(self._room() - self._coming, AHEAD_MAX) - self.outstanding

    def refusing_seconds(self) -> float:
        """Return for how long altogether no further call could come."""
        with self._lock:
            since = time.monotonic() - self._shut_at if self._shut_at else 0.0
            return self._shut_seconds + since

    def asked(self, arguments: tuple[Any, ...]) -> None:
        """Take note of what grpcio asks with: it would now ask for one call."""
        self._arguments, self._coming = arguments, 0
        self.turn()

    def came(self) -> None:
        """Take note that a call has come."""
        with self._lock:
            self.outstanding -= 1
            self._coming = 1
            if not self.outstanding and not self._is_closed:
                self._shut_at = time.monotonic()

    def close(self) -> None:
        """Ask for no call any more: the core is about to shut down."""
        with self._lock:
            self._is_closed = True


class _Core:
    """The core's server as grpcio knows it, with the valve before its calls."""

    def __init__(self, valve: Valve, core: Any) -> None:
        self._valve, self._core = valve, core

    def request_call(self, *arguments: Any) -> None:
        self._valve.asked(arguments)

    def shutdown(self, *arguments: Any) -> None:
        self._valve.close()
        self._core.shutdown(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


class _Due(set[Any]):
    """What grpcio waits for before it ends: requests for calls are counted, not noted."""

    def __init__(self, valve: Valve) -> None:
        super().__init__()
        self._valve = valve

    def add(self, tag: Any) -> None:
        if not _is_call(tag):
            super().add(tag)

    def remove(self, tag: Any) -> None:
        if _is_call(tag):
            self._valve.came()
        else:
            super().remove(tag)

    def __bool__(self) -> bool:
        return len(self) > 0 or self._valve.outstanding > 0


def _is_call(tag: Any) -> bool:
    """Whether a tag is that of a request for a call of any method."""
    return bool(tag == "request_call")
