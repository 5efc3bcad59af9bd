"""Spans of calls, seen by a collector: whose children they are, what they say, what they cost."""

import json
import logging
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextvars import ContextVar

import grpc
import numpy as np
import pytest
from prometheus_client.openmetrics import parser

from model.checkpoint import FOUNDATION_FILE, load
from service.server import Server
from service.settings import Settings
from service.slot import Slots
from service.telemetry import Telemetry
from service.tracing import FLUSH_SECONDS, is_wanted, open_tracing
from sonoba import Client, Prompt
from sonoba._details import read
from sonoba.v1 import predictor_pb2 as pb
from tests.oip import public
from tests.service.asking import asking
from tests.service.telling import Collector, attributes, telling
from tests.service.test_batch import batch
from tests.service.watched import wait

pytestmark = pytest.mark.slow  # seconds, all together

RNG = np.random.default_rng(1)
X = RNG.normal(size=(16, 5))
Y = X.sum(1)
PLANTED = 48151.623421  # in numbers, names and ids of prompts: to be found nowhere
NAMES = [f"planted_{letter}" for letter in "abcde"]
CALLER, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
METHOD = "sonoba.v1.Predictor/"


@pytest.fixture(scope="module")
def collector():
    found = Collector()
    yield found
    found.close()


@pytest.fixture(scope="module")
def traced(collector):
    """A server process that hands its spans to the collector."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with telling(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test", **environ) as told:
        yield told


def from_caller(number, is_sampled=True):
    """Return the id of a trace of a caller, and the metadata that bring it."""
    trace_id = CALLER[:-4] + f"{number:04x}"
    return trace_id, (("traceparent", f"00-{trace_id}-{PARENT}-0{int(is_sampled)}"),)


def prompt():
    x, y = X.copy(), Y.copy()
    x[0, 0], y[1] = PLANTED, PLANTED
    return asking(x, y, X[:2], columns=NAMES, group_id="planted_group")


def test_a_call_continues_the_trace_of_its_caller_and_says_what_answered(traced, collector):
    trace_id, metadata = from_caller(1)

    response = traced.stub.Predict(prompt(), metadata=metadata)

    (span,) = collector.spans_of(trace_id)
    assert span.parent_span_id.hex() == PARENT
    assert span.name == METHOD + "Predict" and span.kind == span.SPAN_KIND_SERVER
    assert span.status.code == span.status.STATUS_CODE_UNSET
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert attributes(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD + "Predict",
        "rpc.response.status_code": "OK",
        "sonoba.model": "foundation",
        "sonoba.model_version": response.model_version,
        "sonoba.mode": "foundation",
        "sonoba.prompt_count": 1,
        "sonoba.example_count": 16,
        "sonoba.feature_count": 5,
        "sonoba.query_count": 2,
    }


def test_a_call_without_a_trace_begins_one(traced, collector):
    before = len(collector.spans)

    traced.stub.GetModel(pb.GetModelRequest())

    wait(lambda: len(collector.spans) > before)
    (span,) = collector.spans[before:]
    assert span.parent_span_id == b"" and span.name == METHOD + "GetModel"


def test_the_resource_names_the_service_and_what_the_operator_adds(traced, collector):
    traced.stub.Predict(prompt())

    wait(lambda: collector.resources)
    found = attributes(collector.resources[0].resource)
    assert found["service.name"] == "sonoba"
    assert found["service.version"] == "0.1.0"
    assert found["deployment.environment.name"] == "test"
    assert len(found["service.instance.id"]) == 36


def test_requests_laid_out_alike_are_told_of_each_by_its_own_span(traced, collector):
    """The server answers these in a shorter way from the third on."""
    found = []
    for number in range(20, 28):
        trace_id, metadata = from_caller(number)
        traced.stub.Predict(asking(X + number, Y, X[:1]), metadata=metadata)
        found += map(attributes, collector.spans_of(trace_id))

    assert [one.get("sonoba.prompt_count") for one in found] == [1] * 8
    assert {one["sonoba.mode"] for one in found} == {"foundation"}


def test_the_open_inference_protocol_is_told_of_too(traced, collector):
    trace_id, metadata = from_caller(30)
    stub = public.Stub(traced.channel)

    stub.infer(public.asking(X, Y, X[:3]), metadata=metadata)

    found = attributes(*collector.spans_of(trace_id))
    assert found["rpc.method"] == "inference.GRPCInferenceService/ModelInfer"
    assert (found["sonoba.model"], found["sonoba.query_count"]) == ("foundation", 3)


def test_every_prompt_of_a_batch_and_of_a_stream_is_in_one_span(traced, collector):
    x, y, queries = np.stack([X] * 3), np.stack([Y] * 3), np.stack([X[:1]] * 3)
    of_batch, metadata = from_caller(2)
    traced.stub.PredictBatch(batch(x, y, queries), metadata=metadata)
    of_stream, metadata = from_caller(3)
    asked = [pb.PredictStreamRequest(sequence=n, request=prompt()) for n in range(4)]
    answers = list(traced.stub.PredictStream(iter(asked), metadata=metadata))

    (of_batch,) = map(attributes, collector.spans_of(of_batch))
    (of_stream,) = map(attributes, collector.spans_of(of_stream))
    assert len(answers) == 4
    assert of_batch["sonoba.prompt_count"] == 3 and of_batch["sonoba.feature_count"] == 5
    assert of_stream["sonoba.prompt_count"] == 4
    assert of_stream["rpc.method"] == METHOD + "PredictStream"
    assert of_stream["rpc.response.status_code"] == "OK"


def refused(stub, request, metadata):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, metadata=metadata)
    return caught.value


def test_a_refusal_names_the_trace_in_the_error_the_span_and_the_log(traced, collector):
    trace_id, metadata = from_caller(4)

    error = refused(traced.stub, asking(X, Y[:3], X[:1], request_id="r-4"), metadata)

    (span,) = collector.spans_of(trace_id)
    found = attributes(span)
    assert (found["sonoba.reason"], found["rpc.response.status_code"]) == (
        "BAD_SHAPE",
        "INVALID_ARGUMENT",
    )
    assert span.status.code == span.status.STATUS_CODE_UNSET  # the caller's fault, not ours
    assert trace_id.encode() in dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert read(error.trailing_metadata()).request_id == "r-4"
    lines = traced.wait_for("refused")
    assert [one["trace_id"] for one in lines if one["request_id"] == "r-4"] == [trace_id]


def test_a_fault_of_the_server_makes_the_span_an_error(traced, collector):
    trace_id, metadata = from_caller(5)
    options = pb.PredictOptions(include_attributions=True, include_shift_score=True)
    request = asking(X, Y, X[:1], options=options, model="foundation")
    request.options.missing_value_policy = pb.MISSING_VALUE_POLICY_IMPUTE

    refused(traced.stub, request, metadata)

    (span,) = collector.spans_of(trace_id)
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "UNIMPLEMENTED"


def scrape(told):
    request = urllib.request.Request(
        told.listening["metrics"] + "/metrics",
        headers={"Accept": "application/openmetrics-text; version=1.0.0"},
    )
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


def exemplars(text):
    """Return the exemplars of the buckets by method and upper bound."""
    families = parser.text_string_to_metric_families(text)
    (family,) = [one for one in families if one.name == "grpc_server_handling_seconds"]
    return {
        (sample.labels["grpc_method"], float(sample.labels["le"])): sample.exemplar
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_a_bucket_names_the_trace_of_a_call_that_fell_into_it(traced, collector):
    trace_id, metadata = from_caller(6)
    x, y, queries = np.stack([X] * 3), np.stack([Y] * 3), np.stack([X[:1]] * 3)
    traced.stub.PredictBatch(batch(x, y, queries), metadata=metadata)
    collector.spans_of(trace_id)

    found = exemplars(scrape(traced))

    own = {key: one for key, one in found.items() if one.labels == {"trace_id": trace_id}}
    ((method, bound),) = own
    assert method == "PredictBatch"
    assert 0 < own[method, bound].value <= bound
    assert abs(float(own[method, bound].timestamp) - time.time()) < 60


def test_a_trace_that_its_caller_does_not_keep_is_not_kept_here(traced, collector):
    unkept, metadata = from_caller(7, is_sampled=False)
    error = refused(traced.stub, asking(X, Y[:3], X[:1]), metadata)
    kept, metadata = from_caller(8)
    traced.stub.Predict(prompt(), metadata=metadata)

    collector.spans_of(kept)
    assert unkept not in {span.trace_id.hex() for span in collector.spans}
    assert unkept.encode() in dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert unkept not in scrape(traced)


def test_nothing_of_a_prompt_is_in_a_span(traced, collector):
    trace_id, metadata = from_caller(9)
    secret = (*metadata, ("authorization", "Bearer planted-token"), ("x-sonoba-tenant", "planted"))
    traced.stub.Predict(prompt(), metadata=secret)
    refused(traced.stub, asking(X, Y, X[:1], columns=[*NAMES[1:], NAMES[1]]), secret)
    collector.spans_of(trace_id, 2)

    sent = b"".join(request.SerializeToString() for request in collector.requests)
    assert trace_id in {span.trace_id.hex() for span in collector.spans}
    assert b"planted" not in sent and b"48151" not in sent
    assert np.float64(PLANTED).tobytes() not in sent


PROMETHEUS = {"global": {"scrape_interval": "1s"}}


def test_prometheus_keeps_the_exemplars(traced, collector, tmp_path):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    targets = [{"targets": [traced.listening["metrics"].removeprefix("http://")]}]
    jobs = [{"job_name": "sonoba", "static_configs": targets}]
    (tmp_path / "prometheus.json").write_text(json.dumps({**PROMETHEUS, "scrape_configs": jobs}))
    from tests.deploy.test_dashboard_live import free_port

    port = free_port()
    flags = [f"--config.file={tmp_path / 'prometheus.json'}", "--enable-feature=exemplar-storage"]
    flags += [f"--storage.tsdb.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"]
    trace_id, metadata = from_caller(10)
    with subprocess.Popen([program, *flags], stderr=subprocess.DEVNULL) as process:
        try:
            traced.stub.Predict(prompt(), metadata=metadata)
            wait(lambda: trace_id in asked_of_prometheus(port), 60)
        finally:
            process.terminate()


def asked_of_prometheus(port):
    now = time.time()
    query = {"query": "grpc_server_handling_seconds_bucket", "start": now - 300, "end": now + 60}
    url = f"http://127.0.0.1:{port}/api/v1/query_exemplars?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url) as response:
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return ""  # not listening yet


def test_without_an_exporter_nothing_is_put_around_anything():
    telemetry = Telemetry(Settings(), Slots([load(FOUNDATION_FILE)], "foundation"))
    functions = [lambda *_: None] * 4

    unary = telemetry.unary(functions[0], "m"), telemetry.stream(functions[1], "m")
    taps = telemetry.watch(functions[2]), telemetry.count(functions[3])

    assert [*unary, *taps] == functions
    code = "import service.server, sys; print([m for m in sys.modules if 'opentelemetry' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_says_whether_there_are_traces(environ, wanted):
    assert is_wanted(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: expected otlp or none"),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "expected grpc, got http/pro",
        ),
    ],
)
def test_an_exporter_that_there_is_not_is_warned_of_and_serving_goes_on(environ, sentence, caplog):
    assert open_tracing(environ) is None
    assert sentence in caplog.text


def test_without_the_extra_there_is_a_sentence_and_no_traces(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)

    assert open_tracing(ENDPOINT) is None
    assert "expected the extra `otel`" in caplog.text


def test_a_collector_that_is_not_there_stops_no_call_and_no_end(monkeypatch, caplog):
    for name, value in ENDPOINT.items():
        monkeypatch.setenv(name, value)
    server = Server(Settings(grpc_port=0, metrics_port=0), open_tracing(ENDPOINT))
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        ask = channel.unary_unary("/sonoba.v1.Predictor/Predict")
        for _ in range(50):
            ask(prompt().SerializeToString(), timeout=5)
    begun = time.monotonic()

    with caplog.at_level(logging.CRITICAL):  # the exporter complains; that is its right
        server.stop(0.0)

    assert time.monotonic() - begun < FLUSH_SECONDS + 3


OURS = ContextVar("ours")


class Propagation(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends the trace of whoever calls, as OpenTelemetry's instrumentation of gRPC does."""

    def intercept_unary_unary(self, going_on, details, request):
        return going_on(details._replace(metadata=[*(details.metadata or ()), OURS.get()]), request)

    intercept_stream_stream = intercept_unary_unary


def test_the_trace_of_whoever_uses_the_client_goes_with_every_call(traced, collector, monkeypatch):
    """Instrumentations put themselves into `grpc.insecure_channel`; threads must not lose them."""
    plain = grpc.insecure_channel

    def instrumented(*arguments, **more):
        return grpc.intercept_channel(plain(*arguments, **more), Propagation())

    monkeypatch.setattr(grpc, "insecure_channel", instrumented)
    trace_id, (metadatum,) = from_caller(11)
    OURS.set(metadatum)
    with Client(traced.listening["predictions"]) as client:
        client.predict(X, Y, X[:1])
        client.predict_many([Prompt(X, Y, X[:1])] * 8)
        list(client.stream([Prompt(X, Y, X[:1])] * 2))

    spans = collector.spans_of(trace_id, 4)
    names = {span.name.removeprefix(METHOD) for span in spans}
    assert names == {"Predict", "GetModel", "PredictBatch", "PredictStream"}
    assert {span.parent_span_id.hex() for span in spans} == {PARENT}
