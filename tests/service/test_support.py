"""Intervals and explanations on a real server, against the prediction beside which they stand."""

import dataclasses

import grpc
import numpy as np
import pytest

from model.answer import Mode
from model.checkpoint import FOUNDATION_FILE, load
from model.refusal import Refusal
from service.call import Call
from service.core import Predictor
from service.server import limits_of
from service.settings import Settings
from service.slot import Slots
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import COLUMNS, asking, examples, matrix, vector
from tests.service.test_batch import batch, stack
from tests.service.test_stream import numbered

FOUNDATION = load(FOUNDATION_FILE)
MODELS = ["foundation", "weather"]
LEVELS = (0.8, 0.9, 0.95)
ALL = pb.PredictOptions(
    include_uncertainty=True, confidence_levels=LEVELS, include_attributions=True
)
NINE_IN_TEN = pb.PredictOptions(include_uncertainty=True, confidence_levels=[0.9])
EXPLAIN = pb.PredictOptions(include_attributions=True)
UNCERTAIN = pb.PredictOptions(include_uncertainty=True)


def weights(response):
    message = response.attributions.example_weights
    return np.frombuffer(message.raw).reshape(message.row_count, message.column_count)


def plane(response, queries):
    return response.attributions.intercept + queries @ np.array(
        response.attributions.coefficients.values
    )


def codes(response):
    return [w.code for w in response.warnings]


@pytest.fixture
def few(prompt):
    x, y, queries = prompt
    return x[:6], y[:6], queries


@pytest.mark.parametrize("model", MODELS)
def test_weights_and_coefficients_each_reproduce_the_prediction(stub, prompt, model):
    x, y, queries = prompt

    response = stub.Predict(asking(x, y, queries, model=model, options=EXPLAIN))

    shares = np.array(response.attributions.profile_shares.values)
    np.testing.assert_allclose(weights(response) @ y + shares, response.predictions, rtol=1e-9)
    np.testing.assert_allclose(plane(response, queries), response.predictions, rtol=1e-9)
    assert weights(response).shape == (2, 16)
    assert not response.HasField("uncertainty")


@pytest.mark.parametrize("model", MODELS)
def test_an_explanation_changes_no_prediction(stub, prompt, model):
    explained = stub.Predict(asking(*prompt, model=model, options=ALL))
    plain = stub.Predict(asking(*prompt, model=model))

    np.testing.assert_allclose(explained.predictions, plain.predictions, rtol=1e-12)
    assert (explained.mode, explained.solver) == (plain.mode, plain.solver)
    assert not (plain.HasField("uncertainty") or plain.HasField("attributions"))


