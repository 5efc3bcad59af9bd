"""Whatever is wrong with a request, the caller is told the field, what was expected and got."""

import logging

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import COLUMNS, asking, examples, matrix, vector

X = np.random.default_rng(0).normal(size=(16, 3))
Y = X @ [1.0, 2.0, 3.0]
Q = X[:1]
INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def with_features(**change):
    request = asking(X, Y, Q)
    features = request.examples.features
    for name, value in change.items():
        setattr(features, name, value)
    return request


def both_encodings():
    request = asking(X, Y, Q)
    request.examples.features.values.extend(X.ravel())
    return request


def summary(**change):
    triangle = (X.T @ X)[np.triu_indices(3)]
    fields = {
        "example_count": 16,
        "feature_sums": vector(X.sum(0)),
        "second_moments": vector(triangle),
        "label_products": vector(X.T @ Y),
        "label_sum": Y.sum(),
        "label_square_sum": Y @ Y,
    }
    return pb.PredictRequest(
        summary=pb.ExampleSummary(**{**fields, **change}), queries=matrix(Q), model="foundation"
    )


def batch(**change):
    fields = {
        "prompt_count": 2,
        "example_count": 16,
        "feature_count": 3,
        "query_count": 1,
        "features": np.stack([X, X]).tobytes(),
        "labels": np.stack([Y, Y]).tobytes(),
        "queries": np.stack([Q, Q]).tobytes(),
    }
    return pb.PredictBatchRequest(**{**fields, **change})


def weather(**fields):
    return asking(X, Y, Q, model="weather", **fields)


def uncertain(*levels):
    return pb.PredictOptions(include_uncertainty=True, confidence_levels=levels)


IMPUTE = pb.PredictOptions(missing_value_policy=pb.MISSING_VALUE_POLICY_IMPUTE)
EXPLAIN = pb.PredictOptions(include_attributions=True)
FORBID = pb.PredictOptions(fallback_policy=pb.FALLBACK_POLICY_FORBID)

