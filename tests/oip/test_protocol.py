"""The protocol itself: both forms of numbers, parameters, errors, and what is counted."""

import json
import random
import subprocess
import sys

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service import oip
from sonoba.v1 import predictor_pb2 as pb
from tests.oip import public
from tests.oip.conftest import ROOT, task
from tests.oip.public import asking, numbers, said
from tests.service import asking as own
from tests.service.test_batch import batch

pytestmark = pytest.mark.slow  # seconds, all together

BOUNDS = ("standard_error", "lower", "upper")
UNCERTAIN = pb.PredictOptions(include_uncertainty=True, confidence_levels=[0.9])


def refusal_of(call, request):
    """Return a refusal's code, reason, field and sentence, as its details tell them."""
    with pytest.raises(grpc.RpcError) as error:
        call(request)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(error.value).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    field = bad.field_violations[0].field if bad.field_violations else ""
    return error.value.code().name, info.reason, field, error.value.details()


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("dtype", ["<f8", "<f4"])
@pytest.mark.parametrize("model", ["foundation", "weather"])
def test_one_prompt_is_answered_like_predict_to_the_last_bit(ours, theirs, model, dtype, raw):
    prompt = task(1)
    outputs = ("upper", "prediction", "lower", "standard_error")
    more = {"outputs": outputs, "parameters": {"confidence_level": 0.9}, "model_name": model}

    found = theirs.infer(asking(*prompt, dtypes=dtype, raw=raw, **more))

    form = {"dtype": dtype}
    answer = ours.Predict(own.asking(*prompt, form=form, model=model, options=UNCERTAIN))
    (interval,) = answer.uncertainty.intervals
    assert [one.name for one in found.outputs] == list(outputs)
    assert numbers(found).tolist() == list(answer.predictions)
    assert numbers(found, "standard_error").tolist() == list(answer.uncertainty.standard_errors)
    assert numbers(found, "lower").tolist() == list(interval.lower)
    assert numbers(found, "upper").tolist() == list(interval.upper)
    assert bool(found.raw_output_contents) is raw


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("n", [1, 6])
def test_stacked_prompts_are_answered_like_a_batch(ours, theirs, n, raw):
    prompts = task(2, n=n)
    request = asking(*prompts, raw=raw, outputs=("prediction", *BOUNDS))

    found = theirs.infer(request)

    options = pb.PredictOptions(include_uncertainty=True)
    answer = ours.PredictBatch(batch(*prompts, options=options))
    assert numbers(found).shape == (n, 2)
    assert numbers(found).tobytes() == answer.predictions
    bounds = answer.standard_errors, answer.lower_bounds, answer.upper_bounds
    assert tuple(numbers(found, name).tobytes() for name in BOUNDS) == bounds
    assert said(found)["mode"] == "foundation"


def test_random_prompts_are_answered_alike(ours, theirs):
    for seed in range(200):
        rng = random.Random(seed)
        M, d, Q = rng.randint(4, 40), rng.randint(1, 8), rng.randint(1, 5)
        prompt = task(seed, M, d, Q)

        found = theirs.infer(asking(*prompt, raw=rng.random() < 0.5))

        answer = ours.Predict(own.asking(*prompt))
        assert numbers(found).tolist() == list(answer.predictions)


def test_types_may_differ_between_tensors(ours, theirs):
    dtypes = {"x": "<f4", "y": "<f8", "query": "<f4"}
    for n in (0, 3):
        x, y, query = task(3, n=n)
        found = theirs.infer(asking(x, y, query, dtypes=dtypes))

        x, query = (values.astype("<f4").astype(float) for values in (x, query))
        if n:
            assert numbers(found).tobytes() == ours.PredictBatch(batch(x, y, query)).predictions
        else:
            assert numbers(found).tolist() == list(
                ours.Predict(own.asking(x, y, query)).predictions
            )


def test_columns_are_put_into_the_models_order(theirs):
    x, y, query = task(4)
    straight = theirs.infer(asking(x, y, query, model_name="weather"))
    swapped = {"columns": "wind,temp,humidity"}

    found = theirs.infer(
        asking(x[:, [2, 0, 1]], y, query[:, [2, 0, 1]], model_name="weather", parameters=swapped)
    )

    np.testing.assert_allclose(numbers(found), numbers(straight), rtol=1e-12)


