"""Predict on a real server: in whatever form numbers come, the model's answer comes back."""

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load
from model.moments import Sums
from model.prompt import Block, Examples
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import COLUMNS, asking, examples, matrix, vector


@pytest.fixture
def expected(prompt):
    x, y, queries = prompt
    model = load(FOUNDATION_FILE).model
    return model.answer(Block(Examples(x[None], y[None]), queries[None])).predictions[0]


@pytest.mark.parametrize("raw", [True, False], ids=["raw bytes", "packed doubles"])
def test_the_answer_is_the_models_in_both_encodings(stub, prompt, expected, raw):
    response = stub.Predict(asking(*prompt, form={"raw": raw}))

    np.testing.assert_allclose(response.predictions, expected, rtol=1e-12)


def test_float32_is_answered_to_its_own_accuracy(stub, prompt, expected):
    response = stub.Predict(asking(*prompt, form={"dtype": "<f4"}))

    np.testing.assert_allclose(response.predictions, expected, rtol=1e-4)
    assert not np.array_equal(response.predictions, expected)


def test_the_answer_says_who_gave_it_and_how(stub, prompt):
    response = stub.Predict(asking(*prompt, request_id="order-17"))

    assert response.model == "foundation"
    assert response.model_version == load(FOUNDATION_FILE).version
    assert response.mode == pb.MODE_FOUNDATION
    assert response.solver in (pb.SOLVER_K1, pb.SOLVER_K2, pb.SOLVER_K4, pb.SOLVER_EXACT)
    assert response.evidence == pb.EVIDENCE_EXAMPLES
    assert response.request_id == "order-17"


def test_an_id_is_made_up_for_a_request_without_one(stub, prompt):
    first, second = (stub.Predict(asking(*prompt)).request_id for _ in range(2))

    assert len(first) == 16
    assert first != second


def test_a_version_can_be_pinned(stub, prompt):
    version = stub.GetModel(pb.GetModelRequest()).model.version

    assert stub.Predict(asking(*prompt, model_version=version)).model_version == version


def test_named_columns_are_brought_into_the_models_order(stub, prompt):
    x, y, queries = prompt
    order = [2, 0, 1]
    names = [COLUMNS[i] for i in order]
    straight = stub.Predict(asking(x, y, queries, model="weather", columns=COLUMNS))

    turned = stub.Predict(asking(x[:, order], y, queries[:, order], model="weather", columns=names))

    np.testing.assert_allclose(turned.predictions, straight.predictions, rtol=1e-12)
    assert turned.mode == pb.MODE_PAPER


def test_the_schemas_hash_stands_for_the_columns(stub, prompt):
    known = stub.GetModel(pb.GetModelRequest(model="weather")).model.schema_hash

    named = stub.Predict(asking(*prompt, model="weather", columns=COLUMNS))
    hashed = stub.Predict(asking(*prompt, model="weather", schema_hash=known))

    assert hashed.predictions == named.predictions


@pytest.mark.parametrize("model", ["weather", "foundation"])
def test_a_summary_is_answered_like_its_sums_ask(stub, prompt, model):
    x, y, queries = prompt
    summary = stub.SummarizeExamples(
        pb.SummarizeExamplesRequest(
            model=model, examples=examples(x, y), origin=vector(x[0]), label_origin=30.0
        )
    ).summary

    response = stub.Predict(
        pb.PredictRequest(model=model, summary=summary, queries=matrix(queries))
    )

    block = Block(Sums.from_rows(x, y, np.zeros(3), 0.0).centred(), queries[None])
    if model == "foundation":
        expected = load(FOUNDATION_FILE).model.answer(block).predictions[0]
    else:
        expected = stub.Predict(asking(*prompt, model=model)).predictions
    np.testing.assert_allclose(response.predictions, expected, rtol=1e-8)
    assert response.evidence == pb.EVIDENCE_SUMMARY


def test_summaries_add_up_over_the_wire(stub, prompt):
    x, y, _ = prompt

    def summarise(rows, **more):
        request = pb.SummarizeExamplesRequest(examples=examples(x[rows], y[rows]), **more)
        return stub.SummarizeExamples(request).summary

    first = summarise(slice(0, 7), origin=vector(x.mean(0)), label_origin=y.mean())
    merged = summarise(slice(7, 16), merge_with=first)

    whole = Sums.from_rows(x, y, x.mean(0), y.mean())
    assert merged.example_count == 16
    np.testing.assert_allclose(
        np.frombuffer(merged.feature_sums.raw), whole.feature_sums, atol=1e-9
    )
    triangle = whole.second_moments[np.triu_indices(3)]
    np.testing.assert_allclose(np.frombuffer(merged.second_moments.raw), triangle, rtol=1e-12)
    assert merged.label_square_sum == pytest.approx(whole.label_square_sum, rel=1e-12)


def test_a_constant_target_is_answered_and_said(stub, prompt):
    x, _, queries = prompt

    response = stub.Predict(asking(x, np.full(16, 7.0), queries))

    assert list(response.predictions) == [7.0, 7.0]
    assert response.mode == pb.MODE_MEAN
    assert [w.code for w in response.warnings] == [pb.WARNING_CODE_CONSTANT_TARGET]
    assert response.warnings[0].field == "examples.labels"


def test_a_warning_names_the_callers_own_column(stub, prompt):
    x, y, queries = prompt
    x = x.copy()
    x[:, 1] = 4.0

    response = stub.Predict(asking(x, y, queries, columns=["a", "b", "c"]))

    assert "'b'" in response.warnings[0].message
    assert response.warnings[0].index == 1


def test_a_model_of_two_hundred_and_fifty_six_features_answers(stub):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 256))

    response = stub.Predict(asking(x, x[:, 0], x[:1]))

    assert np.isfinite(response.predictions).all()
