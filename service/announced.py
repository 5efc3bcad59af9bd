"""What a process prints or logs once it answers: where everything is, and a line that calls it."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__
from service.loopback import is_loopback
from service.standing import Standing

if TYPE_CHECKING:
    from service.settings import Settings

EXAMPLES = Path(__file__).with_name("demo_data")


def one_server(
    settings: "Settings",
    grpc_port: int,
    metrics_port: int,
    admin: str,
    described: str,
    program: str,
) -> Iterator[str]:
    """Yield the lines of one process; `admin` is its address, empty where there is none."""
    host = settings.host
    yield f"sonoba {__version__} serves {described}"
    yield f"  predictions  {host}:{grpc_port}  ({_offered(settings)})"
    yield f"  status page  http://{host}:{metrics_port}/"
    yield f"  metrics      http://{host}:{metrics_port}/metrics"
    if admin:
        yield f"  admin        {admin}  (gRPC, with the token)"
    yield from _warnings(settings, bool(admin))
    yield from _example(settings, grpc_port, program)


def several_workers(
    settings: "Settings", grpc_port: int, metrics_port: int, workers: Sequence[Standing]
) -> Iterator[str]:
    """Yield the lines of a supervisor and its workers."""
    host, admin_host = settings.host, settings.admin_host
    yield f"sonoba {__version__} serves {workers[0].described}, by {len(workers)} workers"
    yield f"  predictions  {host}:{grpc_port}  ({_offered(settings)}; any worker answers)"
    yield f"  status page  http://{host}:{metrics_port}/  (of all workers)"
    yield f"  discovery    http://{host}:{metrics_port}/sd  (for http_sd_configs of Prometheus)"
    yield f"  metrics      http://{host}:{metrics_port}/metrics  (of the supervisor)"
    for worker in workers:
        yield f"    worker {worker.number:<2}  http://{host}:{worker.metrics_port}/metrics"
    admins = [f"{admin_host}:{one.admin_port}" for one in workers if one.admin_port]
    if admins:
        yield "  admin        of each worker, with the token; for a re-evaluator:"
        yield f"    SONOBA_REPLICAS={','.join(admins)}"
    yield from _warnings(settings, bool(admins))
    yield from _example(settings, grpc_port, program())


def reevaluator_lines(settings: "Settings", listening: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a re-evaluator; addresses by what is there."""
    yield f"sonoba {__version__} re-evaluates the models of {settings.store}"
    for name, address in listening.items():
        more = "  (gRPC, with the token)" if name == "operations" else ""
        yield f"  {name:<13}{address}{more}"
    if settings.tls_cert_file is None and not is_loopback(settings.admin_host):
        yield "WARNING: both tokens travel unencrypted"


def addresses(host: str, grpc_port: int, metrics_port: int, admin: str = "") -> dict[str, str]:
    """Return the addresses of a server by what is there."""
    found = {"predictions": f"{host}:{grpc_port}", "metrics": f"http://{host}:{metrics_port}"}
    return found | ({"admin": admin} if admin else {})


def log_start(what: str, listening: Mapping[str, str]) -> None:
    """Log that a process answers; addresses by what is there."""
    more = {"event": "start", "version": __version__, "listening": dict(listening)}
    logging.getLogger("sonoba").info("sonoba %s %s", __version__, what, extra=more)


def _offered(settings: "Settings") -> str:
    """Return what the port of predictions offers, in words."""
    shown = is_loopback(settings.host) if settings.reflection is None else settings.reflection
    how = "gRPC" if settings.tls_cert_file is None else "gRPC over TLS"
    return f"{how}, health, reflection" if shown else f"{how}, health"


def _warnings(settings: "Settings", is_administered: bool) -> Iterator[str]:
    """Yield what is open to others, which settings had to allow (service/transport.py)."""
    is_plain, is_public = settings.tls_cert_file is None, not is_loopback(settings.host)
    if is_public and is_plain:
        yield "WARNING: nothing is encrypted, for whoever is on the way"
    if is_public and settings.callers_file is None and settings.tls_client_ca_file is None:
        yield "WARNING: anyone who reaches this host may call it"
    if is_administered and is_plain and not is_loopback(settings.admin_host):
        yield "WARNING: the token of the admin port travels unencrypted"


def program() -> str:
    """Return by which words this program was called, as they would be typed here."""
    if shutil.which("sonoba"):
        return "sonoba"
    called = os.path.relpath(sys.argv[0])
    return f"{os.path.relpath(sys.executable)} -m service.cli" if called.endswith(".py") else called


def _example(settings: "Settings", grpc_port: int, program: str) -> Iterator[str]:
    data = os.path.relpath(EXAMPLES)
    yield "try it from another terminal:"
    yield (
        f"  {program} predict --context {data}/context.csv --target log_bikers "
        f"--query {data}/query.csv --address {settings.host}:{grpc_port}{_proof(settings)}"
    )


def _proof(settings: "Settings") -> str:
    """Return the options by which a command reaches a port that asks for more."""
    asked = {
        " --tls-ca FILE": settings.tls_cert_file,
        " --tls-cert FILE --tls-key FILE": settings.tls_client_ca_file,
        " --token-file FILE": settings.callers_file,
    }
    return "".join(option for option, file in asked.items() if file is not None)
