"""Health while those who watch it come and go."""

import threading
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.health import LIVENESS, Health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def served():
    pool = futures.ThreadPoolExecutor(2)
    server = grpc.server(pool)
    health = Health(server, pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    health.set_ready(True)
    yield health, f"127.0.0.1:{port}"
    server.stop(0)


def watch(address, times):
    for _ in range(times):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)).status  # noqa: B018


def test_watchers_that_come_and_go_do_not_stop_the_server(served):
    health, address = served
    watchers = [threading.Thread(target=watch, args=(address, 25)) for _ in range(8)]
    for one in watchers:
        one.start()
    for ready in [False, True] * 50:
        health.set_ready(ready)
    for one in watchers:
        one.join(20)

    assert not any(one.is_alive() for one in watchers)
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", LIVENESS):
            told = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert told.status == SERVING


def test_a_watcher_is_told_the_newest_state(served):
    health, address = served
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        states = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)

        assert next(states).status == SERVING
        health.set_ready(False)
        assert next(states).status == NOT_SERVING
        health.set_ready(True)
        assert next(states).status == SERVING
