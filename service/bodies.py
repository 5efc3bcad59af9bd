"""Reads the requests of unary calls, and keeps threads from callers who send theirs slowly.

A thread that has waited for a request longer than PATIENCE_SECONDS is lent: the pool gets another
in its place, so that predictions always have their threads. The call is cancelled when its request
has not come within `request_seconds`, or when more than SLOW_MAX are as slow and it is the oldest.
"""

import logging
import threading
import time
from collections.abc import Iterator

import grpc

from service.pools import FairPool

log = logging.getLogger("sonoba")

PATIENCE_SECONDS = 0.1
LOOK_SECONDS = 0.05
SLOW_MAX = 64  # threads lent at a time; each holds as much of a request as has come


class Reading:
    """A request that is waited for."""

    __slots__ = ("context", "is_cancelled", "is_large", "is_lent", "since")

    def __init__(self, context: grpc.ServicerContext, is_large: bool) -> None:
        self.since = time.monotonic()
        self.context, self.is_large = context, is_large
        self.is_lent = self.is_cancelled = False


class Bodies:
    """The requests that are being read; a thread of its own looks after them."""

    def __init__(self, pool: FairPool, request_seconds: float, slow_max: int = SLOW_MAX) -> None:
        self._pool, self._seconds, self._slow_max = pool, request_seconds, slow_max
        self._open: dict[int, Reading] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sonoba-bodies", daemon=True)
        self.cancelled_count = 0

    @property
    def slow_count(self) -> int:
        """How many threads are lent."""
        with self._lock:
            return sum(reading.is_lent for reading in self._open.values())

    def start(self) -> None:
        """Begin to look after readers."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def read(
        self, requests: Iterator[bytes], context: grpc.ServicerContext, is_large: bool
    ) -> bytes:
        """Return the request of a unary call.

        Raises what the iterator raises: `grpc.RpcError` when the caller is gone, its deadline has
        passed or the call was cancelled here; `StopIteration` where there is no request.
        """
        key = threading.get_ident()
        reading = self._open[key] = Reading(context, is_large)
        try:
            return next(requests)
        finally:
            with self._lock:
                del self._open[key]
            if reading.is_lent:
                self._pool.take_back(is_large)

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            if self._open:
                self.look()

    def look(self) -> None:
        """Lend the threads of those that are slow, and cancel those that are too slow."""
        now = time.monotonic()
        with self._lock:
            found = sorted(self._open.values(), key=lambda reading: reading.since)
            slow = [reading for reading in found if now - reading.since > PATIENCE_SECONDS]
            for reading in slow:
                if not reading.is_lent:
                    reading.is_lent = True
                    self._pool.lend(reading.is_large)
            late = [reading for reading in slow if now - reading.since > self._seconds]
            for reading in {*late, *slow[: max(0, len(slow) - self._slow_max)]}:
                if not reading.is_cancelled:
                    reading.is_cancelled = True
                    self.cancelled_count += 1
                    reading.context.cancel()
