"""A port of health checks alone, never encrypted: what asks there speaks no TLS.

Kubernetes' kubelet is one. Nothing is told but whether the process is ready and alive.
"""

from concurrent import futures
from typing import TYPE_CHECKING

import grpc

from service.health import Health
from service.transport import bind_plain

if TYPE_CHECKING:
    from service.settings import Settings

THREADS = 2


class HealthPort:
    """Tells the states of a server's health beside its own port."""

    def __init__(self, settings: "Settings", health: Health) -> None:
        """Prepare the port; where the settings name none it stays closed."""
        self._settings, self.number = settings, 0
        self._pool = futures.ThreadPoolExecutor(THREADS, "sonoba-health")
        shared = int(settings.workers > 1)
        options = [("grpc.so_reuseport", shared), ("grpc.max_receive_message_length", 4096)]
        self._grpc = grpc.server(self._pool, options=options)
        health.show_on(self._grpc)

    def start(self) -> None:
        """Listen and answer; `StartError` where the port is taken."""
        port = self._settings.health_port
        if port is not None:
            self.number = bind_plain(self._grpc, "health_port", self._settings.host, port)
            self._grpc.start()

    def stop(self) -> None:
        """Answer no more."""
        self._grpc.stop(None)
        self._pool.shutdown(wait=False, cancel_futures=True)
