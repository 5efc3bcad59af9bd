"""A re-evaluator and a server that trust each other by certificates; people are known by name."""

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.audit import AuditLog
from service.models_command import models
from service.operations_client import OperationsError, operations
from service.reevaluator import Reevaluator
from service.settings import Settings
from service.start_error import StartError
from sonoba import Tls
from tests.security.conftest import OBSERVER, OPERATOR, SHOP

pytestmark = pytest.mark.slow  # seconds, all together

PAPER = {"kind": "paper", "name": "weather", "covariance": [[1.0]], "noise_variance": 0.5}


@pytest.fixture
def written(tmp_path):
    """Return what writes a file and gives its path."""

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def loop(serving, authority, callers_file, tmp_path, written):
    """A mutual TLS server with a model of a store, and the re-evaluator of that store."""
    store = tmp_path / "store"
    store.mkdir()
    asked = ["import", str(written("paper.json", json.dumps(PAPER))), "--store", str(store)]
    assert CliRunner().invoke(models, asked).exit_code == 0
    shared = {
        **authority.server().settings,
        "tls_client_ca_file": authority.file,
        "callers_file": callers_file,
        "admin_token_file": written("admin", "secret-of-the-admin-ports"),
        "admin_port": 0,
        "store": str(store),
        "metrics_port": 0,
    }
    server = serving(**{k: v for k, v in shared.items() if k != "metrics_port"})
    settings = Settings(
        **shared,
        replicas=(f"localhost:{server.admin_port}",),
        replicas_ca_file=authority.file,
        webhook_token_file=written("webhook", "secret-of-the-webhook"),
        webhook_port=0,
        health_port=0,
        reports=tmp_path / "reports",
    )
    process = Reevaluator(settings)
    process.start()
    yield process, settings
    process.stop()


def test_an_operator_asks_for_an_evaluation_that_asks_the_servers_and_an_observer_reads_it(
    loop, authority, written
):
    process, settings = loop
    tls = Tls(authority.file, *authority.client("person"))

    def opened(name, secret):
        address = f"localhost:{process.admin_port}"
        return operations(address, written(name, secret), tls)

    with opened("alice", OPERATOR) as alice:
        evaluation = alice.evaluate("weather", "operator", "a look")
        ends = time.monotonic() + 30
        while (told := alice.latest("weather")[0]).state != "DONE":
            assert time.monotonic() < ends
            time.sleep(0.05)
    with opened("olga", OBSERVER) as olga:
        assert olga.evaluation(evaluation).verdict == "INSUFFICIENT"
        with pytest.raises(OperationsError, match="expected the role operate, got observe"):
            olga.evaluate("weather", "operator", "a look")
    assert "own normal" in told.sentence  # it heard of the server's monitor, over TLS

    actors = {line.actor for line in entries(settings)}
    assert {"operator (alice at ", "operator (olga at "} <= {
        one.partition("ipv")[0] for one in actors
    }


def test_probes_without_tls_or_a_certificate_learn_that_it_is_ready(loop):
    process, _ = loop

    with grpc.insecure_channel(f"127.0.0.1:{process.health_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "sonoba.v1.Operations", "liveness"):
            told = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert told.status == health_pb2.HealthCheckResponse.SERVING


def entries(settings):
    return list(AuditLog(Path(settings.store) / "audit.sqlite").entries())


def page(process, authority, name, secret):
    """Return the status and the first bytes of the list of reports for one reader."""
    proof = base64.b64encode(f"{name}:{secret}".encode()).decode()
    request = urllib.request.Request(
        f"https://localhost:{process.webhook_port}/reports",
        headers={"Authorization": f"Basic {proof}"},
    )
    trusting = ssl.create_default_context(cafile=authority.file)
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusting) as found:
            return found.status, found.read(15)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_a_report_is_read_by_the_name_that_the_secret_proves(loop, authority):
    process, settings = loop

    assert page(process, authority, "somebody", OBSERVER) == (200, b"<!doctype html>")
    assert page(process, authority, "somebody", "secret-of-the-admin-ports")[0] == 200
    assert page(process, authority, "somebody", SHOP)[0] == 401
    readers = [one.actor for one in entries(settings) if one.action == "report.listed"]
    assert readers == ["olga", "somebody"]


def test_an_authority_that_cannot_be_read_stops_the_start(loop, tmp_path):
    _, settings = loop

    with pytest.raises(StartError, match=r"^replicas_ca_file: none\.pem: No such file"):
        Reevaluator(settings.model_copy(update={"replicas_ca_file": tmp_path / "none.pem"}))
