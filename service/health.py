"""What a server says of itself: started, ready, alive."""

from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service.pools import on_pool

READINESS = "sonoba.v1.Predictor"
LIVENESS = "liveness"

_STATUS = health_pb2.HealthCheckResponse


class Health:
    """The states of grpc.health.v1: "" and the service follow readiness, `liveness` never drops."""

    def __init__(
        self, server: grpc.Server, pool: futures.ThreadPoolExecutor, service: str = READINESS
    ) -> None:
        self._names = ("", service)
        self._servicer = health.HealthServicer(experimental_thread_pool=pool)
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
