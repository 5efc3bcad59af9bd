"""Callers of every kind at once: good, damaged, cancelled, too late, and those who only look."""

import itertools
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2

from bench.hostility import requests
from bench.hostility.fuzz import Case, cases
from service.oip import UNARY as OPEN_INFERENCE
from service.oip_messages import SERVICE as INFERENCE
from service.server import SERVICE, STREAM, UNARY
from sonoba.v1 import predictor_pb2 as pb

PATHS = dict.fromkeys(UNARY, SERVICE) | dict.fromkeys(OPEN_INFERENCE, INFERENCE)
NEVER = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"}
LATE_SECONDS, SECONDS = 0.002, 30.0
STREAM_MESSAGES, SCRAPE_SECONDS = 50, 5.0
PAGES = ("/metrics", "/", "/status.json")
RATES = {
    "unary": 0.62,
    "stream": 0.2,
    "cancel": 0.06,
    "late": 0.06,
    "connect": 0.02,
    "health": 0.04,
}
"""Share of the calls by kind."""

Call: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"  # in no index at run time
Stream: TypeAlias = "grpc.StreamStreamMultiCallable[bytes, bytes]"
Ended: TypeAlias = "grpc.Future[bytes]"


class Traffic:
    """Threads that call until told to stop, and what became of their calls."""

    def __init__(self, port: int, metrics_port: int, rate: float, seed: int) -> None:
        self.codes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._port, self._metrics_port, self._rate, self._seed = port, metrics_port, rate, seed
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stopping, self._lock = threading.Event(), threading.Lock()
        self._models = described(self._channel)
        kinds = {"unary": self._unary, "stream": self._stream, "cancel": self._cancel}
        kinds |= {"late": self._late, "connect": self._connect, "health": self._health}
        self._threads = [
            threading.Thread(target=self._until, args=(kind, name)) for name, kind in kinds.items()
        ]
        self._threads.append(threading.Thread(target=self._pages))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the calls under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()

    def _until(self, kind: Callable[[list[Case]], int], name: str) -> None:
        """Make calls of a kind, a group at a time, so that the rate is held."""
        found = _grouped(self._cases(name), STREAM_MESSAGES if name == "stream" else 1)
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            try:
                count = kind(next(found))
            except Exception as error:
                self._fault(f"{name}: {error!r:.300}")
                count = 1
            due = max(due + count / (self._rate * RATES[name]), time.monotonic() - 1.0)

    def _cases(self, name: str) -> Iterator[Case]:
        seed = self._seed * 100 + list(RATES).index(name)
        for case in cases(self._models, seed):
            if (case.method == STREAM) == (name == "stream") and case.method in {*PATHS, STREAM}:
                yield case

    def _call(self, channel: grpc.Channel, method: str) -> Call:
        found: Call = channel.unary_unary(f"/{PATHS[method]}/{method}")
        return found

    def _unary(self, group: list[Case]) -> int:
        [case] = group
        self._end(case.method, self._call(self._channel, case.method).future(case.wire, SECONDS))
        return 1

    def _cancel(self, group: list[Case]) -> int:
        [case] = group
        call = self._call(self._channel, case.method).future(case.wire, SECONDS)
        call.cancel()
        self._end(case.method, call)
        return 1

    def _late(self, group: list[Case]) -> int:
        [case] = group
        self._end(
            case.method, self._call(self._channel, case.method).future(case.wire, LATE_SECONDS)
        )
        return 1

    def _connect(self, group: list[Case]) -> int:
        """Call over a connection of one's own."""
        [case] = group
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{self._port}", options) as channel:
            self._end(case.method, self._call(channel, case.method).future(case.wire, SECONDS))
        return 1

    def _stream(self, group: list[Case]) -> int:
        stream: Stream = self._channel.stream_stream(f"/{SERVICE}/{STREAM}")
        answers = stream(iter([case.wire for case in group]), timeout=SECONDS)
        found = [pb.PredictStreamResponse.FromString(answer) for answer in answers]
        if len(found) != len(group):
            self._fault(f"stream: {len(found)} answers to {len(group)} messages")
        with self._lock:
            self.codes["stream OK"] += len(found)
        for one in found:
            if one.error.reason == "INTERNAL":
                self._fault(str(one.error))
        return len(group)

    def _health(self, group: list[Case]) -> int:
        check: Call = self._channel.unary_unary("/grpc.health.v1.Health/Check")
        asked = health_pb2.HealthCheckRequest(service=SERVICE).SerializeToString()
        status = health_pb2.HealthCheckResponse.FromString(check(asked, timeout=SECONDS)).status
        if status != health_pb2.HealthCheckResponse.SERVING:
            self._fault(f"health: {status}")
        return 1

    def _pages(self) -> None:
        while not self._stopping.wait(SCRAPE_SECONDS):
            for path in PAGES:
                try:
                    url = f"http://127.0.0.1:{self._metrics_port}{path}"
                    with urllib.request.urlopen(url, timeout=SECONDS) as page:
                        page.read()
                except OSError as error:
                    self._fault(f"{path}: {error!r:.300}")

    def _end(self, method: str, call: Ended) -> None:
        code = call.code().name  # type: ignore[attr-defined]
        with self._lock:
            self.codes[code] += 1
        if code in NEVER:
            self._fault(f"{method}: {code} {call.details()}")  # type: ignore[attr-defined]

    def _fault(self, sentence: str) -> None:
        with self._lock:
            if len(self.wrong) < 20:
                self.wrong.append(sentence)


def described(channel: grpc.Channel) -> list[requests.Served]:
    """Return what requests need to know of the models of a server."""
    call: Call = channel.unary_unary(f"/{SERVICE}/ListModels")
    found = pb.ListModelsResponse.FromString(call(b"", timeout=SECONDS, wait_for_ready=True))
    return [
        requests.Served(m.name, m.version, tuple(c.name for c in m.columns), m.schema_hash)
        for m in found.models
    ]


def _grouped(found: Iterator[Case], size: int) -> Iterator[list[Case]]:
    while group := list(itertools.islice(found, size)):
        yield group
