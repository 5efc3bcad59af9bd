"""What a process prints or logs once it answers: where everything is, and a line that calls it."""

import ipaddress
import logging
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from service import __version__
from service.settings import Settings
from service.standing import Standing

EXAMPLES = Path(__file__).with_name("demo_data")


def one_server(
    host: str, grpc_port: int, metrics_port: int, admin: str, described: str
) -> Iterator[str]:
    """Yield the lines of one process; `admin` is its address, empty where there is none."""
    yield f"sonoba {__version__} serves {described}"
    yield f"  predictions  {host}:{grpc_port}  (gRPC, health, reflection)"
    yield f"  status page  http://{host}:{metrics_port}/"
    yield f"  metrics      http://{host}:{metrics_port}/metrics"
    if admin:
        yield f"  admin        {admin}  (gRPC, with the token)"
    yield from _warnings(host, admin)
    yield from _example(host, grpc_port)


def several_workers(
    host: str, grpc_port: int, metrics_port: int, admin_host: str, workers: Sequence[Standing]
) -> Iterator[str]:
    """Yield the lines of a supervisor and its workers."""
    yield f"sonoba {__version__} serves {workers[0].described}, by {len(workers)} workers"
    yield f"  predictions  {host}:{grpc_port}  (gRPC, health, reflection; any worker answers)"
    yield f"  status page  http://{host}:{metrics_port}/  (of all workers)"
    yield f"  discovery    http://{host}:{metrics_port}/sd  (for http_sd_configs of Prometheus)"
    yield f"  metrics      http://{host}:{metrics_port}/metrics  (of the supervisor)"
    for worker in workers:
        yield f"    worker {worker.number:<2}  http://{host}:{worker.metrics_port}/metrics"
    admins = [f"{admin_host}:{one.admin_port}" for one in workers if one.admin_port]
    if admins:
        yield "  admin        of each worker, with the token; for a re-evaluator:"
        yield f"    SONOBA_REPLICAS={','.join(admins)}"
    yield from _warnings(host, admins[0] if admins else "")
    yield from _example(host, grpc_port)


def reevaluator_lines(settings: Settings, listening: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a re-evaluator; addresses by what is there."""
    yield f"sonoba {__version__} re-evaluates the models of {settings.store}"
    for name, address in listening.items():
        more = "  (gRPC, with the token)" if name == "operations" else ""
        yield f"  {name:<13}{address}{more}"
    if not is_loopback(settings.admin_host):
        yield "WARNING: both tokens travel unencrypted"


def addresses(host: str, grpc_port: int, metrics_port: int, admin: str = "") -> dict[str, str]:
    """Return the addresses of a server by what is there."""
    found = {"predictions": f"{host}:{grpc_port}", "metrics": f"http://{host}:{metrics_port}"}
    return found | ({"admin": admin} if admin else {})


def log_start(what: str, listening: Mapping[str, str]) -> None:
    """Log that a process answers; addresses by what is there."""
    more = {"event": "start", "version": __version__, "listening": dict(listening)}
    logging.getLogger("sonoba").info("sonoba %s %s", __version__, what, extra=more)


def _warnings(host: str, admin: str) -> Iterator[str]:
    if not is_loopback(host):
        yield "WARNING: anyone who reaches this host may call it, and nothing is encrypted"
    if admin and not is_loopback(admin.rpartition(":")[0]):
        yield "WARNING: the token of the admin port travels unencrypted"


def _example(host: str, grpc_port: int) -> Iterator[str]:
    program = "sonoba" if shutil.which("sonoba") else os.path.relpath(sys.argv[0])
    if program.endswith(".py"):
        program = f"{os.path.relpath(sys.executable)} -m service.cli"
    data = os.path.relpath(EXAMPLES)
    yield "try it from another terminal:"
    yield (
        f"  {program} predict --context {data}/context.csv --target log_bikers "
        f"--query {data}/query.csv --address {host}:{grpc_port}"
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    return ipaddress.ip_address(socket.getaddrinfo(host, None)[0][4][0]).is_loopback
