"""Whether what was started answers: asked of the thing itself, never taken from its log."""

import json
import urllib.request
from typing import Any
from urllib.parse import quote

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ASK_SECONDS = 2.0
# No proxy: the question never leaves this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
OPTIONS = [("grpc.enable_http_proxy", 0)]


def serves(address: str, service: str) -> bool:
    """Return whether a gRPC port says that a service is healthy."""
    with grpc.insecure_channel(address, OPTIONS) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            asked = health_pb2.HealthCheckRequest(service=service)
            found = stub.Check(asked, timeout=ASK_SECONDS).status
        except grpc.RpcError:
            return False
    return bool(found == health_pb2.HealthCheckResponse.SERVING)


def answers(url: str) -> bool:
    """Return whether an address answers 2xx over HTTP."""
    try:
        with DIRECT.open(url, timeout=ASK_SECONDS):
            return True
    except OSError:
        return False


def sees(prometheus: str, jobs: tuple[str, ...]) -> bool:
    """Return whether a Prometheus (host:port) has scraped every one of some jobs."""
    url = f"http://{prometheus}/api/v1/query?query={quote('up == 1')}"
    try:
        with DIRECT.open(url, timeout=ASK_SECONDS) as reply:
            found = json.load(reply)["data"]["result"]
    except OSError:
        return False
    return set(jobs) <= {one["metric"]["job"] for one in found}
