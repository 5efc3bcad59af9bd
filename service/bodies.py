"""Reads the requests of unary calls, and keeps threads from callers who send theirs slowly.

A thread that has waited for a request longer than PATIENCE_SECONDS, or than PRESSED_SECONDS while
calls wait for threads, is lent: the pool gets another in its place. The call is cancelled when its
request has not come within `request_seconds`, or within PATIENCE_SECONDS when more than SLOW_MAX
are slow and it is the oldest.
"""

import logging
import threading
from collections.abc import Iterator
from threading import get_ident
from time import monotonic
from typing import TypeAlias

import grpc

from service.background import Repeating
from service.fair_pool import FairPool

log = logging.getLogger("sonoba")

PATIENCE_SECONDS = 0.1
PRESSED_SECONDS = 0.02  # patience while other calls wait for a thread
LOOK_SECONDS = 0.02
SLOW_MAX = 64  # threads lent at a time; each holds as much of a request as has come


Reading: TypeAlias = tuple[float, grpc.ServicerContext, bool]
"""A request that is waited for: since when, of which call, and whether it may be large."""


def allowed_seconds(place: int, slow_count: int, slow_max: int, request_seconds: float) -> float:
    """Return how long a slow request may take, by its place; the oldest, of too many, least."""
    return PATIENCE_SECONDS if place < slow_count - slow_max else request_seconds


class Bodies(Repeating):
    """The requests that are being read; a thread of its own looks after them."""

    def __init__(self, pool: FairPool, request_seconds: float, slow_max: int = SLOW_MAX) -> None:
        super().__init__(self._watch, LOOK_SECONDS, "sonoba-bodies")
        self._pool, self._seconds, self._slow_max = pool, request_seconds, slow_max
        self._open: dict[int, Reading] = {}
        self._lent: dict[int, bool] = {}  # threads; whether their calls have been cancelled
        self._lock = threading.Lock()
        self.cancelled_count = 0

    @property
    def slow_count(self) -> int:
        """How many threads are lent."""
        return len(self._lent)

    def read(
        self, requests: Iterator[bytes], context: grpc.ServicerContext, is_large: bool
    ) -> bytes:
        """Return the request of a unary call.

        Raises what the iterator raises: `grpc.RpcError` when the caller is gone, its deadline has
        passed or the call was cancelled here; `StopIteration` where there is no request.
        """
        key = get_ident()
        self._open[key] = monotonic(), context, is_large
        try:
            return next(requests)
        finally:
            del self._open[key]  # before it is asked whether the thread was lent: see `_lend`
            if self._lent:
                self._take_back(key, is_large)

    def waiting(self) -> list[bytes]:
        """Return none: what waits has not been read (service/arrivals.py knows some)."""
        return []

    def _take_back(self, key: int, is_large: bool) -> None:
        with self._lock:
            if self._lent.pop(key, None) is None:
                return
        self._pool.take_back(is_large)

    def _watch(self) -> None:
        if self._open:
            self.look()

    def look(self) -> None:
        """Lend the threads of those that are slow, and cancel those that are too slow."""
        now = monotonic()
        with self._lock:
            patience = PRESSED_SECONDS if self._pool.waiting_count else PATIENCE_SECONDS
            found = sorted(list(self._open.items()), key=lambda pair: pair[1][0])
            slow = [(key, one) for key, one in found if now - one[0] > patience]
            for place, (key, reading) in enumerate(slow):
                self._lend(key, reading)
                allowed = allowed_seconds(place, len(slow), self._slow_max, self._seconds)
                if now - reading[0] > allowed:
                    self._cancel(key, reading)

    def _lend(self, key: int, reading: Reading) -> None:
        """Lend a thread that still reads: one that has read by now has not seen that it was."""
        if key in self._lent:
            return
        self._lent[key] = False
        if self._open.get(key) is reading:
            self._pool.lend(reading[2])
        else:
            del self._lent[key]

    def _cancel(self, key: int, reading: Reading) -> None:
        if self._lent.get(key) is False:
            self._lent[key] = True
            self.cancelled_count += 1
            reading[1].cancel()
