"""Processes of one's own for the length of a `with`: free ports, ready on entry, gone on exit."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, NamedTuple

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
PREDICTOR, OPERATIONS = "sonoba.v1.Predictor", "sonoba.v1.Operations"  # as health knows them


class Trial(NamedTuple):
    """Where a server of one's own is."""

    address: str  # host:port of the predictions
    page: str  # URL of the status page
    admin: str = ""  # host:port that the re-evaluator asks, open with a token only


class TrialReevaluator(NamedTuple):
    """Where a re-evaluator of one's own is."""

    alerts: str  # URL that Alertmanager would post to
    reports: str  # URL of the reports


class TrialServerError(Exception):
    """A server that did not come up, in its own last words."""


@contextmanager
def trial_server(*flags: str) -> Iterator[Trial]:
    """Run `sonoba serve` on free ports of this machine; say where it is once it is ready.

    It inherits our environment, so settings made there hold for it too; `flags` win over them.
    """
    grpc_port, metrics_port, admin_port = _free_ports(3)
    ports = {"grpc": grpc_port, "metrics": metrics_port, "admin": admin_port}
    there = Trial(f"{HOST}:{grpc_port}", f"http://{HOST}:{metrics_port}", f"{HOST}:{admin_port}")
    with _process(("serve", *_port_flags(ports), *flags), there.address, PREDICTOR):
        yield there


@contextmanager
def trial_reevaluator(*flags: str) -> Iterator[TrialReevaluator]:
    """Run `sonoba reevaluator` on free ports of this machine; `flags` say of which store."""
    webhook_port, metrics_port, admin_port = _free_ports(3)
    ports = {"webhook": webhook_port, "metrics": metrics_port, "admin": admin_port}
    url = f"http://{HOST}:{webhook_port}"
    with _process(("reevaluator", *_port_flags(ports), *flags), f"{HOST}:{admin_port}", OPERATIONS):
        yield TrialReevaluator(f"{url}/alerts", f"{url}/reports")


def _port_flags(ports: dict[str, int]) -> list[str]:
    numbers = [flag for name, port in ports.items() for flag in (f"--{name}-port", str(port))]
    return ["--host", HOST, *numbers]


@contextmanager
def _process(arguments: Sequence[str], address: str, service: str) -> Iterator[None]:
    """Run one of our commands until the end of the block, healthy from its beginning."""
    command = [sys.executable, "-m", "service.cli", *arguments]
    before = signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdout=words, stderr=words)
        try:
            _wait_until_ready(process, address, service, words)
            yield
        finally:
            _stop(process)
            signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: object) -> None:
    """End by way of every `finally`; left alone, SIGTERM passes them by and the server stays."""
    raise SystemExit(128 + number)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_until_ready(
    process: subprocess.Popen[bytes], address: str, service: str, words: IO[bytes]
) -> None:
    """Ask for the health of a service until it serves; stop asking when its process has ended."""
    deadline = time.monotonic() + READY_SECONDS
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise TrialServerError(f"the server did not start: {_last_line(words)}")
            try:
                answer = check(
                    HealthCheckRequest(service=service), timeout=1.0, wait_for_ready=True
                )
            except grpc.RpcError:
                continue  # not listening yet: that is what is asked here
            if answer.status == HealthCheckResponse.SERVING:
                return
            time.sleep(0.05)
    raise TrialServerError(f"the server was not ready after {READY_SECONDS:g} s")


def _last_line(words: IO[bytes]) -> str:
    words.seek(0)
    lines = words.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, as Ctrl-C would; end it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
