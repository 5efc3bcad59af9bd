"""Threads by kind of work, so that no stream or probe waits behind predictions."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

from service.fair_pool import FairPool
from service.inline import Inline


class Pools:
    """One pool each for predictions, streams, administration (health) and the contract."""

    def __init__(self, threads: int, max_streams: int) -> None:
        def pool(size: int, name: str) -> futures.ThreadPoolExecutor:
            return futures.ThreadPoolExecutor(size, f"sonoba-{name}")

        self.predict = FairPool(threads, "sonoba-predict")
        self.streams = pool(max_streams + 1, "stream")  # one more, to refuse
        self.admin = pool(2, "admin")
        self.contract = pool(2, "contract")
        self.inline = Inline()

    def shut_down(self) -> None:
        """Let go of every thread; what still runs is finished by its own."""
        for pool in (self.predict, self.streams, self.admin, self.contract):
            pool.shutdown(wait=False, cancel_futures=True)


def on_pool(
    pool: futures.ThreadPoolExecutor, method: Callable[[Any, grpc.ServicerContext], Any]
) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Return the method as a function that grpcio runs in the given pool; it looks for a mark."""

    def behaviour(request: Any, context: grpc.ServicerContext) -> Any:
        return method(request, context)

    behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return behaviour