def test_coefficients_come_in_the_order_the_features_were_sent(stub, prompt):
    x, y, queries = prompt
    order = [2, 0, 1]
    names = [COLUMNS[i] for i in order]
    asked = {"model": "weather", "options": EXPLAIN}
    straight = stub.Predict(asking(x, y, queries, columns=COLUMNS, **asked))

    turned = stub.Predict(asking(x[:, order], y, queries[:, order], columns=names, **asked))

    expected = np.array(straight.attributions.coefficients.values)[order]
    np.testing.assert_allclose(turned.attributions.coefficients.values, expected, rtol=1e-9)
    np.testing.assert_allclose(plane(turned, queries[:, order]), turned.predictions, rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_an_interval_holds_its_prediction_and_widens_with_its_level(stub, prompt, model):
    response = stub.Predict(asking(*prompt, model=model, options=ALL))

    uncertainty = response.uncertainty
    lower, upper = (np.array([getattr(one, side) for one in uncertainty.intervals])
                    for side in ("lower", "upper"))  # fmt: skip
    assert [one.level for one in uncertainty.intervals] == list(LEVELS)
    assert (lower < response.predictions).all()
    assert (upper > response.predictions).all()
    assert (np.diff(upper - lower, axis=0) > 0).all()
    assert (np.array(uncertainty.standard_errors) > 0).all()
    assert uncertainty.method == pb.INTERVAL_METHOD_UNCALIBRATED


def test_levels_come_in_the_order_asked_and_one_is_the_default(stub, prompt):
    backwards = pb.PredictOptions(include_uncertainty=True, confidence_levels=LEVELS[::-1])

    many = stub.Predict(asking(*prompt, options=backwards)).uncertainty.intervals
    one = stub.Predict(asking(*prompt, options=UNCERTAIN)).uncertainty.intervals

    assert [interval.level for interval in many] == [0.95, 0.9, 0.8]
    assert [interval.level for interval in one] == [0.95]
    assert list(one[0].lower) == list(many[0].lower)


@pytest.mark.parametrize("model", MODELS)
def test_about_nine_in_ten_intervals_at_ninety_hold_the_truth(stub, model):
    n, M, Q = 400, 19, 4  # 90 % of M + 1 is a whole rank
    rng = np.random.default_rng(5)
    covariance = [[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]]  # the law of `weather`
    x = rng.multivariate_normal([20.0, 50.0, 3.0], covariance, size=(n, M + Q))
    y = (x @ rng.normal(size=(n, 3, 1)))[..., 0] + np.sqrt(0.5) * rng.normal(size=(n, M + Q))

    response = stub.PredictBatch(
        batch(x[:, :M], y[:, :M], x[:, M:], model=model, options=NINE_IN_TEN)
    )

    lower, upper = (np.frombuffer(t).reshape(n, Q)
                    for t in (response.lower_bounds, response.upper_bounds))  # fmt: skip
    held = ((lower <= y[:, M:]) & (y[:, M:] <= upper)).mean(axis=1)  # (n,)
    assert held.mean() == pytest.approx(0.9, abs=0.02 + 3 * held.std() / np.sqrt(n))


@pytest.mark.parametrize(
    ("model", "missed"), [("foundation", "0.95"), ("weather", "0.90 and 0.95")]
)
def test_a_level_that_so_few_examples_cannot_vouch_for_is_said(stub, few, model, missed):
    levels = ALL if model == "weather" else UNCERTAIN
    x, y, queries = (part[:4] for part in few) if model == "foundation" else few

    response = stub.Predict(asking(x, y, queries, model=model, options=levels))

    [warning] = [w for w in response.warnings if w.code == pb.WARNING_CODE_UNCALIBRATED_INTERVAL]
    assert warning.message == (
        f"{len(y)} examples of 3 features are too few: an interval at {missed} "
        "may cover less than it says"
    )
    assert np.isfinite(response.uncertainty.standard_errors).all()


def test_labels_that_do_not_vary_promise_no_coverage(stub, prompt):
    x, _, queries = prompt

    response = stub.Predict(asking(x, np.full(16, 7.0), queries, options=ALL))

    assert codes(response) == [
        pb.WARNING_CODE_CONSTANT_TARGET,
        pb.WARNING_CODE_UNCALIBRATED_INTERVAL,
    ]
    assert "without any spread" in response.warnings[1].message
    assert list(response.uncertainty.intervals[0].lower) == [7.0, 7.0]
    assert list(response.attributions.coefficients.values) == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(weights(response), 1 / 16, rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_a_summary_has_coefficients_and_intervals_but_no_weights(stub, prompt, model):
    x, y, queries = prompt
    summary = stub.SummarizeExamples(
        pb.SummarizeExamplesRequest(model=model, examples=examples(x, y), origin=vector(x[0]))
    ).summary

    response = stub.Predict(
        pb.PredictRequest(model=model, summary=summary, queries=matrix(queries), options=ALL)
    )

    np.testing.assert_allclose(plane(response, queries), response.predictions, rtol=1e-8)
    assert not response.attributions.HasField("example_weights")
    assert all(
        low < value < high
        for one in response.uncertainty.intervals
        for low, value, high in zip(one.lower, response.predictions, one.upper, strict=True)
    )


def test_a_summary_without_second_moments_has_nothing_beside_its_answer(stub, prompt):
    x, y, queries = prompt
    request = pb.SummarizeExamplesRequest(model="weather", examples=examples(x, y))
    summary = stub.SummarizeExamples(request).summary
    summary.ClearField("second_moments")

    response = stub.Predict(
        pb.PredictRequest(model="weather", summary=summary, queries=matrix(queries), options=ALL)
    )

    assert codes(response) == [pb.WARNING_CODE_SUMMARY_INCOMPLETE]
    assert not (response.HasField("uncertainty") or response.HasField("attributions"))


@pytest.mark.parametrize("model", MODELS)
def test_the_intervals_of_a_batch_are_those_of_its_prompts_one_by_one(stub, model):
    x, y, queries = stack()
    x[2, 4, 1] = np.nan
    y[4] = 3.0

    response = stub.PredictBatch(batch(x, y, queries, model=model, options=NINE_IN_TEN))

    fields = response.standard_errors, response.lower_bounds, response.upper_bounds
    errors, lower, upper = (np.frombuffer(field).reshape(7, 2) for field in fields)
    said = {(w.index, w.code) for w in response.warnings}
    for i in (0, 1, 3, 4, 5, 6):
        alone = stub.Predict(asking(x[i], y[i], queries[i], model=model, options=NINE_IN_TEN))
        [interval] = alone.uncertainty.intervals
        np.testing.assert_allclose(errors[i], alone.uncertainty.standard_errors, rtol=1e-9)
        np.testing.assert_allclose(lower[i], interval.lower, rtol=1e-9)
        np.testing.assert_allclose(upper[i], interval.upper, rtol=1e-9)
        assert {(i, code) for code in codes(alone)} == {one for one in said if one[0] == i}
    assert np.isnan([errors[2], lower[2], upper[2]]).all()
    assert (4, pb.WARNING_CODE_UNCALIBRATED_INTERVAL) in said


def test_a_prompt_refused_for_its_fallback_has_no_bounds(stub):
    x, y, queries = stack()
    y[4] = 3.0
    options = pb.PredictOptions(fallback_policy=pb.FALLBACK_POLICY_FORBID, include_uncertainty=True)

    response = stub.PredictBatch(batch(x, y, queries, options=options))

    assert [(e.index, e.reason) for e in response.errors] == [(4, "FALLBACK_FORBIDDEN")]
    for field in (response.standard_errors, response.lower_bounds, response.upper_bounds):
        assert np.isnan(np.frombuffer(field).reshape(7, 2)).all(axis=1).nonzero()[0] == [4]


@pytest.mark.parametrize("option", ["include_attributions", "include_shift_score"])
def test_a_batch_is_neither_explained_nor_scored(stub, option):
    options = pb.PredictOptions(**{option: True})

    with pytest.raises(grpc.RpcError, match="expected it unset in a batch") as caught:
        stub.PredictBatch(batch(*stack(), options=options))

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_batch_without_levels_carries_no_bounds(stub):
    response = stub.PredictBatch(batch(*stack()))

    assert (response.standard_errors, response.lower_bounds, response.upper_bounds) == (b"",) * 3


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_explains_as_a_single_call_does(stub, prompt, model):
    request = asking(*prompt, model=model, options=ALL, request_id="one")

    [answer] = stub.PredictStream(numbered([request]))

    assert answer.response == stub.Predict(request)


def test_copies_and_a_label_that_does_not_fit_are_said_where_support_is_asked_for(stub, prompt):
    x, y, queries = prompt
    x, y = np.concatenate([x, x[:8]]), np.concatenate([y, y[:8]])
    y[3] += 1e3

    response = stub.Predict(asking(x, y, queries, options=UNCERTAIN))

    said = {w.code: w for w in response.warnings}
    assert "7 of 24 examples are exact copies" in said[pb.WARNING_CODE_DUPLICATE_EXAMPLES].message
    outlier = said[pb.WARNING_CODE_LABEL_OUTLIER]
    assert (outlier.field, outlier.index) == ("examples.labels", 3)
    assert codes(stub.Predict(asking(x, y, queries))) == []


def test_the_paper_model_says_nothing_of_a_label_in_its_own_law(stub):
    rng = np.random.default_rng(2)
    x = 2.0 * rng.normal(size=(200, 34, 3))
    y = (x @ rng.normal(size=(200, 3, 1)))[..., 0] + rng.normal(size=(200, 34))

    response = stub.PredictBatch(
        batch(x[:, :32], y[:, :32], x[:, 32:], model="weather", options=UNCERTAIN)
    )

    assert pb.WARNING_CODE_LABEL_OUTLIER not in codes(response)


def test_every_model_publishes_its_levels(stub):
    for model in MODELS:
        described = stub.GetModel(pb.GetModelRequest(model=model)).model

        assert tuple(described.confidence_levels) == LEVELS


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_extreme_label_units_are_answered_with_finite_numbers(stub, prompt, scale):
    x, y, queries = prompt

    response = stub.Predict(asking(x, y * scale, queries, options=ALL))

    np.testing.assert_allclose(weights(response) @ (y * scale), response.predictions, rtol=1e-9)
    assert np.isfinite(response.uncertainty.standard_errors).all()


class Plain:
    """A model that offers nothing beside its answers."""

    mode, example_count_min, feature_count = Mode.FOUNDATION, 4, 0

    def answer(self, block):
        return FOUNDATION.model.answer(block)


@pytest.mark.parametrize(
    "option", ["include_uncertainty", "include_attributions", "include_shift_score"]
)
def test_a_model_that_offers_nothing_beside_says_so(prompt, option):
    slots = Slots([dataclasses.replace(FOUNDATION, name="plain", model=Plain())], "plain")
    one = Predictor(slots, limits_of(Settings()), lambda *_: None)
    request = asking(*prompt, options=pb.PredictOptions(**{option: True}))

    with pytest.raises(Refusal, match="which model plain does not offer") as caught:
        one.predict(request.SerializeToString(), Call(30.0))

    described = pb.GetModelResponse.FromString(one.get_model(b"", Call(30.0))).model
    assert (caught.value.reason, caught.value.field) == ("UNSUPPORTED_OPTION", f"options.{option}")
    assert list(described.confidence_levels) == []