BROKEN = {
    "a NaN in a feature": (
        asking(with_value(X, (2, 1), np.nan), Y, Q, columns=["a", "b", "c"]),
        INVALID, "NOT_FINITE", "examples.features",
        "expected finite numbers, got nan at row 2, column 1 ('b')",
    ),
    "an infinite label": (
        asking(X, with_value(Y, 3, np.inf), Q),
        INVALID, "NOT_FINITE", "examples.labels", "got inf at row 3",
    ),
    "a NaN in a query": (
        asking(X, Y, with_value(Q, (0, 2), np.nan)),
        INVALID, "NOT_FINITE", "queries", "got nan at row 0, column 2",
    ),
    "a label too few": (
        asking(X, Y[:15], Q), INVALID, "BAD_SHAPE", "examples.labels",
        "expected 16 numbers (row_count of examples.features), got 15",
    ),
    "a number too few": (
        with_features(raw=X.tobytes()[:-8]), INVALID, "BAD_SHAPE", "examples.features",
        "expected 48 numbers (16 rows x 3 columns), got 47",
    ),
    "half a number": (
        with_features(raw=X.tobytes()[:-3]), INVALID, "BAD_SHAPE", "examples.features.raw",
        "expected a multiple of 8 bytes, got 381",
    ),
    "no number at all": (
        with_features(raw=b""), INVALID, "BAD_SHAPE", "examples.features",
        "expected 48 numbers (16 rows x 3 columns), got 0",
    ),
    "both encodings": (
        both_encodings(), INVALID, "BAD_SHAPE", "examples.features", "got both",
    ),
    "an unknown encoding": (
        with_features(data_type=7), INVALID, "UNKNOWN_ENCODING", "examples.features.data_type",
        "expected FLOAT64 (1) or FLOAT32 (2), got 7",
    ),
    "queries of another width": (
        asking(X, Y, X[:1, :2]), INVALID, "BAD_SHAPE", "queries.column_count",
        "expected 3 (column_count of examples.features), got 2",
    ),
    "no query": (
        pb.PredictRequest(examples=examples(X, Y)), INVALID, "BAD_SHAPE", "queries.row_count",
        "expected 1 to 4096, got 0",
    ),
    "a negative count": (
        with_features(row_count=-1), INVALID, "BAD_SHAPE", "examples.features.row_count",
        "expected 1 to 65536, got -1",
    ),
    "too many features": (
        with_features(column_count=257), INVALID, "LIMIT_EXCEEDED",
        "examples.features.column_count", "expected 1 to 256, got 257",
    ),
    "too many numbers": (
        with_features(row_count=65_536, column_count=256), INVALID, "LIMIT_EXCEEDED", None,
        "expected at most 8388608 numbers in one request, got 16777216",
    ),
    "too few examples": (
        asking(X[:3], Y[:3], Q), INVALID, "TOO_FEW_EXAMPLES", "examples.features.row_count",
        "expected at least 4 examples for model foundation, got 3",
    ),
    "too few examples for the paper's model": (
        asking(X[:5], Y[:5], Q, model="weather"), INVALID, "TOO_FEW_EXAMPLES",
        "examples.features.row_count", "expected at least 6 examples for model weather, got 5",
    ),
    "a query in another unit": (
        asking(X, Y, Q + 1e4), INVALID, "OUT_OF_RANGE_FEATURE", "queries",
        "expected at most 300 standard deviations",
    ),
    "an answer beyond a double": (
        asking(X, Y / np.abs(Y).max() * 1.7e308, X[:1] * 100), INVALID,
        "NUMERIC_OVERFLOW", "examples", "got an overflow",
    ),
    "no context": (
        pb.PredictRequest(queries=matrix(Q)), INVALID, "BAD_SHAPE", "context",
        "expected examples or a summary, got neither",
    ),
    "an id that cannot be printed": (
        asking(X, Y, Q, request_id="a\nb"), INVALID, "BAD_REQUEST_ID", "request_id", "printable",
    ),
    "a group id too long": (
        asking(X, Y, Q, group_id="g" * 129), INVALID, "LIMIT_EXCEEDED", "group_id",
        "expected at most 128 bytes, got 129",
    ),
    "another number of features than the model's": (
        asking(X[:, :2], Y, Q[:, :2], model="weather"), PRECONDITION, "SCHEMA_MISMATCH",
        "examples.features.column_count", "expected the 3 features of model weather, got 2",
    ),
    "an unknown and a missing column": (
        weather(columns=["temp", "humidity", "rain"]), PRECONDITION, "SCHEMA_MISMATCH", "columns",
        "expected 'temp', 'humidity', 'wind', got unknown 'rain' and missing 'wind'",
    ),
    "a repeated column": (
        weather(columns=["temp", "temp", "wind"]), PRECONDITION, "SCHEMA_MISMATCH", "columns",
        "expected every name once, got 'temp' more than once",
    ),
    "a name too few": (
        asking(X, Y, Q, columns=["a", "b"]), PRECONDITION, "SCHEMA_MISMATCH", "columns",
        "expected 3 names (one a feature), got 2",
    ),
    "another schema's hash": (
        weather(schema_hash="0" * 32), PRECONDITION, "SCHEMA_MISMATCH", "schema_hash", "expected ",
    ),
    "a fallback that was forbidden": (
        asking(X, np.ones(16), Q, options=FORBID), PRECONDITION, "FALLBACK_FORBIDDEN",
        "options.fallback_policy", "only a mean",
    ),
    "an unknown model": (
        asking(X, Y, Q, model="oracle"), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "model",
        "expected one of foundation, weather, got 'oracle'",
    ),
    "an unknown version": (
        asking(X, Y, Q, model_version="0"), grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND",
        "model_version", "in force), got '0'",
    ),
    "gaps to fill": (
        asking(X, Y, Q, options=IMPUTE), grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED_OPTION",
        "options.missing_value_policy", "does not offer",
    ),
    "a level not offered": (
        asking(X, Y, Q, options=uncertain(0.95, 0.5)), INVALID, "BAD_LEVEL",
        "options.confidence_levels", "expected some of 0.80, 0.90, 0.95, each once, got 0.5",
    ),
    "a level that is no number": (
        asking(X, Y, Q, options=uncertain(np.nan)), INVALID, "BAD_LEVEL",
        "options.confidence_levels", "got nan",
    ),
    "a level twice": (
        asking(X, Y, Q, options=uncertain(0.9, 0.9)), INVALID, "BAD_LEVEL",
        "options.confidence_levels", "got 0.9 more than once",
    ),
    "a level without uncertainty": (
        asking(X, Y, Q, options=pb.PredictOptions(confidence_levels=[0.9])), INVALID, "BAD_LEVEL",
        "options.confidence_levels", "expected none without include_uncertainty, got 0.9",
    ),
    "more weights than an answer holds": (
        asking(np.ones((8192, 1)), np.ones(8192), np.ones((513, 1)), options=EXPLAIN),
        INVALID, "LIMIT_EXCEEDED", "queries.row_count",
        "expected at most 512 to be explained by 8192 examples, got 513",
    ),
    "coefficients that do not fit a double": (
        asking(X * 1e-200, Y * 1e200, Q * 1e-200, options=EXPLAIN), INVALID, "NUMERIC_OVERFLOW",
        "options.include_attributions", "expected units in which coefficients fit a double",
    ),
    "sums no examples can have": (
        summary(label_square_sum=0.001), INVALID, "BAD_SUMMARY", "summary",
        "positive semidefinite",
    ),
    "a triangle of the wrong length": (
        summary(second_moments=vector([1.0, 2.0])), INVALID, "BAD_SHAPE",
        "summary.second_moments", "expected 6 (by the length of feature_sums), got 2",
    ),
    "a summary without second moments": (
        summary(second_moments=None), INVALID, "BAD_SUMMARY", "summary.second_moments",
        "expected the second moments",
    ),
    "a summary of too few examples": (
        summary(example_count=2), INVALID, "TOO_FEW_EXAMPLES", "summary.example_count",
        "expected at least 4 examples",
    ),
    "a summary with NaN": (
        summary(label_products=vector([1.0, np.nan, 0.0])), INVALID, "NOT_FINITE",
        "summary.label_products", "got nan at row 1",
    ),
}  # fmt: skip

