"""`sonoba doctor`: what this installation needs, whether it is there, and what to do if not.

Every check is loaded when it runs, so that a broken library is a finding and no traceback.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from service.doctor_tls import certificate_at
from service.doctor_workers import supervisor_at

HOST = "127.0.0.1"
GRPC_PORT, METRICS_PORT, ADMIN_PORT = 50051, 9464, 50052
ANSWER_SECONDS = 2.0
PYTHON = (3, 11)
FLOORS = {
    "grpcio": "1.85",
    "grpcio-health-checking": "1.85",
    "grpcio-reflection": "1.85",
    "grpcio-status": "1.85",
    "protobuf": "7.34",
    "googleapis-common-protos": "1.70",
    "msgspec": "0.20",
    "numpy": "2",
    "prometheus-client": "0.26",
    "pydantic": "2.7",
    "cryptography": "44",
    "click": "8.3",
    "rich": "14",
    "duckdb": "1.4",
    "pyyaml": "6",
}
OPTIONAL = {
    "matplotlib": "the picture of `sonoba demo`",
    "torch": "pretraining; serving never loads it",
}
REINSTALL = "install again: pip install -c constraints.txt -e ./client -e ."


class Check(NamedTuple):
    """One thing that was looked at; `remedy` says what to do, and is empty when all is well."""

    subject: str
    found: str
    remedy: str = ""


@click.command()
@click.option(
    "--admin-token-file",
    "token_file",
    type=click.Path(path_type=Path),
    envvar="SONOBA_ADMIN_TOKEN_FILE",
    help="Token of the admin port, where there is to be one.  [SONOBA_ADMIN_TOKEN_FILE]",
)
@click.option(
    "--admin-port",
    type=click.IntRange(0, 65535),
    default=ADMIN_PORT,
    envvar="SONOBA_ADMIN_PORT",
    help=f"The admin port itself.  [SONOBA_ADMIN_PORT; default: {ADMIN_PORT}]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=None,
    envvar="SONOBA_METRICS_PORT",
    help=f"The port of metrics, the supervisor's where there are several workers.  "
    f"[SONOBA_METRICS_PORT; default: {METRICS_PORT}]",
)
def doctor(token_file: Path | None, admin_port: int, metrics_port: int | None) -> None:
    """Check Python, the libraries, the ports and the shipped model; say what to do where needed.

    Ends with status 1 if anything is wrong.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "found"):
        table.add_column(heading, overflow="fold")
    checks = [
        *_checks(metrics_port or METRICS_PORT),
        *(_admin_checks(token_file, admin_port) if token_file else ()),
    ]
    for check in checks:
        mark = "[red]problem[/]" if check.remedy else "[green]ok[/]"
        found = escape(check.found) + (f"\n[red]{escape(check.remedy)}[/]" if check.remedy else "")
        table.add_row(mark, escape(check.subject), found)
    Console().print(table)
    problem_count = sum(bool(check.remedy) for check in checks)
    if problem_count:
        raise click.ClickException(f"{problem_count} of {len(checks)} checks found a problem")


def _checks(metrics_port: int) -> Iterator[Check]:
    yield check_python(sys.version_info[:3])
    for name, floor in FLOORS.items():
        yield check_package(name, floor)
    for name, purpose in OPTIONAL.items():
        yield check_optional(name, purpose)
    parts: list[tuple[str, Callable[[], Check]]] = [
        ("client stubs", check_stubs),
        ("shipped model", check_model),
        (f"port {GRPC_PORT}", lambda: check_grpc_port(GRPC_PORT)),
        (f"port {metrics_port}", lambda: check_metrics_port(metrics_port)),
    ]
    for subject, check in parts:
        yield _checked(subject, check)


def _admin_checks(token_file: Path, port: int) -> Iterator[Check]:
    yield _checked("admin token", lambda: check_token_file(token_file))
    if port:  # 0 takes a free one
        yield _checked(f"port {port}", lambda: check_admin_port(port))


