"""`python -m bench.serving.connections`: many connections, and clients that mean no good.

Each crowd connects to a server of its own, on loopback. While it is there a normal client calls on
and must get right answers in time; once it has gone, files and memory must be as before.
"""

import re
import socket
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console

import sonoba
from bench.serving import prompts, raw_http2
from bench.serving.prompts import SHAPES
from bench.serving.servers import Service
from bench.tables import titled
from model.checkpoint import FOUNDATION_FILE, load
from model.prompt import Examples
from service.connections import METADATA_BYTES_MAX, raise_file_limit

DEADLINE_SECONDS = 1.0
CALL_EVERY_SECONDS = 0.05
GONE_SECONDS = 20.0  # in which the server must have let go of a crowd that left
MEMORY_BYTES_LEFT = 4_000  # of a connection that has gone for the third time: of 18,000
FILES_LEFT = 10


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of one crowd, and of the normal client beside it."""

    name: str
    count: int
    calls: int
    right: int  # of these: answered in time, and rightly
    slowest_ms: float
    kb_each: float  # of the server's memory, while the crowd was there
    files_left: int
    mb_left: float

    @property
    def is_harmless(self) -> bool:
        """Whether the normal client got all its answers, and nothing stays behind."""
        memory = self.count * MEMORY_BYTES_LEFT / 1e6 + 8
        is_clean = self.files_left <= FILES_LEFT and self.mb_left <= memory
        return self.right == self.calls and self.calls > 0 and is_clean


class Normal:
    """A client of the SDK that calls on; a context manager."""

    def __init__(self, service: Service) -> None:
        self._service, self._block = service, prompts.block(SHAPES[0])
        self._expected = load(FOUNDATION_FILE).model.answer(self._block).predictions[0]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call_on)
        self.seconds: list[float] = []
        self.right = 0

    def __enter__(self) -> "Normal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _call_on(self) -> None:
        context = self._block.context
        assert isinstance(context, Examples)
        prompt = context.x[0], context.y[0], self._block.queries[0]
        address = f"127.0.0.1:{self._service.port}"
        with sonoba.Client(address, timeout=DEADLINE_SECONDS) as client:
            while not self._over.wait(CALL_EVERY_SECONDS):
                begun = time.perf_counter()
                try:
                    found = client.predict(*prompt).values
                    self.right += bool(np.allclose(found, self._expected, rtol=1e-9))
                except sonoba.SonobaError as error:
                    print(f"the normal client: {error!r}", file=sys.stderr)
                self.seconds.append(time.perf_counter() - begun)


Behave = Callable[[Sequence[socket.socket], float], None]
BYTE_EVERY_SECONDS = 0.1


def idle(crowd: Sequence[socket.socket], seconds: float) -> None:
    """Say the greeting and nothing more."""
    for one in crowd:
        one.sendall(raw_http2.greeting())


def silent(crowd: Sequence[socket.socket], seconds: float) -> None:
    """Connect and say nothing, as a port scanner or a half-open connection does."""


def trickling(crowd: Sequence[socket.socket], seconds: float) -> None:
    """Begin a call each and send its request byte by byte."""
    message = struct.pack(">BI", 0, 100_000) + bytes(1000)
    for one in crowd:
        one.sendall(raw_http2.greeting() + raw_http2.headers(prompts.PREDICT))
    for number in range(round(seconds / BYTE_EVERY_SECONDS)):
        piece = raw_http2.frame(raw_http2.DATA, 0, 1, message[number : number + 1])
        for one in crowd:
            _send(one, piece)
        time.sleep(BYTE_EVERY_SECONDS)


def oversized(crowd: Sequence[socket.socket], seconds: float) -> None:
    """Begin a call each with sixteen times the headers that are allowed."""
    huge = ("x-huge", "h" * (16 * METADATA_BYTES_MAX))
    for one in crowd:
        _send(one, raw_http2.greeting() + raw_http2.headers(prompts.PREDICT, [huge]))


def vanishing(crowd: Sequence[socket.socket], seconds: float) -> None:
    """Begin a call each and be gone without a word."""
    for one in crowd:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(raw_http2.greeting() + raw_http2.headers(prompts.PREDICT))
        one.close()


def _send(one: socket.socket, what: bytes) -> None:
    """Send to a server that may have hung up."""
    try:
        one.sendall(what)
    except OSError:
        one.close()


CROWDS: dict[str, tuple[Behave, float]] = {
    "idle": (idle, 1.0),
    "silent": (silent, 0.2),
    "trickling": (trickling, 0.02),
    "huge headers": (oversized, 0.02),
    "vanishing": (vanishing, 0.2),
}
"""How each behaves, and its share of the connections asked for."""


def measure(name: str, count: int, seconds: float = 2.0) -> Crowd:
    """Let a crowd come, stay and go; return what became of it and of the normal client.

    It comes three times: what the first ones leave is room of the allocator, which later ones use.
    """
    with Service([]) as service:
        files = open_files(service)
        visits = [visit(service, name, count, seconds, files) for _ in range(3)]
    calls = [one for visit in visits for one in visit.seconds]
    grown = (visits[0].there_mb - visits[0].before_mb) * 1e3 / count
    left = visits[2].files - files, visits[2].after_mb - visits[1].after_mb
    right = sum(visit.right for visit in visits)
    return Crowd(name, count, len(calls), right, max(calls) * 1e3, grown, *left)


class Visit(NamedTuple):
    """One coming and going of a crowd."""

    before_mb: float
    there_mb: float
    after_mb: float
    files: int
    seconds: list[float]  # of the normal client's calls
    right: int


def visit(service: Service, name: str, count: int, seconds: float, files: int) -> Visit:
    """Let a crowd come, stay for some seconds and go; it is over when so few files are open."""
    with Normal(service):
        time.sleep(min(seconds, 1.0))  # its calls warm the server up
    before = service.memory_mb()
    with Normal(service) as normal:
        crowd = [raw_http2.connect(service.port) for _ in range(count)]
        CROWDS[name][0](crowd, seconds)
        time.sleep(seconds)
        there = service.memory_mb()
        for one in crowd:
            one.close()
        ends = time.monotonic() + GONE_SECONDS
        while open_files(service) > files + FILES_LEFT and time.monotonic() < ends:
            time.sleep(0.2)
        time.sleep(seconds)
    after, left = service.memory_mb(), open_files(service)
    return Visit(before, there, after, left, normal.seconds, normal.right)


def open_files(service: Service) -> int:
    """Return how many files a server has open, by its /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics") as page:
        found = re.search(r"^process_open_fds (\S+)$", page.read().decode(), re.MULTILINE)
    assert found
    return int(float(found[1]))


@click.command()
@click.option("--count", default=10_000, help="Idle connections; of other crowds a share of it.")
def main(count: int) -> None:
    """Send every crowd to a server; exit with 1 where one did harm. About a minute."""
    limit = raise_file_limit()
    if limit < count + 200:
        raise click.UsageError(f"--count: expected at most {limit - 200} (open files), got {count}")
    names = "connections", "calls beside", "answered right", "slowest, ms", "kB each"
    table = titled("Crowds", "crowd", *names, "files left", "MB left", "")
    crowds = []
    for name, (_, share) in CROWDS.items():
        crowds.append(one := measure(name, max(1, round(count * share))))
        figures = f"{one.slowest_ms:.0f}", f"{one.kb_each:.1f}", f"{one.files_left}"
        verdict = "[green]ok[/]" if one.is_harmless else "[bold red]HARM[/]"
        counts = map(str, (one.count, one.calls, one.right))
        table.add_row(name, *counts, *figures, f"{one.mb_left:.1f}", verdict)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if not all(one.is_harmless for one in crowds):
        sys.exit(1)


if __name__ == "__main__":
    main()
