"""A pool without a thread: work is run where it is handed over."""

from collections.abc import Callable
from concurrent import futures
from typing import Any


class Done:
    """What tells of an end that was before anybody asked."""

    def add_done_callback(self, tell: Callable[["Done"], object]) -> None:
        """Tell at once."""
        tell(self)


class Inline(futures.ThreadPoolExecutor):
    """Runs work where it is handed over: for what never waits, such as a refusal at arrival."""

    def __init__(self) -> None:
        super().__init__(1, "inline")
        self._done = Done()

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:  # type: ignore[override]
        """Run it now; return what tells of its end."""
        work(*arguments)
        return self._done