def _checked(subject: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ImportError as error:
        return Check(subject, f"cannot be checked: {error}", REINSTALL)


def check_python(version: tuple[int, ...]) -> Check:
    """Check the interpreter's version."""
    found = ".".join(map(str, version))
    wanted = ".".join(map(str, PYTHON))
    remedy = "" if version >= PYTHON else f"use Python {wanted} or newer"
    return Check("Python", found, remedy)


def check_package(name: str, floor: str) -> Check:
    """Check that a library is there and new enough."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "not installed", REINSTALL)
    if _release(found) < _release(floor):
        return Check(name, found, f"expected {floor} or newer; {REINSTALL}")
    return Check(name, found)


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version up to its first letter.

    >>> _release("7.34.1rc2") > _release("7.34")
    True
    """
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def check_optional(name: str, purpose: str) -> Check:
    """Tell whether a library is there that the server does without; never a problem."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found = "not installed, not needed"
    return Check(name, f"{found} (for {purpose})")


def check_stubs() -> Check:
    """Check that the generated code fits the protobuf and grpcio installed here."""
    for module in ("predictor_pb2", "predictor_pb2_grpc"):
        try:
            importlib.import_module(f"sonoba.v1.{module}")
        except Exception as error:  # generated code raises what it likes when it does not fit
            return Check("client stubs", f"{module}: {error}", REINSTALL)
    return Check("client stubs", "import")


def check_model() -> Check:
    """Check that the shipped model is there and that its layers are proven to converge."""
    from model.checkpoint import FOUNDATION_FILE, ArtifactError, load
    from model.foundation import FoundationModel
    from model.layers import certificate

    subject = "shipped model"
    try:
        artifact = load(FOUNDATION_FILE)
    except ArtifactError as error:
        return Check(subject, str(error), f"put {FOUNDATION_FILE} back as it was released")
    assert isinstance(artifact.model, FoundationModel)  # the file's kind, checked on load
    low, high, _ = certificate(artifact.model.steps)
    proof = f"certificate holds: residual in [{low:.3f}, {high:.6f}]"
    return Check(subject, f"{artifact.name}, version {artifact.version}; {proof}")


def check_grpc_port(port: int) -> Check:
    """Check that the port of predictions is free, or that a sonoba server is behind it."""
    if _is_free(port):
        return Check(f"port {port}", "free for predictions")
    import sonoba

    try:
        with sonoba.Client(f"{HOST}:{port}", timeout=ANSWER_SECONDS) as client:
            models = ", ".join(
                f"{each.name} {each.version} {each.state}" for each in client.models()
            )
    except sonoba.SonobaError:
        if encrypted := certificate_at(HOST, port):
            return Check(f"port {port}", encrypted.told, encrypted.remedy)
        remedy = "end what listens there, or `sonoba serve --grpc-port` another"
        return Check(f"port {port}", "in use, but no sonoba server answers", remedy)
    return Check(f"port {port}", f"a sonoba server answers: {models}")


def check_metrics_port(port: int) -> Check:
    """Check that the port of metrics is free, or that a sonoba server's metrics are behind it."""
    if _is_free(port):
        return Check(f"port {port}", "free for metrics")
    try:
        with urllib.request.urlopen(
            f"http://{HOST}:{port}/metrics", timeout=ANSWER_SECONDS
        ) as page:
            is_ours = b"sonoba_" in page.read()
    except (OSError, ValueError):
        is_ours = False
    if is_ours and (supervisor := supervisor_at(HOST, port)):
        return Check(f"port {port}", supervisor.told, supervisor.remedy)
    if is_ours:
        return Check(f"port {port}", "a sonoba server's metrics answer")
    remedy = "end what listens there, or `sonoba serve --metrics-port` another"
    return Check(f"port {port}", "in use by something else", remedy)


def check_token_file(path: Path) -> Check:
    """Check that the token of the admin port can be read, and that not everybody can."""
    from service.tokens import is_open_to_others, read_token

    try:
        read_token(path)
        is_open = is_open_to_others(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        make = "python -c 'import secrets; print(secrets.token_hex())'"
        remedy = f"make one: (umask 077; {make} > {path})"
        return Check("admin token", f"{path}: {why}", remedy)
    if is_open:
        return Check("admin token", f"{path}: every user may read it", f"chmod 600 {path}")
    return Check("admin token", f"{path}: a token that only its owner and group may read")


def check_admin_port(port: int) -> Check:
    """Check that the admin port is free, or that a sonoba process is behind it."""
    if _is_free(port):
        return Check(f"port {port}", "free for administration")
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    for service in ("sonoba.v1.Replica", "sonoba.v1.Operations"):
        with grpc.insecure_channel(f"{HOST}:{port}") as channel:
            asked = health_pb2.HealthCheckRequest(service=service)
            try:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                stub.Check(asked, timeout=ANSWER_SECONDS)
            except grpc.RpcError:
                continue
        return Check(f"port {port}", f"{service} answers")
    remedy = "end what listens there, or choose another with --admin-port of its command"
    return Check(f"port {port}", "in use, but no sonoba process answers", remedy)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
