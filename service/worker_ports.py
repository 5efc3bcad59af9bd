"""Which ports a supervisor and its workers listen on: one of predictions, a block of the others.

The supervisor has `metrics_port`, worker i `metrics_port` + 1 + i and `admin_port` + i; where one
of these settings is 0, every process takes a free port of that kind and says which.
"""

from typing import NamedTuple

from service.settings import Settings
from service.start_error import StartError

PORT_MAX = 65535


class Ports(NamedTuple):
    """Where one worker is to listen; 0 takes a free port."""

    grpc: int
    metrics: int
    admin: int


def ports_of(settings: Settings, grpc_port: int) -> list[Ports]:
    """Return the ports of every worker; `StartError` where they do not exist or collide."""
    numbers = range(settings.workers)
    metrics, admin = settings.metrics_port, settings.admin_port
    found = [
        Ports(grpc_port, metrics and metrics + 1 + number, admin and admin + number)
        for number in numbers
    ]
    is_administered = settings.admin_token_file is not None
    used = [("grpc_port", grpc_port), ("metrics_port", metrics)]
    used += [("metrics_port", ports.metrics) for ports in found]
    used += [("admin_port", ports.admin) for ports in found if is_administered]
    _check(settings.workers, used)
    return found


def _check(workers: int, used: list[tuple[str, int]]) -> None:
    owners: dict[int, str] = {}
    for name, port in used:
        if port > PORT_MAX:
            sentence = f"{name}: expected room for {workers} workers, got port {port}"
            raise StartError(f"{sentence}; choose a smaller one")
        if port and port in owners:
            sentence = f"{name}: port {port} of {workers} workers is also in {owners[port]}'s range"
            raise StartError(f"{sentence}; move one of them")
        owners[port] = name
