"""Callers who never pause for long, whatever happens to the servers."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

import grpc

CALLERS, PAUSE_SECONDS = 8, 0.02
PATIENCE_SECONDS = 90.0


class Load:
    """Callers, one thread each, who call until told to stop."""

    def __init__(
        self, call: Callable[[], object], callers: int = CALLERS, pause: float = PAUSE_SECONDS
    ) -> None:
        self.answered, self.failures, self.slowest_seconds = 0, list[str](), 0.0
        self._call, self._pause = call, pause
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def codes(self) -> Counter[str]:
        """Return how many calls have failed, by how."""
        return Counter(failure.partition(":")[0] for failure in self.failures)

    def wait_for(self, count: int) -> None:
        """Wait until so many more calls were answered."""
        wanted, until = self.answered + count, time.monotonic() + PATIENCE_SECONDS
        while self.answered < wanted:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.answered} calls answered, {self.failures[:3]} failed")
            time.sleep(0.02)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            begun, failure = time.perf_counter(), ""
            try:
                self._call()
            except Exception as error:
                failure = _told(error)
            seconds = time.perf_counter() - begun
            with self._lock:
                self.slowest_seconds = max(self.slowest_seconds, seconds)
                if failure:
                    self.failures.append(failure)
                else:
                    self.answered += 1


def _told(error: Exception) -> str:
    """Return what failed: how, a colon, and why."""
    if isinstance(error, grpc.Call):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"[:300]


def wait(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until a condition holds; return how long it took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise RuntimeError(f"expected within {seconds:g} s what has not come")
        time.sleep(0.05)
    return time.monotonic() - begun
