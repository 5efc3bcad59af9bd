"""The administrators' port: a gRPC server of its own, which nobody calls without the token.

Health is the exception: who asks whether a process is ready needs no secret.
"""

from collections.abc import Callable, Mapping
from concurrent import futures
from typing import TYPE_CHECKING

import grpc

from service.access import Access
from service.administrators import Administrators
from service.call_log import CallLog
from service.errors import Handler, answered
from service.health import Health
from service.pace import Pace
from service.roles import OBSERVE, OPERATE
from service.tally import MethodTally
from service.tokens import Tokens

if TYPE_CHECKING:
    from service.settings import Settings

THREADS = 4
OBSERVED = ("GetDriftReport", "GetEvaluation", "ListEvaluations", "ListModelVersions")
"""The methods for observers; all others are for who operates."""


class AdminPort:
    """Unary calls of one service, each with the token of the administrators.

    `handlers` are the service's methods by name; `count` is told the reason of every refusal.
    `access` says how bytes travel, and who else may call: callers of its file, by their roles.
    """

    def __init__(
        self,
        settings: "Settings",
        tokens: Tokens,
        service: str,
        handlers: Mapping[str, Handler],
        count: Callable[[str], None],
        access: Access | None = None,
    ) -> None:
        self._settings, self._count, self._pace = settings, count, Pace()
        self._access = access = access or Access(settings)
        self._administrators = Administrators(tokens, access.callers)
        self.tallies = {name: MethodTally("unary", service, name) for name in handlers}
        self._pool = futures.ThreadPoolExecutor(THREADS, "sonoba-admin")
        self._grpc = grpc.server(self._pool, options=_options(settings))
        methods = {name: self._method(name, handler) for name, handler in handlers.items()}
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, methods),)
        )
        self.health = Health(self._grpc, self._pool, service)
        self.number = 0

    def _method(self, name: str, handler: Handler) -> "grpc.RpcMethodHandler[bytes, bytes]":
        seconds = self._settings.default_deadline_seconds
        admit = self._administrators.admit(OBSERVE if name in OBSERVED else OPERATE)
        told = CallLog("/".join(self.tallies[name].labels[1:]), pace=self._pace)
        tally = self.tallies[name]
        behaviour = answered(handler, seconds, self._count, admit, told, tally)
        return grpc.unary_unary_rpc_method_handler(behaviour)

    def start(self) -> int:
        """Listen and answer, return the port; `StartError` where it is taken."""
        of = self._settings
        bind = self._access.transport.bind
        self.number = bind(self._grpc, "admin_port", of.admin_host, of.admin_port)
        self._grpc.start()
        self.health.set_ready(True)
        return self.number

    def stop(self, seconds: float) -> None:
        """Turn unhealthy, refuse new calls, and give those in flight some seconds."""
        self.health.set_ready(False)
        self._grpc.stop(seconds).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _options(settings: "Settings") -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # a second start on the port must fail, not share it
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