BROKEN_BATCH = {
    "two levels": (
        batch(options=uncertain(0.8, 0.9)), "BAD_LEVEL", "options.confidence_levels",
        "expected at most one level in a batch, got 2",
    ),
    "no prompt": (batch(prompt_count=0), "BAD_SHAPE", "prompt_count", "expected 1 to 4096, got 0"),
    "a tensor too short": (
        batch(labels=Y.tobytes()), "BAD_SHAPE", "labels", "expected 32 numbers (2 x 16), got 16",
    ),
    "an unknown encoding": (batch(data_type=9), "UNKNOWN_ENCODING", "data_type", "got 9"),
    "group ids of another count": (
        batch(group_ids=["a"]), "BAD_SHAPE", "group_ids",
        "expected none or 2 (prompt_count), got 1",
    ),
}  # fmt: skip


def refusal(call, request, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **options)
    return caught.value


def detail(error, kind):
    """Return the first google.rpc detail of a kind, and the reason."""
    found, reason = None, None
    for packed in rpc_status.from_call(error).details:
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            packed.Unpack(info)
            reason = info.reason
            assert info.domain == "sonoba"
            assert info.metadata["request_id"]
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            packed.Unpack(found)
    return found, reason


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field", "sentence"), BROKEN.values(), ids=BROKEN.keys()
)
def test_a_broken_prompt_is_the_callers_fault_and_says_why(
    stub, caplog, request_, code, reason, field, sentence
):
    caplog.set_level(logging.DEBUG, "sonoba")

    error = refusal(stub.Predict, request_)

    assert error.code() is code
    assert sentence in error.details()
    violation, got_reason = detail(error, error_details_pb2.BadRequest)
    assert got_reason == reason
    if code is INVALID and field:
        assert [v.field for v in violation.field_violations] == [field]
        assert error.details().startswith(f"{field}: ")
    if code is PRECONDITION:
        failure, _ = detail(error, error_details_pb2.PreconditionFailure)
        assert failure.violations[0].subject == field
    assert not [record for record in caplog.records if record.exc_info]
    assert stub.Predict(asking(X, Y, Q)).predictions


