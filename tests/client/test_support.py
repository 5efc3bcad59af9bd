"""Intervals and explanations, asked for and brought back by every call."""

import asyncio

import numpy as np
import pytest

import sonoba
from sonoba.v1 import predictor_pb2 as pb
from tests.client.test_client import LABELS, QUERIES, ROWS


def same(interval, values, half, level):
    assert interval.level == level
    np.testing.assert_allclose(interval.lower, np.asarray(values) - half)
    np.testing.assert_allclose(interval.upper, np.asarray(values) + half)


def test_levels_bring_an_interval_each_and_the_method(client, reference):
    prediction = client.predict(ROWS, LABELS, QUERIES, levels=[0.8, 0.95])

    [request] = reference.asked(pb.PredictRequest)
    assert request.options.include_uncertainty
    assert list(request.options.confidence_levels) == [0.8, 0.95]
    assert not request.options.include_attributions
    for interval, level in zip(prediction.intervals, [0.8, 0.95], strict=True):
        same(interval, prediction.values, level, level)
        assert isinstance(interval.lower, np.ndarray)
    assert list(prediction.standard_errors) == [0.5, 0.5]
    assert prediction.interval_method == "uncalibrated"
    assert prediction.explanation is None


@pytest.mark.parametrize("level", [0.9, np.float64(0.9), [0.9], (0.9,), np.array([0.9])], ids=repr)
def test_one_level_may_be_a_number(client, reference, level):
    client.predict(ROWS, LABELS, QUERIES, levels=level)

    [request] = reference.asked(pb.PredictRequest)
    assert list(request.options.confidence_levels) == [0.9]


@pytest.mark.parametrize("levels", ["high", [None], [[0.9]], object], ids=repr)
def test_levels_that_are_no_numbers_are_refused_unsent(client, reference, levels):
    with pytest.raises(sonoba.InvalidPrompt, match=r"such as 0\.95") as error:
        client.predict(ROWS, LABELS, QUERIES, levels=levels)

    assert (error.value.reason, error.value.field) == ("NOT_A_NUMBER", "options.confidence_levels")
    assert reference.requests == []


def test_an_explanation_has_coefficients_and_the_weight_of_every_example(client, reference):
    explanation = client.predict(ROWS, LABELS, QUERIES, explain=True).explanation

    [request] = reference.asked(pb.PredictRequest)
    assert request.options.include_attributions
    assert not request.options.include_uncertainty
    assert explanation.intercept == 1.5
    assert list(explanation.coefficients) == [2.0, 3.0]
    assert list(explanation.profile_shares) == [0.0, 0.0]
    np.testing.assert_array_equal(explanation.weights, [[0, 1, 2], [3, 4, 5]])


def test_a_summary_is_explained_without_weights(client):
    summary = sonoba.Summary.from_rows(ROWS, LABELS)

    prediction = client.predict(queries=QUERIES, summary=summary, levels=0.9, explain=True)

    assert prediction.explanation.weights is None
    assert list(prediction.explanation.coefficients) == [2.0, 3.0]
    same(prediction.intervals[0], prediction.values, 0.9, 0.9)


def test_nothing_is_asked_for_unless_the_caller_does(client, reference):
    prediction = client.predict(ROWS, LABELS, QUERIES)

    [request] = reference.asked(pb.PredictRequest)
    assert not request.HasField("options")
    assert (prediction.intervals, prediction.standard_errors) == ((), ())
    assert (prediction.explanation, prediction.shift) == (None, None)


def test_a_forbidden_fallback_travels_with_levels(client, reference):
    client.predict(ROWS, LABELS, QUERIES, levels=0.8, allow_fallback=False)

    [request] = reference.asked(pb.PredictRequest)
    assert request.options.fallback_policy == pb.FALLBACK_POLICY_FORBID
    assert request.options.include_uncertainty


def test_stacked_prompts_bring_the_bounds_of_their_one_level(client, reference, make_prompt):
    prompts = [make_prompt(Q=2, levels=0.9) for _ in range(5)]

    answers = client.predict_many(prompts)

    [request] = reference.asked(pb.PredictBatchRequest)
    assert list(request.options.confidence_levels) == [0.9]
    for answer in answers:
        [interval] = answer.intervals
        same(interval, answer.values, 1.0, 0.9)
        assert list(answer.standard_errors) == [0.5, 0.5]
        assert answer.interval_method == ""


def test_prompts_of_other_levels_are_stacked_apart(client, reference, make_prompt):
    prompts = [make_prompt(levels=(0.8, 0.95)[i % 2]) for i in range(8)]

    answers = client.predict_many(prompts)

    asked = [list(r.options.confidence_levels) for r in reference.asked(pb.PredictBatchRequest)]
    assert sorted(asked) == [[0.8], [0.95]]
    assert [answer.intervals[0].level for answer in answers] == [0.8, 0.95] * 4


@pytest.mark.parametrize(
    "settings", [{"explain": True}, {"shift": True}, {"levels": [0.8, 0.9]}], ids=repr
)
def test_what_a_stack_has_no_place_for_is_streamed(client, reference, make_prompt, settings):
    answers = client.predict_many([make_prompt(**settings) for _ in range(5)])

    assert reference.attempts == {"PredictStream": 1}
    assert all(a.explanation or a.shift or len(a.intervals) == 2 for a in answers)


def test_bounds_that_are_not_sent_are_the_servers_fault(client, reference, make_prompt):
    reference.forgets_bounds = True

    with pytest.raises(sonoba.ServerError, match="bounds: expected 32 "):
        client.predict_many([make_prompt(levels=0.9) for _ in range(4)])


def test_a_stream_and_asyncio_bring_both(target, client, make_prompt):
    prompt = make_prompt(levels=0.9, explain=True)
    expected = client.predict(prompt.examples, prompt.labels, prompt.queries)

    async def ask():
        async with sonoba.aio.Client(target) as other:
            context = prompt.examples, prompt.labels, prompt.queries
            return await other.predict(*context, levels=0.9, explain=True)

    for answer in (*client.stream([prompt]), asyncio.run(ask())):
        same(answer.intervals[0], expected.values, 0.9, 0.9)
        assert len(answer.explanation.weights[0]) == 6


def test_missing_features_are_filled_only_if_asked_for(client, reference):
    client.predict(ROWS, LABELS, QUERIES, impute=True)
    client.predict(ROWS, LABELS, QUERIES)

    asked = [r.options.missing_value_policy for r in reference.asked(pb.PredictRequest)]
    assert asked == [pb.MISSING_VALUE_POLICY_IMPUTE, pb.MISSING_VALUE_POLICY_UNSPECIFIED]


def test_prompts_to_be_filled_do_not_travel_stacked(client, reference):
    client.predict_many([sonoba.Prompt(ROWS, LABELS, QUERIES, impute=True)] * 5)

    asked = [r.request.options for r in reference.asked(pb.PredictStreamRequest)]
    assert [one.missing_value_policy for one in asked] == [pb.MISSING_VALUE_POLICY_IMPUTE] * 5
    assert reference.asked(pb.PredictBatchRequest) == []
