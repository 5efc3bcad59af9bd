"""Threads by kind of work, so that no stream or probe waits behind predictions."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

log = logging.getLogger("sonoba")


class _Task:
    """A call that waits or runs; the one thing grpcio asks of it is to be told of its end."""

    __slots__ = ("_arguments", "_told", "_work", "is_done")

    def __init__(self, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._work = work
        self._arguments = arguments
        self._told: list[Callable[[_Task], object]] = []
        self.is_done = False

    def run(self) -> None:
        try:
            self._work(*self._arguments)
        finally:
            self.is_done = True
            self._tell()

    def add_done_callback(self, tell: Callable[["_Task"], object]) -> None:
        self._told.append(tell)
        if self.is_done:
            self._tell()

    def _tell(self) -> None:
        while self._told:
            try:
                tell = self._told.pop()  # atomic: either side may come first, one of them tells
            except IndexError:
                return
            tell(self)


class CallPool(futures.ThreadPoolExecutor):
    """A pool for calls whose outcome nobody waits for: a queue, and threads that start at once.

    The library's pool makes a future with a lock and a condition for every call; without them a
    call takes a tenth less processor time (docs/performance.md).
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, name)  # its own threads start with its own submit: never
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._size = size
        for number in range(size):
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True).start()

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:  # type: ignore[override]
        """Run a call soon; return what tells of its end."""
        task = _Task(work, arguments)
        self._tasks.put(task)
        return task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End every thread after the calls before; none is waited for."""
        for _ in range(self._size):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task.run()
            except BaseException:
                log.exception("a call ended outside its handler")
            del task  # or the last request stays in memory until the next one


class Pools:
    """One pool each for predictions, streams and administration (health)."""

    def __init__(self, threads: int, max_streams: int) -> None:
        def pool(size: int, name: str) -> futures.ThreadPoolExecutor:
            return futures.ThreadPoolExecutor(size, f"sonoba-{name}")

        self.predict = CallPool(threads, "sonoba-predict")
        self.streams = pool(max_streams + 1, "stream")  # one more, to refuse
        self.admin = pool(2, "admin")

    def shut_down(self) -> None:
        """Let go of every thread; what still runs is finished by its own."""
        for pool in (self.predict, self.streams, self.admin):
            pool.shutdown(wait=False, cancel_futures=True)


def on_pool(
    pool: futures.ThreadPoolExecutor, method: Callable[[Any, grpc.ServicerContext], Any]
) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Return the method as a function that grpcio runs in the given pool; it looks for a mark."""

    def behaviour(request: Any, context: grpc.ServicerContext) -> Any:
        return method(request, context)

    behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return behaviour
