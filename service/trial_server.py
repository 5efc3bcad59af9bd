"""A server of one's own for the length of a `with`: free ports, ready on entry, gone on exit."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
SERVICE = "sonoba.v1.Predictor"


class Trial(NamedTuple):
    """Where a server of one's own is."""

    address: str  # host:port of the predictions
    page: str  # URL of the status page


class TrialServerError(Exception):
    """A server that did not come up, in its own last words."""


@contextmanager
def trial_server(*flags: str) -> Iterator[Trial]:
    """Run `sonoba serve` on free ports of this machine; say where it is once it is ready.

    It inherits our environment, so settings made there hold for it too; `flags` win over them.
    """
    grpc_port, metrics_port = _free_ports()
    ports = ["--host", HOST, "--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    command = [sys.executable, "-m", "service.cli", "serve", *ports, *flags]
    before = signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdout=words, stderr=words)
        try:
            _wait_until_ready(process, f"{HOST}:{grpc_port}", words)
            yield Trial(f"{HOST}:{grpc_port}", f"http://{HOST}:{metrics_port}")
        finally:
            _stop(process)
            signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: object) -> None:
    """End by way of every `finally`; left alone, SIGTERM passes them by and the server stays."""
    raise SystemExit(128 + number)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        return first.getsockname()[1], second.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, words: IO[bytes]) -> None:
    """Ask the server's health until it serves; stop asking when it has ended."""
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
                    HealthCheckRequest(service=SERVICE), timeout=1.0, wait_for_ready=True
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
