"""Tokens, roles, tenants and quotas over real gRPC, on every port; certificates as identities."""

import time
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service.callers_file import line_of
from sonoba.v1 import operations_pb2, predictor_pb2, predictor_pb2_grpc, replica_pb2
from tests.oip.public import Stub, tensor
from tests.security.conftest import OBSERVER, OPERATOR, OTHER, SHOP, bearing, code_of
from tests.service.asking import asking, matrix, vector

pytestmark = pytest.mark.slow  # seconds, all together

OK, NOBODY = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
DENIED, EXHAUSTED = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED
RNG = np.random.default_rng(0)
X, Y, QUERIES = RNG.normal(size=(8, 3)), RNG.normal(size=8), RNG.normal(size=(2, 3))
PROMPT = asking(X, Y, QUERIES)


@pytest.fixture
def served(serving, callers_file):
    """Return what starts a server with callers; methods to call with a token."""
    channels = []

    def start(**settings):
        server = serving(callers_file=callers_file, **settings)
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        channels.append(channel)
        stub = predictor_pb2_grpc.PredictorStub(channel)
        return SimpleNamespace(server=server, channel=channel, stub=stub)

    yield start
    for channel in channels:
        channel.close()


def batch(count=4):
    size = X.size * count, Y.size * count, QUERIES.size * count
    features, labels, queries = (RNG.normal(size=one).tobytes() for one in size)
    shape = {"example_count": len(Y), "feature_count": X.shape[1], "query_count": len(QUERIES)}
    return predictor_pb2.PredictBatchRequest(
        prompt_count=count, features=features, labels=labels, queries=queries, **shape
    )


def methods(stub):
    """Return every method of the contract as a function of metadata."""
    rows = predictor_pb2.ExampleSet(features=matrix(X), labels=vector(Y))
    asked = {
        "Predict": PROMPT,
        "PredictBatch": batch(),
        "SummarizeExamples": predictor_pb2.SummarizeExamplesRequest(examples=rows),
        "GetModel": predictor_pb2.GetModelRequest(),
        "ListModels": predictor_pb2.ListModelsRequest(),
    }
    found = {
        name: lambda metadata, name=name, request=request: getattr(stub, name)(
            request, timeout=10, metadata=metadata
        )
        for name, request in asked.items()
    }
    message = predictor_pb2.PredictStreamRequest(sequence=1, request=PROMPT)
    found["PredictStream"] = lambda metadata: list(
        stub.PredictStream(iter([message]), timeout=10, metadata=metadata)
    )
    return found


def codes(found, metadata):
    return {name: code_of(lambda call=call: call(metadata)) for name, call in found.items()}


def test_every_method_asks_who_calls_and_whether_they_may(served):
    found = methods(served().stub)

    assert set(codes(found, bearing(SHOP)).values()) == {OK}
    assert set(codes(found, bearing(SHOP, "shop-7")).values()) == {OK}
    assert set(codes(found, ()).values()) == {NOBODY}
    assert set(codes(found, bearing("a-secret-of-nobody-here")).values()) == {NOBODY}
    assert set(codes(found, bearing(SHOP, "shop-8")).values()) == {DENIED}
    denied = {name for name, code in codes(found, bearing(OBSERVER)).items() if code is DENIED}
    assert denied == {"Predict", "PredictBatch", "SummarizeExamples", "PredictStream"}


def test_refusals_are_counted_by_reason(served):
    one = served()
    found = methods(one.stub)
    codes(found, ())
    codes(found, bearing(OBSERVER))

    value = one.server.registry.get_sample_value
    assert value("sonoba_rejections_total", {"reason": "UNAUTHENTICATED"}) == 6
    assert value("sonoba_rejections_total", {"reason": "PERMISSION_DENIED"}) == 4


def oip(channel, name):
    return lambda metadata: channel.unary_unary(f"/inference.GRPCInferenceService/{name}")(
        b"", timeout=10, metadata=metadata
    )