@pytest.mark.parametrize(
    ("request_", "reason", "field", "sentence"), BROKEN_BATCH.values(), ids=BROKEN_BATCH.keys()
)
def test_a_broken_batch_is_refused_whole(stub, request_, reason, field, sentence):
    error = refusal(stub.PredictBatch, request_)

    assert error.code() is INVALID
    assert sentence in error.details()
    violation, got_reason = detail(error, error_details_pb2.BadRequest)
    assert (got_reason, violation.field_violations[0].field) == (reason, field)


def test_two_contexts_are_seen_on_the_wire(served):
    first, second = asking(X, Y, Q), summary()
    wire = first.SerializeToString() + pb.PredictRequest(summary=second.summary).SerializeToString()
    call = served.channel.unary_unary("/sonoba.v1.Predictor/Predict")

    error = refusal(call, wire)

    assert error.code() is INVALID
    assert "context: expected examples or a summary, got both" in error.details()


@pytest.mark.parametrize("wire", [b"\xff\xff\xff", b"hello", b"\x1a\x05ab"], ids=repr)
@pytest.mark.parametrize("method", ["Predict", "PredictBatch", "SummarizeExamples", "GetModel"])
def test_bytes_that_are_no_message_are_refused(served, method, wire):
    error = refusal(served.channel.unary_unary(f"/sonoba.v1.Predictor/{method}"), wire)

    assert error.code() is INVALID
    assert f"got {len(wire)} bytes that are none" in error.details()


@pytest.mark.slow
def test_a_message_over_the_limit_is_refused_and_the_server_lives_on(serving):
    small = serving(max_message_bytes=2**16)

    error = refusal(small.stub.Predict, asking(np.zeros((9000, 1)), np.zeros(9000), [[0.0]]))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in error.details()
    assert small.stub.Predict(asking(X, Y, Q)).predictions


def test_work_whose_time_is_over_is_not_begun(serving):
    hasty = serving(default_deadline_seconds=1e-9)

    error = refusal(hasty.stub.Predict, asking(X, Y, Q))

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert detail(error, error_details_pb2.BadRequest)[1] == "EXPIRED"
    labels = {"model": "foundation", "mode": "foundation"}
    assert hasty.server.registry.get_sample_value("sonoba_prompts_total", labels) == 0


def test_a_callers_deadline_ends_the_call(stub):
    error = refusal(stub.Predict, asking(X, Y, Q), timeout=-1.0)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_bug_is_answered_by_its_id_alone_and_logged(serving, caplog, monkeypatch):
    broken = serving()

    def explode(*_):
        raise ZeroDivisionError("secret of another caller")

    monkeypatch.setattr("model.foundation.FoundationModel.answer", explode)

    error = refusal(broken.stub.Predict, asking(X, Y, Q, request_id="r-1"))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error, request r-1"
    assert "r-1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_columns_of_the_test_are_those_of_the_model(stub):
    model = stub.GetModel(pb.GetModelRequest(model="weather")).model

    assert tuple(column.name for column in model.columns) == COLUMNS
