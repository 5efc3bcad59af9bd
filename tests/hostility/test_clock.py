"""The wall clock jumps a month ahead and a day back under load: no call notices.

Deadlines, streams, quotas, drains and restarts go by the monotonic clock. By the wall clock go what
is dated for people (an expiry, the moment of an exemplar), and what gRPC converts once, when a call
arrives.
"""

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import grpc
import numpy as np
import pytest

from bench.replicas.load import Load
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc
from tests.e2e.conftest import process  # noqa: F401  a fixture
from tests.service.asking import asking

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
if not LIBRARIES:
    pytest.skip("libfaketime is not installed: Debian package faketime", allow_module_level=True)

pytestmark = pytest.mark.slow  # seconds, all together

X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])
FOREVER, SHORT = "a-token-without-an-end", "a-token-of-some-days"


class Clock:
    """What the process takes for the wall clock; the monotonic one is the machine's."""

    def __init__(self, folder):
        self._file = folder / "offset"
        self.turn("+0")
        self.environ = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def turn(self, offset):
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        os.replace(new, self._file)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


@pytest.fixture
def callers(tmp_path):
    """A file of a token that never ends and one that ends in a week."""
    week = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"
    path = tmp_path / "callers"
    ends = {FOREVER: "never", SHORT: week}
    lines = (f"{sha256(t.encode()).hexdigest()} shop predict {end}" for t, end in ends.items())
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


def code_of(stub, token):
    try:
        stub.Predict(REQUEST, timeout=5, metadata=bearer(token))
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_wall_clock_that_jumps_fails_no_call_and_ends_what_is_dated(process, clock, callers):  # noqa: F811
    server = process("--callers-file", str(callers), "--lame-duck-seconds", "1", **clock.environ)
    codes, answered, ended = {}, [], threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = predictor_pb2_grpc.PredictorStub(channel)

        def prompts():
            while not ended.wait(0.02):
                yield pb.PredictStreamRequest(request=REQUEST)

        def stream():
            answers = stub.PredictStream(prompts(), timeout=60, metadata=bearer(FOREVER))
            answered.extend(one.WhichOneof("result") for one in answers)

        listening = threading.Thread(target=stream)
        listening.start()
        with Load(lambda: stub.Predict(REQUEST, timeout=5, metadata=bearer(FOREVER))) as load:
            for offset in ("+0", "+30d", "-1d", "+0"):
                clock.turn(offset)
                load.wait_for(50)
                codes[offset] = code_of(stub, SHORT)
        ended.set()
        listening.join()

    assert load.failures == []
    assert set(answered) == {"response"}
    assert codes.pop("+30d") is grpc.StatusCode.UNAUTHENTICATED
    assert set(codes.values()) == {grpc.StatusCode.OK}
    assert is_drained_in_time(server, clock)


def is_drained_in_time(server, clock):
    """Return whether a drain lasts as long as it should while the clock goes back a year."""
    begun = time.monotonic()
    server.child.send_signal(signal.SIGTERM)
    clock.turn("-365d")
    return server.child.wait(timeout=15) == 0 and 1.0 <= time.monotonic() - begun < 8.0
