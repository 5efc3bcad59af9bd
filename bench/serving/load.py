"""The load generator: h2load with a framed body, or the Python one where it is absent.

A fixed number of calls a run, so that each is answered and can be counted on the server:
h2load itself sees HTTP 200 for a gRPC error too.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

WARM_UP_SECONDS = 0.3
LONGEST_SECONDS = 120.0
FRAME_WINDOW_BITS = 24  # 16 MiB: no answer waits for flow control
H2LOAD_MISSING = (
    "h2load is absent (Debian: nghttp2-client): a Python generator stands in. It takes as much "
    "processor time as the server, so calls/s are understated and their ratios too kind; read the "
    "processor time per call instead."
)


class Clients(NamedTuple):
    """Connections, and the calls in flight on each."""

    connections: int
    streams: int


USUAL = Clients(8, 8)
MANY = Clients(64, 2)  # so many that the kernel shares them out evenly


class Shot(NamedTuple):
    """One run of the generator: how long it took, and what it cost on its own core."""

    calls: int
    seconds: float
    generator_seconds: float
    failed: int

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


class Target(NamedTuple):
    """Where to send what: a port, a method, a file with the framed request, by TLS or not."""

    port: int
    method: str
    body: Path
    is_encrypted: bool = False


class Load:
    """Sends calls from one core."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._h2load = shutil.which("h2load")

    @property
    def name(self) -> str:
        """`h2load` or `python`."""
        return "h2load" if self._h2load else "python"

    def fire(self, target: Target, calls: int, log: Path | None = None) -> Shot:
        """Send calls with 64 in flight over 8 connections; with a log, one after the other."""
        clients, streams = (1, 1) if log else USUAL
        calls = max(calls, clients)
        if log is not None:
            log.unlink(missing_ok=True)  # h2load appends
        if self._h2load is None:
            return self._fire_python(target, calls, clients * streams, log)
        logged = [f"--log-file={log}"] if log else []
        asked = [f"-n{calls}", f"-c{clients}", f"-m{streams}", "-t1", *logged]
        return self._summary(*self._run(self._command(target, asked), [self._core]))

    def flood(self, target: Target, seconds: float, cores: Sequence[int], clients: Clients) -> Shot:
        """Send from some cores for a time, after a warm-up.

        What is counted ended in that time; what was in flight at its end is cut off.
        """
        if self._h2load is None:
            raise RuntimeError(H2LOAD_MISSING)
        asked = [
            *(f"-D{seconds * 1e3:.0f}ms", f"--warm-up-time={WARM_UP_SECONDS * 1e3:.0f}ms"),
            *(f"-c{clients.connections}", f"-m{clients.streams}", f"-t{len(cores)}"),
        ]
        return self._summary(*self._run(self._command(target, asked), cores))

    def _command(self, target: Target, asked: Sequence[str]) -> list[str]:
        return [
            *(str(self._h2load), *asked, f"-w{FRAME_WINDOW_BITS}", f"-W{FRAME_WINDOW_BITS}"),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            *("-d", str(target.body)),
            f"http{'s' * target.is_encrypted}://127.0.0.1:{target.port}{target.method}",
        ]

    def _summary(self, text: str, used: float) -> Shot:
        rate = re.search(r"([\d.]+) req/s", text)
        done = re.search(r"(\d+) done, (\d+) succeeded", text)
        if rate is None or done is None or not float(rate[1]):
            raise RuntimeError(f"expected h2load's summary, got {text[-300:]!r}")
        calls, good = int(done[1]), int(done[2])
        return Shot(calls, calls / float(rate[1]), used, calls - good)

    def _fire_python(self, target: Target, calls: int, in_flight: int, log: Path | None) -> Shot:
        address = f"127.0.0.1:{target.port}"
        command = [
            *(sys.executable, "-m", "bench.serving.generator", address, target.method),
            *(str(target.body), str(calls), str(in_flight), *([str(log)] if log else [])),
        ]
        text, used = self._run(command, [self._core])
        seconds, failed = text.split()
        return Shot(calls, float(seconds), used, int(failed))

    def _run(self, command: list[str], cores: Sequence[int]) -> tuple[str, float]:
        """Run a command on some cores; return what it printed and its CPU seconds."""
        before = os.times()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            os.sched_setaffinity(process.pid, cores)
            try:
                text, _ = process.communicate(timeout=LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if process.returncode:
            raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}")
        after = os.times()
        used = after.children_user + after.children_system
        return text, used - before.children_user - before.children_system
