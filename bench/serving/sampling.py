"""What callers see of a server under load: calls at a fixed rate, whatever comes back, and health.

Each call is one of a gRPC client's, so that its status is known and its time is the caller's; there
are few of them, beside a load of a generator that does not see statuses.
"""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2

from bench.serving.load import Target
from sonoba._calls import CHANNEL_OPTIONS

PROBE_SECONDS = 0.1
SERVING = health_pb2.HealthCheckResponse.SERVING
Metadata = tuple[tuple[str, str], ...]
Options = tuple[tuple[str, str | int], ...]
ONCE: Options = (("grpc.enable_retries", 0),)
RETRYING: Options = CHANNEL_OPTIONS
"""How a channel takes a failed call: once only, or as the SDK's does."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls of a while: how they ended, and how long those took that were answered."""

    seconds: float
    codes: dict[str, int]
    p50_ms: float
    p99_ms: float

    @property
    def ok_share(self) -> float:
        """Share of the calls that were answered."""
        return self.codes.get("OK", 0) / max(1, sum(self.codes.values()))


class Sampler:
    """Calls a target now and then."""

    def __init__(
        self,
        target: Target,
        deadline_seconds: float,
        metadata: Metadata = (),
        options: Options = ONCE,
    ) -> None:
        self._target, self._deadline, self._metadata = target, deadline_seconds, metadata
        self._options = (*options, ("grpc.use_local_subchannel_pool", 1))
        self._message = target.body.read_bytes()[5:]

    def run(self, seconds: float, per_second: float) -> Seen:
        """Call for a while and wait for the last answer."""
        ended: list[tuple[str, float]] = []
        count = max(2, round(seconds * per_second))
        address = f"127.0.0.1:{self._target.port}"
        with grpc.insecure_channel(address, options=self._options) as channel:
            grpc.channel_ready_future(channel).result(10)
            begun = time.perf_counter()
            for number in range(count):
                time.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
                self._send(channel, ended)
            taken = time.perf_counter() - begun
            while len(ended) < count:
                time.sleep(0.01)
        good = sorted(one * 1e3 for code, one in ended if code == "OK") or [float("nan")]
        p99 = statistics.quantiles(good, n=100)[-1] if len(good) > 1 else good[0]
        codes = dict(Counter(code for code, _ in ended))
        return Seen(taken, codes, statistics.median(good), p99)

    def _send(self, channel: grpc.Channel, ended: list[tuple[str, float]]) -> None:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(self._target.method)
        begun = time.perf_counter()
        future = call.future(self._message, timeout=self._deadline, metadata=self._metadata)

        def done(answer: "grpc.Future[bytes]") -> None:
            error = answer.exception()
            code = error.code().name if isinstance(error, grpc.Call) else "OK"
            ended.append((code, time.perf_counter() - begun))

        future.add_done_callback(done)


@contextmanager
def probed(port: int) -> Iterator[list[float]]:
    """Ask for health while the block runs; the seconds each answer took, infinite where bad."""
    found: list[float] = []
    over = threading.Event()
    thread = threading.Thread(target=_probe, args=(port, found, over))
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _probe(port: int, found: list[float], over: threading.Event) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        while not over.wait(PROBE_SECONDS):
            found.append(_health_seconds(check))


def _health_seconds(check: "grpc.UnaryUnaryMultiCallable[bytes, bytes]") -> float:
    begun = time.perf_counter()
    request = health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")
    try:
        wire = check(request.SerializeToString(), timeout=1)
    except grpc.RpcError:
        return float("inf")
    is_well = health_pb2.HealthCheckResponse.FromString(wire).status == SERVING
    return time.perf_counter() - begun if is_well else float("inf")
