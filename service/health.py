"""What a server says of itself: started, ready, alive."""

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service.pools import on_pool

READINESS = "sonoba.v1.Predictor"
LIVENESS = "liveness"

_STATUS = health_pb2.HealthCheckResponse
TELLERS = 4  # threads that tell watchers; one that does not take its word keeps one busy
_NOTHING = object()


class _Told:
    """One watcher: is told the newest state it has not been told, by a thread of a pool."""

    def __init__(self, send: Callable[[Any], object], pool: futures.Executor) -> None:
        self._send, self._pool, self._lock = send, pool, threading.Lock()
        self._newest: object = _NOTHING
        self._is_busy = False

    def __call__(self, response: object) -> None:
        """Take a state, None for the end, and return at once."""
        with self._lock:
            self._newest = response
            if self._is_busy:
                return
            self._is_busy = True
        self._pool.submit(self._tell)

    def _tell(self) -> None:
        while True:
            with self._lock:
                response, self._newest = self._newest, _NOTHING
                if response is _NOTHING:
                    self._is_busy = False
                    return
            self._send(response)


class _Servicer(health.HealthServicer):
    """The library's, which sends to watchers under the lock that the polling thread takes, too.

    A send ends when the polling thread says so: a watcher that came while another went stopped the
    whole server (grpcio-health-checking 1.85). Here nothing is sent under the lock.
    """

    def __init__(self, pool: futures.ThreadPoolExecutor) -> None:
        super().__init__(experimental_thread_pool=pool)
        self._tellers = futures.ThreadPoolExecutor(TELLERS, "sonoba-health")

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        """Tell a state, and every other that follows."""
        return super().Watch(request, context, _Told(send_response_callback, self._tellers))


class Health:
    """The states of grpc.health.v1: "" and the service follow readiness, `liveness` never drops."""

    def __init__(
        self, server: grpc.Server, pool: futures.ThreadPoolExecutor, service: str = READINESS
    ) -> None:
        self._names = ("", service)
        self._servicer = _Servicer(pool)
        self.set_ready(False)
        self._servicer.set(LIVENESS, _STATUS.SERVING)
        setattr(self._servicer, "Check", on_pool(pool, self._servicer.Check))  # noqa: B010
        self.show_on(server)

    def show_on(self, server: grpc.Server) -> None:
        """Tell the same states on another server, too."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def set_ready(self, is_ready: bool) -> None:
        """Say whether calls are welcome."""
        self.is_ready = is_ready
        status = _STATUS.SERVING if is_ready else _STATUS.NOT_SERVING
        for name in self._names:
            self._servicer.set(name, status)
