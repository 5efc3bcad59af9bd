"""The process an operator runs: what it prints, how it starts, how it ends."""

import re
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sonoba.v1 import predictor_pb2_grpc
from tests.e2e.conftest import spawn
from tests.service.asking import asking

pytestmark = pytest.mark.slow  # seconds, all together

X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])


def test_what_it_prints_can_be_pasted(process):
    server = process()
    (line,) = re.findall(r"^ +(.* predict .*)$", server.printed, re.MULTILINE)

    done = subprocess.run(
        shlex.split(line),
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": "client"},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(",prediction")
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.parametrize(
    ("flags", "environ", "sentence"),
    [
        (
            [],
            {"SONOBA_TREADS": "2"},
            "SONOBA_TREADS: no such setting; did you mean SONOBA_THREADS?",
        ),
        (["--threads", "many"], {}, "SONOBA_THREADS: input should be a valid integer"),
        (["--tread", "2"], {}, "No such option '--tread'"),
        (["--model-files", "absent.json"], {}, "absent.json: No such file or directory"),
    ],
    ids=["misspelt variable", "malformed flag", "misspelt flag", "absent model"],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(flags, environ, sentence):
    child = spawn(*flags, **environ)

    _, error = child.communicate(timeout=30)

    assert child.returncode != 0
    assert sentence in error
    assert "Traceback" not in error


def test_a_second_server_on_the_port_is_refused_with_a_sentence(process):
    first = process()

    second = spawn("--grpc-port", str(first.grpc_port))

    _, error = second.communicate(timeout=30)
    assert second.returncode == 1
    assert "is another server there?" in error


def test_serving_never_loads_torch_and_answers_within_its_memory(process):
    server = process()
    stub = predictor_pb2_grpc.PredictorStub(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))

    for _ in range(100):
        stub.Predict(REQUEST)

    maps = Path(f"/proc/{server.child.pid}/maps").read_text()
    assert "torch" not in maps
    assert "duckdb" not in maps


def _load(stub, codes, stop):
    while not stop.is_set():
        try:
            stub.Predict(REQUEST, timeout=5)
            codes.append(grpc.StatusCode.OK)
        except grpc.RpcError as error:
            codes.append(error.code())
            return


@pytest.mark.slow
def test_sigterm_turns_unhealthy_first_finishes_what_runs_and_exits_0(process):
    """Calls go on through the whole lame duck; none that was begun is lost."""
    server = process("--lame-duck-seconds", "4")  # a busy machine, too, is to look in that time
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    stub = predictor_pb2_grpc.PredictorStub(channel)
    health = health_pb2_grpc.HealthStub(channel)
    codes, stop = [], threading.Event()
    callers = [threading.Thread(target=_load, args=(stub, codes, stop)) for _ in range(4)]
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    server.child.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    during = health.Check(health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")).status
    alive = health.Check(health_pb2.HealthCheckRequest(service="liveness")).status
    stop.set()  # callers that watch health have left by now
    for caller in callers:
        caller.join()

    assert during == health_pb2.HealthCheckResponse.NOT_SERVING
    assert alive == health_pb2.HealthCheckResponse.SERVING
    assert set(codes) == {grpc.StatusCode.OK}
    assert server.child.wait(timeout=15) == 0


@pytest.mark.slow
def test_calls_in_flight_are_finished_on_stop(process):
    server = process("--lame-duck-seconds", "0")
    stub = predictor_pb2_grpc.PredictorStub(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
    heavy = np.random.default_rng(0).normal(size=(3000, 200))
    pending = [stub.Predict.future(asking(heavy, heavy[:, 0], heavy[:1])) for _ in range(8)]
    time.sleep(0.15)  # long enough to be accepted, too short to be done

    server.child.send_signal(signal.SIGTERM)

    outcomes = [call.exception(timeout=30) for call in pending]
    assert server.child.wait(timeout=15) == 0
    assert {None if e is None else e.code() for e in outcomes} <= {
        None,
        grpc.StatusCode.UNAVAILABLE,  # not yet accepted: safe to retry
    }
    assert outcomes[0] is None


def test_ctrl_c_does_not_wait_for_a_load_balancer(process):
    server = process("--lame-duck-seconds", "30")
    begun = time.monotonic()

    server.child.send_signal(signal.SIGINT)

    assert server.child.wait(timeout=10) == 0
    assert time.monotonic() - begun < 8