def test_the_callers_id_comes_back_and_none_where_none_was_given(theirs):
    assert theirs.infer(asking(*task(), id="order 7")).id == "order 7"
    assert theirs.infer(asking(*task())).id == ""


def test_a_pinned_version_answers_or_nobody_does(theirs):
    version = theirs.infer(asking(*task())).model_version

    pinned = theirs.infer(asking(*task(), model_version=version))
    refused = refusal_of(theirs.infer, asking(*task(), model_version="000000000000"))

    assert (pinned.model_version, said(pinned)["model_version"]) == (version, version)
    assert refused[:3] == ("NOT_FOUND", "VERSION_NOT_FOUND", "model_version")


def test_warnings_name_the_tensor_they_are_about(theirs):
    x, y, query = task(5)
    query[1] *= 40

    found = theirs.infer(asking(x, y, query))

    (warning, *_) = json.loads(said(found)["warnings"])
    assert (warning["code"], warning["field"], warning["index"]) == (
        "EXTRAPOLATION",
        "inputs.query",
        1,
    )
    assert "warnings" not in said(theirs.infer(asking(*task(5))))


def test_a_bad_prompt_of_many_fails_alone(theirs):
    x, y, query = task(6, n=4)
    x[2, 3, 1] = np.nan
    y[1] = 1.0

    found = theirs.infer(asking(x, y, query))

    (error,) = json.loads(said(found)["errors"])
    assert (error["prompt"], error["reason"], error["field"]) == (2, "NOT_FINITE", "inputs.x")
    assert error["message"].startswith("inputs.x: expected finite numbers, got nan at row 3")
    assert np.isnan(numbers(found)).any(axis=1).tolist() == [False, False, True, False]
    assert said(found)["mode"] == "foundation,mean,failed,foundation"
    assert {"prompt": 1, "code": "CONSTANT_TARGET"} in json.loads(said(found)["warnings"])


X, Y, QUERY = task()
NAN = np.where(np.arange(48).reshape(16, 3) == 7, np.nan, X)
MANY = task(n=2)
SHAPED = {
    "a label too few": ((X, Y[:-1], QUERY), "y", "expected [16] (one label an example of x)"),
    "labels in a column": ((X, Y[:, None], QUERY), "y", "expected [16] (one label an"),
    "other features": ((X, Y, QUERY[:, :2]), "query", "expected [Q, 3] (as x is [16, 3]), got"),
    "other prompts": ((*MANY[:2], MANY[2][:1]), "query", "expected [2, Q, 3] (as x is [2, 16, 3])"),
    "one query for many": ((*MANY[:2], QUERY), "query", "expected [2, Q, 3] (as x is [2, 16, 3])"),
    "a flat x": ((X[0], Y[:1], QUERY), "x", "expected [M, d] or [n, M, d], got [3]"),
    "a flat query": ((X, Y, QUERY[0]), "query", "expected [Q, d] or [n, Q, d], got [3]"),
    "no examples": ((X[:0], Y[:0], QUERY), "x", "expected sizes of 1 or more, got [0, 3]"),
}


@pytest.mark.parametrize(("prompt", "name", "sentence"), SHAPED.values(), ids=SHAPED.keys())
def test_shapes_that_contradict_are_refused(theirs, prompt, name, sentence):
    *kind, field, message = refusal_of(theirs.infer, asking(*prompt))

    assert (*kind, field) == ("INVALID_ARGUMENT", "BAD_SHAPE", f"inputs.{name}.shape")
    assert message.startswith(f"inputs.{name}.shape: {sentence}")


def changed(change, **more):
    """Return a sound request with one thing changed."""
    request = asking(X, Y, QUERY, **more)
    change(request)
    return request


def parameters(**values):
    return changed(lambda _: None, parameters=values)


def outputs(*names, **values):
    return changed(lambda _: None, outputs=names, parameters=values)


def raws(request, place, raw):
    request.raw_input_contents[place] = raw


def typed(request, name, values):
    getattr(request.inputs[0].contents, name).extend(values)


