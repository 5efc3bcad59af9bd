"""A pool without a thread: work is run where it is handed over."""

from collections.abc import Callable
from concurrent import futures
from typing import Any


class Inline(futures.ThreadPoolExecutor):
    """Runs work where it is handed over: for what never waits, such as a refusal at arrival."""

    def __init__(self) -> None:
        super().__init__(1, "inline")

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:  # type: ignore[override]
        """Run it now; return None, for nobody asks of its end (`fair_pool.Place`)."""
        work(*arguments)
