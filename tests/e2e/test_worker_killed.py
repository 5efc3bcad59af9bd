"""A worker is killed under load: who notices, and for how long."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.deploy.test_dashboard_live import Api, free_port
from tests.e2e.workers import Fleet, samples, until

pytestmark = pytest.mark.slow  # seconds, all together

LOADS, LOAD_SECONDS = 3, 5.0
DYING_SECONDS = 1.0  # of a process's sockets, on a busy machine


@pytest.fixture
def fleet():
    found = Fleet()
    yield found
    found.kill()


@pytest.fixture
def prometheus(fleet, tmp_path):
    """Run Prometheus on what the fleet's discovery tells, each second; None where there is none."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    discovered = [{"url": f"{fleet.url}/sd", "refresh_interval": "1s"}]
    configuration = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [{"job_name": "sonoba", "http_sd_configs": discovered}],
    }
    (tmp_path / "prometheus.json").write_text(json.dumps(configuration))  # JSON is YAML
    port = free_port()
    command = [
        program,
        f"--config.file={tmp_path / 'prometheus.json'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        api = Api(f"http://127.0.0.1:{port}")
        until(api.is_ready)
        yield api
        process.terminate()


def asked(api, query):
    """Return the values of an instant query by the label `worker`."""
    found = api.get("query", query=query)["result"]
    return {one["metric"].get("worker", ""): float(one["value"][1]) for one in found}


def load(address):
    command = [sys.executable, "-m", "tests.e2e.load", address, str(LOAD_SECONDS)]
    environ = {**os.environ, "PYTHONPATH": "client:."}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def busiest(fleet):
    """Return the number of the worker that answered most calls."""

    def calls(number):
        page = fleet.get("/metrics", f"http://{fleet.worker_targets()[number]}")
        return sum(samples(page, "grpc_server_handled_total").values())

    return max(fleet.worker_targets(), key=calls)


def kill_busiest(fleet):
    """Kill the worker with most of the calls; return its number, when, and when it was back."""
    number = busiest(fleet)
    os.kill(fleet.pid_of(number), signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: fleet.json("/healthz")["alive"] == 1)
    until(lambda: fleet.json("/healthz")["alive"] == 2)
    return number, killed, time.monotonic()


def test_only_calls_in_flight_fail_customers_see_none_and_prometheus_sees_all(fleet, prometheus):
    loads = [load(fleet.address) for _ in range(LOADS)]
    time.sleep(0.4 * LOAD_SECONDS)

    number, killed, back = kill_busiest(fleet)

    outcomes = [json.loads(one.communicate(timeout=30)[0]) for one in loads]
    customers = [one["customer"] for one in outcomes]
    failed = [call for one in outcomes for call in one["plain"]["failed"]]
    assert [one["failed"] for one in customers] == [[]] * LOADS
    assert [one["wrong"] for one in customers] == [0] * LOADS
    assert all(one["answered"] > 100 for one in customers)
    assert failed  # in flight, or on a connection that the dying process still took
    assert max(at - killed for at, *_ in failed) < DYING_SECONDS, failed
    assert {code for _, code, _ in failed} == {"UNAVAILABLE"}
    assert back - killed < 8.0
    restarts = 'sonoba_worker_restarts_total{job="sonoba-supervisor"}'
    until(lambda: asked(prometheus, restarts) == {str(number): 1.0, str(1 - number): 0.0})
    until(lambda: asked(prometheus, 'up{job="sonoba"} == 1').keys() == {"0", "1"})
    (gone,) = [one for one in fleet.json("/status.json")["workers"] if one["worker"] == number]
    assert (gone["restarts"], gone["last_end"]) == (1, "killed by SIGKILL")