def test_probes_of_the_other_protocol_are_open_and_its_repository_is_for_operators(served):
    channel = served().channel
    load = oip(channel, "RepositoryModelLoad")

    assert {code_of(lambda n=n: oip(channel, n)(())) for n in ("ServerLive", "ServerReady")} == {OK}
    assert code_of(lambda: oip(channel, "ModelInfer")(())) is NOBODY
    assert code_of(lambda: load(bearing(SHOP))) is DENIED
    sentence = details(lambda: load(bearing(OPERATOR)))  # an operator gets as far as its request
    assert "expected the role" not in sentence.message


def details(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return rpc_status.from_call(caught.value)


def test_a_file_that_changes_changes_who_may_call(served, callers_file):
    one = served()
    call = methods(one.stub)["Predict"]
    look = one.server._door.access.callers_file.look
    new = "secret-of-the-shop-7-from-now-on"

    callers_file.write_text(line_of(new, "shop-7", "predict", "never") + "\n")
    look()
    after = codes({SHOP: call}, bearing(SHOP)) | codes({new: call}, bearing(new))
    callers_file.write_text("half a li")
    look()

    assert after == {SHOP: NOBODY, new: OK}
    assert code_of(lambda: call(bearing(new))) is OK  # what it said before stays
    value = one.server.registry.get_sample_value
    labels = {"file": "callers_file"}
    for outcome in ("ok", "error"):
        counted = value("sonoba_access_file_reloads_total", {**labels, "outcome": outcome})
        assert counted == 1


def test_a_changed_file_is_seen_within_seconds_without_a_restart(served, callers_file):
    call = methods(served().stub)["GetModel"]

    callers_file.write_text(line_of(OTHER, "shop-8", "predict", "never") + "\n")
    begun = time.monotonic()
    while code_of(lambda: call(bearing(SHOP))) is OK:
        assert time.monotonic() - begun < 10
        time.sleep(0.05)

    assert code_of(lambda: call(bearing(OTHER))) is OK


def test_a_tenant_that_asks_too_much_is_told_when_to_come_again_and_others_are_not(served):
    one = served(quota_calls_per_second=3)
    call = methods(one.stub)["Predict"]
    while code_of(lambda: call(bearing(SHOP))) is OK:
        pass

    with pytest.raises(grpc.RpcError) as caught:
        call(bearing(SHOP))
    status = rpc_status.from_call(caught.value)
    quota, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(quota)
        detail.Unpack(retry)
    assert caught.value.code() is EXHAUSTED
    assert [one.subject for one in quota.violations] == ["calls"]
    assert 0 < retry.retry_delay.ToMilliseconds() <= 334
    pushback = dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"]
    assert int(pushback) == retry.retry_delay.ToMilliseconds()
    assert code_of(lambda: call(bearing(OTHER))) is OK
    assert (
        one.server.registry.get_sample_value(
            "sonoba_rejections_total", {"reason": "QUOTA_EXCEEDED"}
        )
        == 2
    )


@pytest.mark.parametrize("name", ["Predict", "PredictBatch", "SummarizeExamples", "ModelInfer"])
def test_rows_are_counted_whatever_brings_them(served, name):
    found = methods((one := served(quota_rows_per_second=1)).stub)
    found["ModelInfer"] = lambda metadata: infer(one.channel, metadata)

    first, second = (code_of(lambda: found[name](bearing(SHOP))) for _ in range(2))

    assert (first, second) == (OK, EXHAUSTED)  # two rows were there: larger ones pass once
    assert code_of(lambda: found["GetModel"](bearing(SHOP))) is OK


def infer(channel, metadata):
    stub, inputs = Stub(channel), {"x": X, "y": Y, "query": QUERIES}
    request = stub.messages.ModelInferRequest(model_name="foundation")
    for name, values in inputs.items():
        request.inputs.add(**tensor(name, values))
        request.raw_input_contents.append(values.astype("<f8").tobytes())
    return stub.ModelInfer(request, timeout=10, metadata=metadata)


def test_each_prompt_of_a_stream_is_a_call_of_the_quota(served):
    stub = served(quota_calls_per_second=2).stub
    messages = [predictor_pb2.PredictStreamRequest(sequence=n, request=PROMPT) for n in range(8)]

    answers = list(stub.PredictStream(iter(messages), timeout=10, metadata=bearing(SHOP)))

    reasons = [one.error.reason for one in answers]
    assert reasons[:3] == ["", "", ""]  # four at once, of which the stream itself is one
    assert set(reasons[4:]) == {"QUOTA_EXCEEDED"}


def test_a_file_gives_some_tenants_other_quotas(served, tmp_path):
    quotas = tmp_path / "quotas"
    quotas.write_text("shop-8 0 0\n")
    call = methods(served(quota_calls_per_second=1, quota_file=quotas).stub)["GetModel"]

    counts = [
        sum(code_of(lambda t=t: call(bearing(t))) is OK for _ in range(6)) for t in (SHOP, OTHER)
    ]

    assert counts == [2, 6]


def test_the_reservoir_keeps_prompts_of_tenants_that_were_proven(serving, callers_file, served):
    one = served(reservoir_tenants=("shop-7",))
    call = methods(one.stub)["Predict"]
    call(bearing(OTHER))
    code_of(lambda: call(bearing(OTHER, "shop-7")))
    call(bearing(SHOP))

    reservoir, begun = one.server._reservoir, time.monotonic()
    while not (kept := reservoir.newest("foundation", 10, 0.0)):
        assert time.monotonic() - begun < 10
        time.sleep(0.02)
    assert [prompt.tenant for prompt in kept] == ["shop-7"]


@pytest.fixture
def administered(served, tmp_path):
    """A server with an admin port; what calls its methods with a token."""
    own = tmp_path / "admin-token"
    own.write_text("secret-of-the-admin-port")
    own.chmod(0o600)
    one = served(admin_port=0, admin_token_file=own)
    with grpc.insecure_channel(f"127.0.0.1:{one.server.admin_port}") as channel:

        def ask(token):
            asked = replica_pb2.GetMonitorStateRequest(model="foundation").SerializeToString()
            call = channel.unary_unary("/sonoba.v1.Replica/GetMonitorState")
            return call(asked, timeout=10, metadata=bearing(token))

        yield ask


def test_what_replicas_keep_is_for_who_operates(administered):
    tokens = ["secret-of-the-admin-port", OPERATOR, OBSERVER, SHOP, "a-secret-of-nobody-here"]

    found = [code_of(lambda token=token: administered(token)) for token in tokens]

    assert found == [OK, OK, DENIED, DENIED, NOBODY]


def test_a_certificate_is_an_identity_where_no_token_is_brought(
    authority, serving, reaching, callers_file
):
    tls = {**authority.server().settings, "tls_client_ca_file": authority.file}
    server = serving(callers_file=callers_file, **tls)
    orders = authority.client("orders", ["spiffe://shop/orders", "spiffe://other"])
    files = {"orders": orders, "ops": authority.client("ops"), "x": authority.client("nobody")}
    ask = {
        name: methods(reaching(server.grpc_port, pair).stub)["Predict"]
        for name, pair in files.items()
    }

    assert code_of(lambda: ask["orders"](())) is OK
    assert code_of(lambda: ask["orders"]([("x-sonoba-tenant", "shop-5")])) is OK
    assert code_of(lambda: ask["orders"]([("x-sonoba-tenant", "shop-7")])) is DENIED
    assert code_of(lambda: ask["ops"](())) is DENIED  # it operates, and does not predict
    assert code_of(lambda: ask["x"](())) is DENIED
    assert code_of(lambda: ask["x"](bearing(SHOP))) is OK  # the token says who
    assert code_of(lambda: ask["orders"](bearing("a-secret-of-nobody-here"))) is NOBODY


def test_operations_are_not_on_the_port_of_predictions(served):
    channel = served().channel
    asked = operations_pb2.PromoteModelVersionRequest().SerializeToString()
    call = channel.unary_unary("/sonoba.v1.Operations/PromoteModelVersion")

    code = code_of(lambda: call(asked, timeout=10, metadata=bearing(OPERATOR)))

    assert code is grpc.StatusCode.UNIMPLEMENTED
