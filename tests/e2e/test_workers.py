"""Several workers under one supervisor, as an operator runs them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from model.checkpoint import FOUNDATION_FILE
from service.settings import Settings
from sonoba.v1 import predictor_pb2_grpc
from tests.e2e.conftest import spawn
from tests.e2e.workers import Fleet, is_alive, samples, until
from tests.service.asking import asking

pytestmark = pytest.mark.slow  # seconds, all together

X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    token = tmp_path_factory.mktemp("admin") / "token"
    token.write_text("a-token-of-the-test\n")
    token.chmod(0o600)
    flags = ("--admin-token-file", str(token), "--admin-port", "0")
    found = Fleet(*flags)
    yield found
    found.kill()


@pytest.fixture
def start():
    """Start a fleet of a test's own; leave nothing behind, whatever the test finds."""
    fleets = []
    yield lambda *flags: fleets.append(Fleet(*flags)) or fleets[-1]
    for one in fleets:
        one.kill()


def call(address, count):
    """Call some times, each time over another connection."""
    for _ in range(count):
        with grpc.insecure_channel(address, options=OWN_CONNECTION) as channel:
            predictor_pb2_grpc.PredictorStub(channel).Predict(REQUEST, timeout=10)


def handled(fleet):
    """Return the calls that each worker has answered."""
    name = "grpc_server_handled_total"
    pages = [fleet.get("/metrics", f"http://{at}") for at in fleet.worker_targets().values()]
    return [
        sum(v for at, v in samples(page, name).items() if '"Predict"' in at and '"OK"' in at)
        for page in pages
    ]


def test_the_calls_over_all_workers_are_the_calls_sent(fleet):
    """Metrics of one process of many were the complaint about peers."""
    before = sum(handled(fleet))

    call(fleet.address, 24)

    assert sum(handled(fleet)) - before == 24
    assert all(handled(fleet))  # both take part: 2^-23 that chance leaves one out


def test_the_supervisor_answers_for_all(fleet):
    status, health = fleet.json("/status.json"), fleet.json("/healthz")
    metrics = fleet.get("/metrics")

    assert health == {"status": "ok", "workers": 2, "alive": 2}
    assert status["replicas"] == 2
    assert [one["is_ready"] for one in status["workers"]] == [True, True]
    assert samples(metrics, "sonoba_workers_alive") == {"": 2.0}
    assert "workers-card" in fleet.get("/")


def test_what_a_re_evaluator_needs_to_know_can_be_pasted(fleet):
    """Every worker has an admin port of its own; all of them are one value of SONOBA_REPLICAS."""
    (line,) = re.findall(r"^ +SONOBA_REPLICAS=(\S+)$", fleet.printed, re.MULTILINE)
    settings = Settings.from_environ({"SONOBA_REPLICAS": line})
    asked = health_pb2.HealthCheckRequest(service="sonoba.v1.Replica")

    assert len(set(settings.replicas)) == 2
    for address in settings.replicas:
        with grpc.insecure_channel(address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_it_holds_no_models_and_little_memory(fleet):
    maps = Path(f"/proc/{fleet.child.pid}/maps").read_text()
    lines = Path(f"/proc/{fleet.child.pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    assert "numpy" not in maps
    assert "cygrpc" not in maps
    assert kilobytes < 48 * 1024


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_start_of_the_whole_is_refused_though_workers_share_the_port(fleet, workers):
    port = fleet.address.rpartition(":")[2]

    second = spawn("--workers", str(workers), "--grpc-port", port)

    _, error = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in error
    assert "is another server there?" in error
    assert "Traceback" not in error


def test_doctor_finds_every_worker(fleet):
    port = fleet.url.rpartition(":")[2]

    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "doctor", "--metrics-port", port],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": "client", "COLUMNS": "200"},
    )

    assert "2 of 2 workers answer" in done.stdout, done.stdout + done.stderr


def test_sigterm_drains_all_workers_together_and_exits_0(start):
    """Health turns first, calls go on, though the signal also reaches each worker on its own."""
    fleet = start("--lame-duck-seconds", "4")  # a busy machine, too, is to call in that time
    pids = fleet.pids()
    for pid in [fleet.child.pid, *pids]:  # as systemd does
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.4)

    call(fleet.address, 8)
    health = fleet.json("/healthz")
    assert health == {"status": "draining", "workers": 2, "alive": 2}
    _, logged = fleet.child.communicate(timeout=30)
    assert fleet.child.returncode == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    events = [line["event"] for line in lines if line.get("worker") in ("0", "1")]
    assert events == ["drain", "drain", "stop", "stop"]  # together, not one after another
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_a_worker_that_is_asked_to_end_finishes_and_is_replaced(start):
    fleet = start("--lame-duck-seconds", "0.2")
    before = fleet.pid_of(1)

    os.kill(before, signal.SIGTERM)

    until(lambda: not is_alive(before))
    until(lambda: fleet.json("/status.json")["workers"][1]["restarts"] == 1)  # it was noticed
    until(lambda: fleet.json("/healthz")["alive"] == 2)
    assert fleet.json("/status.json")["workers"][1]["last_end"] == "exit status 0"
    assert fleet.stop() == 0


def test_a_second_signal_ends_all_at_once(start):
    fleet = start("--lame-duck-seconds", "30")
    pids = fleet.pids()
    fleet.child.send_signal(signal.SIGTERM)
    until(lambda: fleet.json("/healthz")["status"] == "draining")
    fleet.child.send_signal(signal.SIGTERM)  # at once: the same wish, sent twice
    time.sleep(1.1)
    assert all(map(is_alive, pids))

    fleet.child.send_signal(signal.SIGTERM)

    fleet.child.communicate(timeout=10)
    assert fleet.child.returncode == 130
    assert not any(map(is_alive, pids))


def test_where_no_worker_can_be_started_again_the_supervisor_gives_up(start, tmp_path):
    """The model's file is gone when both workers die."""
    path = tmp_path / "model.json"
    path.write_bytes(
        FOUNDATION_FILE.read_bytes().replace(b'"name": "foundation"', b'"name": "other"')
    )
    fleet = start("--model-files", str(path))
    path.unlink()

    for pid in fleet.pids():
        os.kill(pid, signal.SIGKILL)

    _, error = fleet.child.communicate(timeout=90)
    assert fleet.child.returncode == 1
    assert "No such file" in error
    assert "giving up" in error


def test_a_supervisor_that_is_killed_leaves_nothing_behind(start):
    fleet = start()
    pids = fleet.pids()

    os.kill(fleet.child.pid, signal.SIGKILL)

    until(lambda: not any(map(is_alive, pids)), 15)
    fleet.kill()
    host, port = fleet.address.split(":")
    with pytest.raises(ConnectionRefusedError), socket.create_connection((host, int(port)), 2):
        pass


def test_a_model_file_that_is_bad_stops_the_start_and_is_told_once(tmp_path):
    (tmp_path / "bad.json").write_text("{}")

    child = spawn("--workers", "3", "--model-files", str(tmp_path / "bad.json"))

    out, error = child.communicate(timeout=30)
    assert child.returncode == 1
    assert out == ""
    assert error.count("bad.json") == 1, error
    assert "Traceback" not in error
