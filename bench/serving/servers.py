"""Server processes, each on the cores it is given, and what they say of their calls."""

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import grpc

from bench import machine

ROOT = Path(__file__).parents[2]
HANDLED = re.compile(r"^grpc_server_handled_total\{(.*)\} (\S+)$", re.MULTILINE)
PROMPTS = re.compile('grpc_method="(Predict|ModelInfer)')
START_SECONDS = 60.0
SETTLING_SECONDS_MAX = 10.0
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
CODE = re.compile('grpc_code="(\\w+)"')
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


class Models(NamedTuple):
    """What a service serves beside the foundation model."""

    papers: Sequence[Path] = ()
    store: Path | None = None

    def flags(self) -> list[str]:
        """Return them as flags of `sonoba serve`."""
        flags = ["--model-files", ",".join(map(str, self.papers))]
        return flags + (["--store", str(self.store)] if self.store else [])


NOTHING_MORE = Models()


def environment() -> dict[str, str]:
    """Return the environment in which our modules are found, installed or not."""
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "client"))
    return {**os.environ, "PYTHONPATH": paths}


class Server:
    """A running server process; a context manager that stops it."""

    def __init__(
        self, command: list[str], cores: Collection[int], python: str = sys.executable
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the server
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            [python, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        os.sched_setaffinity(
            self._process.pid, cores or os.sched_getaffinity(0)
        )  # its threads are not yet born: they inherit
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._pump, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Interrupt it and wait for its end; kill it where that takes too long."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The port of its calls."""
        raise NotImplementedError

    @property
    def is_encrypted(self) -> bool:
        """Whether its calls are encrypted."""
        return False

    def ok_count(self) -> int:
        """Return how many prompts' calls it has answered OK since its start."""
        raise NotImplementedError

    def outcomes(self) -> dict[str, int]:
        """Return how many prompts' calls ended with each status since its start."""
        return {"OK": self.ok_count()}

    def cpu_seconds(self) -> float:
        """Return the processor time it has used, with that of the workers it runs."""
        pids = [self._process.pid, *machine.children(self._process.pid)]
        return sum(map(machine.cpu_seconds, pids))

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Return its resident memory; of several workers, the largest one's."""
        workers = machine.children(self._process.pid) or [self._process.pid]
        return max(machine.memory_mb(pid, field) for pid in workers)

    def _pump(self) -> None:
        """Read what it prints, so that it never waits for a reader; an empty line is its end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _line(self) -> str:
        try:
            line = self._lines.get(timeout=START_SECONDS)
        except queue.Empty:
            line = ""
        if not line:
            self._log.seek(0)
            said = self._log.read()[-2000:]
            self.stop()
            raise RuntimeError(f"expected a server's port, got none: {said}")
        return line

    def call(self, method: str, message: bytes = b"") -> bytes:
        """Return the answer to one call of our own."""
        with self._channel() as channel:
            stub: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
            return stub(message, timeout=60, wait_for_ready=True)

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=UNLIMITED)


class Service(Server):
    """`sonoba serve` on free ports; counts by its own /metrics.

    With a pair (certificate, key) it speaks TLS; several workers keep to a core each.
    """

    def __init__(
        self,
        cores: Collection[int],
        models: Models = NOTHING_MORE,
        flags: Sequence[str] = (),
        pair: tuple[Path, Path] | None = None,
        workers: int = 1,
    ) -> None:
        self._pair = pair
        self._worker_count = workers if workers > 1 else 0
        if workers > 1:
            flags = [*flags, "--workers", str(workers), "--pin", "on"]
        if pair is not None:
            certificate, key = map(str, pair)
            flags = [*flags, "--tls-cert-file", certificate, "--tls-key-file", key]
        own = ["--grpc-port", "0", "--metrics-port", "0", *models.flags()]
        super().__init__(["service.cli", "serve", *own, *flags], cores)
        self._ports = [self._port("predictions"), self._port("metrics")]
        self._worker_ports = [self._port("worker") for _ in range(self._worker_count)]

    def _port(self, caption: str) -> int:
        while True:
            line = self._line()
            found = ADDRESS.search(line)
            if caption in line and found:
                return int(found[1])

    @property
    def port(self) -> int:
        """The port of its calls."""
        return self._ports[0]

    def settle(self) -> None:
        """Wait until it keeps to one core, as it does by itself (service/roaming.py)."""
        deadline = time.monotonic() + SETTLING_SECONDS_MAX
        while len(os.sched_getaffinity(self.pid)) > 1:  # of its first thread
            if time.monotonic() > deadline:
                raise RuntimeError(f"expected one core in {SETTLING_SECONDS_MAX:g} s, got several")
            time.sleep(0.1)

    @property
    def is_encrypted(self) -> bool:
        """Whether its calls are encrypted."""
        return self._pair is not None

    @property
    def metrics_port(self) -> int:
        """The port of its metrics and its page."""
        return self._ports[1]

    def ok_count(self) -> int:
        """Return the calls with prompts that ended OK, by /metrics of every process."""
        return sum(self.ok_counts())

    def ok_counts(self) -> list[int]:
        """Return the same of every process that answers."""
        return [_outcomes(port)["OK"] for port in self._worker_ports or [self.metrics_port]]

    def outcomes(self) -> dict[str, int]:
        """Return how many calls ended with each status, by /metrics of every process."""
        return sum(map(_outcomes, self._worker_ports or [self.metrics_port]), Counter())

    def _channel(self) -> grpc.Channel:
        if self._pair is None:
            return super()._channel()
        trusted = grpc.ssl_channel_credentials(self._pair[0].read_bytes())
        return grpc.secure_channel(f"127.0.0.1:{self.port}", trusted, options=UNLIMITED)


class Echo(Server):
    """`python -m bench.serving.echo`: the bare server, or the service's core on a bare server."""

    def __init__(self, cores: Collection[int], *flags: str) -> None:
        super().__init__(["bench.serving.echo", *flags], cores)
        self._port = int(self._line())

    @property
    def port(self) -> int:
        """The port of its calls."""
        return self._port

    def ok_count(self) -> int:
        """Return how many calls it has answered."""
        return int(self.call("/bench.Echo/Count"))


def _outcomes(metrics_port: int) -> Counter[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as page:
        text = page.read().decode()
    found: Counter[str] = Counter()
    for labels, value in HANDLED.findall(text):
        code = CODE.search(labels)
        if code and PROMPTS.search(labels):
            found[code[1]] += int(float(value))
    return found
