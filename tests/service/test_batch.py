"""PredictBatch: many prompts of one shape, and a bad one fails alone."""

import grpc
import numpy as np
import pytest

from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import COLUMNS, asking


def stack(n=7, M=10, d=3, Q=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, M + Q, d))
    y = (x @ rng.normal(size=(n, d, 1)))[..., 0] + 0.1 * rng.normal(size=(n, M + Q))
    return x[:, :M].copy(), y[:, :M].copy(), x[:, M:].copy()


def batch(x, y, queries, dtype="<f8", **fields):
    kind = pb.DATA_TYPE_FLOAT32 if dtype == "<f4" else pb.DATA_TYPE_FLOAT64
    return pb.PredictBatchRequest(
        prompt_count=len(x),
        example_count=x.shape[1],
        feature_count=x.shape[2],
        query_count=queries.shape[1],
        data_type=kind,
        features=x.astype(dtype).tobytes(),
        labels=y.astype(dtype).tobytes(),
        queries=queries.astype(dtype).tobytes(),
        **fields,
    )


def predictions(response, n):
    return np.frombuffer(response.predictions, "<f8").reshape(n, -1)


@pytest.mark.parametrize("model", ["foundation", "weather"])
@pytest.mark.parametrize("n", [1, 7, 600], ids=["one", "some", "several chunks"])
def test_a_batch_is_answered_like_its_prompts_one_by_one(stub, model, n):
    x, y, queries = stack(n)

    response = stub.PredictBatch(batch(x, y, queries, model=model))

    answers = predictions(response, n)
    for i in range(0, n, max(1, n // 9)):
        alone = stub.Predict(asking(x[i], y[i], queries[i], model=model))
        np.testing.assert_allclose(answers[i], alone.predictions, rtol=1e-9)
        assert (response.modes[i], response.solvers[i]) == (alone.mode, alone.solver)
    assert (response.model, len(response.errors)) == (model, 0)


def test_a_bad_prompt_fails_alone_and_is_named(stub):
    x, y, queries = stack()
    x[2, 4, 1], y[5, 0], queries[6, 1, 2] = np.nan, np.inf, -np.inf

    response = stub.PredictBatch(batch(x, y, queries))

    answers = predictions(response, 7)
    assert [(e.index, e.reason, e.field) for e in response.errors] == [
        (2, "NOT_FINITE", "features"),
        (5, "NOT_FINITE", "labels"),
        (6, "NOT_FINITE", "queries"),
    ]
    assert response.errors[0].message == (
        "features: expected finite numbers, got nan at row 4, column 1"
    )
    assert response.errors[0].code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert np.isnan(answers[[2, 5, 6]]).all()
    assert [response.modes[i] for i in (2, 5, 6)] == [0, 0, 0]
    good = [0, 1, 3, 4]
    for i in good:
        alone = stub.Predict(asking(x[i], y[i], queries[i]))
        np.testing.assert_allclose(answers[i], alone.predictions, rtol=1e-9)


def test_a_prompt_the_model_refuses_fails_alone(stub):
    x, y, queries = stack()
    queries[3] += 1e5

    response = stub.PredictBatch(batch(x, y, queries))

    assert [(e.index, e.reason) for e in response.errors] == [(3, "OUT_OF_RANGE_FEATURE")]
    assert np.isfinite(predictions(response, 7)[[0, 1, 2, 4, 5, 6]]).all()


def test_warnings_carry_the_index_of_their_prompt(stub):
    x, y, queries = stack()
    y[4] = 3.0
    x[5, :, 0] = 1.0

    response = stub.PredictBatch(batch(x, y, queries))

    assert {(w.index, w.code) for w in response.warnings} == {
        (4, pb.WARNING_CODE_CONSTANT_TARGET),
        (5, pb.WARNING_CODE_CONSTANT_FEATURE),
    }
    assert response.modes[4] == pb.MODE_MEAN


def test_a_forbidden_fallback_fails_alone(stub):
    x, y, queries = stack()
    y[4] = 3.0
    options = pb.PredictOptions(fallback_policy=pb.FALLBACK_POLICY_FORBID)

    response = stub.PredictBatch(batch(x, y, queries, options=options))

    assert [(e.index, e.reason) for e in response.errors] == [(4, "FALLBACK_FORBIDDEN")]
    assert np.isnan(predictions(response, 7)[4]).all()


def test_columns_of_a_batch_are_reordered(stub):
    x, y, queries = stack()
    order, names = [1, 2, 0], [COLUMNS[1], COLUMNS[2], COLUMNS[0]]
    straight = stub.PredictBatch(batch(x, y, queries, model="weather"))

    turned = stub.PredictBatch(
        batch(x[:, :, order], y, queries[:, :, order], model="weather", columns=names)
    )

    np.testing.assert_allclose(predictions(turned, 7), predictions(straight, 7), rtol=1e-9)


def test_float32_tensors_are_answered_in_float64(stub):
    x, y, queries = stack()

    response = stub.PredictBatch(batch(x, y, queries, dtype="<f4", request_id="b-1"))

    expected = predictions(stub.PredictBatch(batch(x, y, queries)), 7)
    np.testing.assert_allclose(predictions(response, 7), expected, rtol=1e-3, atol=1e-4)
    assert response.request_id == "b-1"
