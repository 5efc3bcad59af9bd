"""What an operator relies on: health, reflection, metrics, ports, settings."""

import re
import socket
import threading
import time
import urllib.request

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from service.server import Server
from service.settings import Settings, SettingsError
from service.start_error import StartError
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import asking

X = np.random.default_rng(0).normal(size=(8, 2))
REQUEST = asking(X, X[:, 0], X[:1])


@pytest.mark.parametrize("service", ["", "sonoba.v1.Predictor", "liveness"])
def test_a_ready_server_says_so(served, service):
    stub = health_pb2_grpc.HealthStub(served.channel)

    status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status

    assert status == health_pb2.HealthCheckResponse.SERVING


def test_readiness_can_be_watched(served):
    watch = health_pb2_grpc.HealthStub(served.channel).Watch(
        health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")
    )

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_the_contract_can_be_read_off_the_server(served):
    database = ProtoReflectionDescriptorDatabase(served.channel)
    service = DescriptorPool(database).FindServiceByName("sonoba.v1.Predictor")

    assert "sonoba.v1.Predictor" in database.get_services()
    assert {m.name for m in service.methods} >= {"Predict", "PredictBatch", "PredictStream"}


def test_reflection_can_be_switched_off(serving):
    closed = serving(reflection=False)

    with pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(closed.channel).get_services()

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def scrape(server):
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as page:
        return page.read().decode()


def value(text, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, f"{series} is not in /metrics"
    return float(found[1])


def test_calls_are_counted_under_the_ecosystems_names(serving):
    one = serving()
    labels = 'grpc_method="Predict",grpc_service="sonoba.v1.Predictor",grpc_type="unary"'
    before = scrape(one.server)

    one.stub.Predict(REQUEST)
    with pytest.raises(grpc.RpcError):
        one.stub.Predict(pb.PredictRequest())

    after = scrape(one.server)
    for code in ("OK", "InvalidArgument", "DeadlineExceeded", "Internal"):
        assert value(before, f'grpc_server_handled_total{{grpc_code="{code}",{labels}}}') == 0
    assert value(after, f'grpc_server_handled_total{{grpc_code="OK",{labels}}}') == 1
    assert value(after, f'grpc_server_handled_total{{grpc_code="InvalidArgument",{labels}}}') == 1
    assert value(after, f"grpc_server_started_total{{{labels}}}") == 2
    assert value(after, f"grpc_server_handling_seconds_count{{{labels}}}") == 2
    assert value(after, 'sonoba_prompts_total{mode="foundation",model="foundation"}') == 1
    assert value(after, 'sonoba_queries_total{model="foundation"}') == 1


def test_refusals_are_counted_by_reason_and_calls_while_they_wait(serving):
    one = serving()
    before = scrape(one.server)

    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            one.stub.Predict(pb.PredictRequest(model="nobody"))
    ends = threading.Event()
    stream = one.stub.PredictStream(silence(ends), timeout=30.0)
    waiting = scraped_until(one.server, "sonoba_pending_requests", 1)
    ends.set()
    list(stream)

    assert waiting
    assert scraped_until(one.server, "sonoba_pending_requests", 0)
    assert value(before, 'sonoba_rejections_total{reason="MODEL_NOT_FOUND"}') == 0
    after = scrape(one.server)
    assert value(after, 'sonoba_rejections_total{reason="MODEL_NOT_FOUND"}') == 2
    assert value(after, 'sonoba_rejections_total{reason="BAD_SHAPE"}') == 0


def silence(ends):
    """Send nothing until told to end."""
    ends.wait(30.0)
    yield from ()


def scraped_until(server, series, wanted):
    """Return whether a series comes to a number within ten seconds."""
    ends = time.monotonic() + 10.0
    while value(scrape(server), series) != wanted:
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def test_a_stream_counts_its_messages(serving):
    one = serving()
    labels = (
        'grpc_method="PredictStream",grpc_service="sonoba.v1.Predictor",grpc_type="bidi_stream"'
    )

    list(one.stub.PredictStream(iter([pb.PredictStreamRequest(request=REQUEST)] * 3)))

    text = scrape(one.server)
    assert value(text, f"grpc_server_msg_received_total{{{labels}}}") == 3
    assert value(text, f"grpc_server_msg_sent_total{{{labels}}}") == 3
    assert value(text, f'grpc_server_handled_total{{grpc_code="OK",{labels}}}') == 1


def test_an_unknown_method_makes_no_series(serving):
    one = serving()

    with pytest.raises(grpc.RpcError):
        one.channel.unary_unary("/sonoba.v1.Predictor/Guess")(b"")

    assert "Guess" not in scrape(one.server)


def test_idle_streams_do_not_hold_up_predictions_or_probes(serving):
    one = serving(threads=1, max_streams=4)
    feeds = [one.stub.PredictStream(iter(_never().__next__, None)) for _ in range(4)]

    answer = one.stub.Predict(REQUEST, timeout=5)
    status = health_pb2_grpc.HealthStub(one.channel).Check(
        health_pb2.HealthCheckRequest(), timeout=5
    )

    assert answer.predictions
    assert status.status == health_pb2.HealthCheckResponse.SERVING
    for feed in feeds:
        feed.cancel()


def _never():
    import time

    time.sleep(3)
    yield from ()


@pytest.mark.parametrize("setting", ["grpc_port", "metrics_port"])
def test_a_port_in_use_stops_the_start_by_name(setting):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"grpc_port": 0, "metrics_port": 0, setting: taken.getsockname()[1]}
        server = Server(Settings(**ports))

        with pytest.raises(StartError, match=f"{setting}: cannot listen on 127.0.0.1:"):
            server.start()
        server.stop(0.0)


def test_two_servers_never_share_a_port(serving):
    one = serving()
    other = Server(Settings(grpc_port=one.server.grpc_port, metrics_port=0))

    with pytest.raises(StartError, match="is another server there"):
        other.start()
    other.stop(0.0)


def test_a_default_model_that_is_not_served_stops_the_start():
    with pytest.raises(StartError, match="default_model: expected one of foundation, got oracle"):
        Server(Settings(default_model="oracle"))


def test_settings_come_from_the_environment_and_flags_win():
    environ = {"SONOBA_GRPC_PORT": "50099", "SONOBA_THREADS": "2", "HOME": "elsewhere"}

    settings = Settings.from_environ(environ, threads="3", host=None)

    assert (settings.grpc_port, settings.threads, settings.host) == (50099, 3, "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("GRPC_PROT", "1", "SONOBA_GRPC_PROT: no such setting; did you mean SONOBA_GRPC_PORT?"),
        ("GRPC_PORT", "99999", "SONOBA_GRPC_PORT: input should be less than or equal to 65535"),
        ("DRAIN_SECONDS", "soon", "SONOBA_DRAIN_SECONDS: input should be a valid number"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_by_name(name, given, sentence):
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({f"SONOBA_{name}": given})

    assert sentence in str(caught.value)
    assert "99999" not in str(caught.value)