BROKEN = {
    "few examples": (asking(X[:2], Y[:2], QUERY), "TOO_FEW_EXAMPLES", "inputs.x.shape", "at least"),
    "NaN in x": (asking(NAN, Y, QUERY), "NOT_FINITE", "inputs.x", "nan at row 2, column 1"),
    "infinity in y": (asking(X, Y * np.inf, QUERY), "NOT_FINITE", "inputs.y", "at row 0"),
    "NaN in query": (asking(X, Y, QUERY * np.nan), "NOT_FINITE", "inputs.query", "nan at row 0"),
    "integers": (
        changed(lambda one: setattr(one.inputs[0], "datatype", "INT64")),
        *("UNKNOWN_ENCODING", "inputs.x.datatype", "expected FP64 or FP32, got 'INT64'"),
    ),
    "bytes too few": (
        changed(lambda one: raws(one, 0, b"1234567")),
        *("BAD_SHAPE", "inputs.x", "expected 384 bytes (16 x 3 x 8), got 7"),
    ),
    "typed numbers too few": (
        changed(lambda one: one.inputs[1].contents.fp64_contents.pop(), raw=False),
        *("BAD_SHAPE", "inputs.y.contents.fp64_contents", "expected 16 numbers (16), got 15"),
    ),
    "numbers of another type": (
        changed(lambda one: typed(one, "int_contents", [1]), raw=False),
        *("BAD_SHAPE", "inputs.x.contents", "expected fp64_contents only"),
    ),
    "both forms": (
        changed(lambda one: typed(one, "fp64_contents", [1.0])),
        *("BAD_SHAPE", "inputs.x.contents", "expected none beside raw_input_contents"),
    ),
    "some raw": (
        changed(lambda one: one.raw_input_contents.pop()),
        *("BAD_SHAPE", "raw_input_contents", "expected none or 3 (one an input), got 2"),
    ),
    "an input missing": (
        changed(lambda one: (one.inputs.pop(), one.raw_input_contents.pop())),
        *("BAD_SHAPE", "inputs", "expected x, y and query, got none named query"),
    ),
    "an input twice": (
        changed(lambda one: setattr(one.inputs[2], "name", "y")),
        *("BAD_ARGUMENT", "inputs[2].name", "expected x, y and query, each once, got 'y'"),
    ),
    "shared memory": (
        changed(lambda one: one.inputs[0].parameters["shared_memory_region"].CopyFrom(
            public.messages().InferParameter(string_param="a"))),
        *("BAD_ARGUMENT", "inputs.x.parameters.shared_memory_region", "expected none"),
    ),
    "another output": (
        outputs("prediction", "variance"),
        *("BAD_ARGUMENT", "outputs[1].name", "expected some of prediction, standard_error"),
    ),
    "an output twice": (
        outputs("lower", "lower"), "BAD_ARGUMENT", "outputs[1].name", "each once, got 'lower'",
    ),
    "another parameter": (
        parameters(sequence_id=7), "BAD_ARGUMENT", "parameters", "got 'sequence_id'",
    ),
    "a number for a text": (
        parameters(group_id=7), "BAD_ARGUMENT", "parameters.group_id", "expected string_param",
    ),
    "a level for nothing": (
        parameters(confidence_level=0.9),
        *("BAD_LEVEL", "parameters.confidence_level", "expected it beside one of the outputs"),
    ),
    "another level": (
        outputs("lower", confidence_level=0.5),
        *("BAD_LEVEL", "parameters.confidence_level", "expected some of 0.80, 0.90, 0.95"),
    ),
    "a level that is none": (
        outputs("lower", confidence_level="high"),
        *("BAD_LEVEL", "parameters.confidence_level", "expected a number, got 'high'"),
    ),
    "a long group": (
        parameters(group_id="g" * 129), "LIMIT_EXCEEDED", "parameters.group_id", "at most 128",
    ),
    "an id for no log": (
        changed(lambda _: None, id="a\nb"), "BAD_REQUEST_ID", "id", "printable ASCII",
    ),
    "too many prompts": (
        asking(*task(n=4097, M=4, d=1, Q=1)), "LIMIT_EXCEEDED", "inputs.x.shape", "1 to 4096",
    ),
    "too many features": (
        asking(*task(M=4, d=257)), "LIMIT_EXCEEDED", "inputs.query.shape", "expected 1 to 256",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_request_is_refused_in_the_words_of_the_protocol(theirs, broken):
    request, reason, field, sentence = broken

    assert refusal_of(theirs.infer, request)[:3] == ("INVALID_ARGUMENT", reason, field)
    assert sentence in refusal_of(theirs.infer, request)[3]


def test_names_that_are_not_the_models_are_refused(theirs):
    request = parameters(columns="temp,humidity,rain")
    request.model_name = "weather"

    code, reason, _, message = refusal_of(theirs.infer, request)

    assert (code, reason) == ("FAILED_PRECONDITION", "SCHEMA_MISMATCH")
    assert message.startswith(
        "parameters.columns: expected 'temp', 'humidity', 'wind', got unknown"
    )


def test_a_level_may_come_as_its_digits(theirs):
    found = theirs.infer(outputs("lower", "upper", confidence_level="0.80"))
    wide = theirs.infer(outputs("lower", "upper"))

    assert (numbers(found, "lower") > numbers(wide, "lower")).all()


def test_bytes_that_are_no_request_are_the_callers_fault(served):
    call = served.channel.unary_unary(f"/{public.SERVICE}/ModelInfer")

    code, reason, _, message = refusal_of(call, b"\xff\xff\xff")

    assert (code, reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
    assert message == "expected a ModelInferRequest, got 3 bytes that are none"


def test_random_bytes_are_answered_or_refused_never_a_bug(served):
    call = served.channel.unary_unary(f"/{public.SERVICE}/ModelInfer")
    sound, rng = asking(X, Y, QUERY, id="a").SerializeToString(), random.Random(0)
    codes = set()

    for _ in range(1000):
        wire = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            wire[rng.randrange(len(wire))] = rng.randrange(256)
        try:
            call(bytes(wire[: rng.choice([len(wire), rng.randrange(len(wire))])]), timeout=30)
        except grpc.RpcError as error:
            codes.add(error.code().name)

    assert codes <= {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}
    assert "INVALID_ARGUMENT" in codes


def count(served, name, **labels):
    return served.server.registry.get_sample_value(name, labels) or 0.0


def test_calls_are_counted_under_the_protocols_own_name_and_prompts_with_all_others(served):
    def counts():
        labels = {"grpc_type": "unary", "grpc_service": public.SERVICE, "grpc_method": "ModelInfer"}
        calls = count(served, "grpc_server_handled_total", **labels, grpc_code="OK")
        prompts = count(served, "sonoba_prompts_total", model="weather", mode="paper")
        refused = count(served, "sonoba_rejections_total", reason="BAD_SHAPE")
        return np.array([calls, prompts, refused])

    before = counts()
    served.theirs.infer(asking(*task(), model_name="weather"))
    served.theirs.infer(asking(*task(n=3), model_name="weather"))
    refusal_of(served.theirs.infer, asking(X, Y[:-1], QUERY))

    assert (counts() - before).tolist() == [2, 4, 1]


def test_metadata_tells_what_a_caller_needs_to_know(theirs):
    messages = theirs.messages
    found = theirs.ModelMetadata(messages.ModelMetadataRequest(name="weather"))
    refused = refusal_of(theirs.ModelMetadata, messages.ModelMetadataRequest(name="nobody"))

    assert found.properties["columns"] == "temp,humidity,wind"
    assert found.properties["label_unit"] == "kW"
    assert found.properties["confidence_levels"] == "0.8,0.9,0.95"
    assert len(found.properties["schema_hash"]) == 32
    assert list(found.versions) == [
        theirs.infer(asking(*task(), model_name="weather")).model_version
    ]
    assert refused[:3] == ("NOT_FOUND", "MODEL_NOT_FOUND", "model_name")


def test_every_method_of_the_schema_is_served():
    assert set(public.methods()) == set(oip.UNARY)


def test_readiness_is_that_of_the_health_service(speaking):
    one = speaking()
    messages = one.theirs.messages

    one.server._health.set_ready(False)

    assert one.theirs.ServerLive(messages.ServerLiveRequest()).live
    assert not one.theirs.ServerReady(messages.ServerReadyRequest()).ready
    assert not one.theirs.ModelReady(messages.ModelReadyRequest(name="foundation")).ready


def test_the_servers_messages_leave_the_pool_of_public_clients_alone():
    program = """
from google.protobuf.descriptor_pool import Default
from service.oip_messages import Messages
Messages()
try:
    Default().FindMessageTypeByName("inference.ModelInferRequest")
except KeyError:
    print("free")
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert ran.stdout == "free\n"
