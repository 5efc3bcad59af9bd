"""What works beside the calls of a server."""

import threading
from collections.abc import Callable
from typing import Protocol

STOP_SECONDS = 5.0


class Background(Protocol):
    """A thread beside the calls."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


class Repeating:
    """A thread that does one thing again and again, with a pause between."""

    def __init__(
        self,
        work: Callable[[], object],
        pause_seconds: float,
        name: str,
        is_first_at_once: bool = False,
    ) -> None:
        """Take what to do, which must not raise; the first time is after a pause, or at once."""
        self._repeated, self._pause_seconds = work, pause_seconds
        self._is_first_at_once = is_first_at_once
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is in hand."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _repeat(self) -> None:
        if self._is_first_at_once:
            self._repeated()
        while not self._ending.wait(self._pause_seconds):
            self._repeated()
