"""One `sonoba serve` at an address of its own, which an orchestrator starts, stops and kills."""

import os
import re
import signal
import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

from bench.serving.servers import Server

STOP_SECONDS = 60.0
COUNTED = re.compile(r'^sonoba_prompts_total\{.*model="(.*?)".*\} (\S+)$', re.MULTILINE)


class Ports(NamedTuple):
    """The same ports of every replica, as pods have them: it is addresses that differ."""

    grpc: int
    metrics: int


def free_port() -> int:
    """Return a port that is free at every address of this machine."""
    with socket.socket() as free:
        free.bind(("", 0))
        port: int = free.getsockname()[1]
    return port


class Process(Server):
    """One life of a replica."""

    def __init__(self, host: str, ports: Ports, flags: Sequence[str]) -> None:
        own = ["--host", host, "--grpc-port", str(ports.grpc), "--metrics-port", str(ports.metrics)]
        super().__init__(["service.cli", "serve", *own, *flags], [])
        while " predict " not in self._line():  # the last line of the greeting
            pass

    def end(self, how: signal.Signals) -> int:
        """Send a signal and wait; return what it exited with."""
        self._process.send_signal(how)
        status = self._process.wait(STOP_SECONDS)
        self.stop()  # of what is left to be closed
        return status


class Replica:
    """An address, and the process that answers there for now."""

    def __init__(self, host: str, ports: Ports, flags: Sequence[str] = ()) -> None:
        self.host, self.ports, self._flags = host, ports, flags
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start a process and wait until it listens."""
        self._process = Process(self.host, self.ports, self._flags)

    def served(self) -> Counter[str]:
        """Return how many prompts the process has answered, by model."""
        url = f"http://{self.host}:{self.ports.metrics}/metrics"
        with urllib.request.urlopen(url, timeout=10) as page:
            text = page.read().decode()
        found: Counter[str] = Counter()
        for model, value in COUNTED.findall(text):
            found[model] += int(float(value))
        return found

    def stop(self) -> int:
        """Ask it to end, as an orchestrator does; return what it exited with."""
        return self._ended(signal.SIGTERM)

    def kill(self) -> int:
        """End it without a word to anybody."""
        return self._ended(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang while the block runs."""
        assert self._process is not None, "it has not been started"
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End what still runs."""
        if self._process is not None:
            self.kill()

    def _ended(self, how: signal.Signals) -> int:
        assert self._process is not None, "it has not been started"
        process, self._process = self._process, None
        return process.end(how)
