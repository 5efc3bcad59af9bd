"""How far a prompt lies from normal: asked for and brought back by every call."""

import asyncio
import dataclasses

import pytest

import sonoba
from sonoba.v1 import predictor_pb2 as pb
from tests.client.test_client import LABELS, QUERIES, ROWS

SCORE = sonoba.ShiftScore(1.25, 0.75, (("b", -2.5), ("a", 0.5)))


def test_a_score_has_both_ratios_and_the_features_the_farthest_first(client, reference):
    prediction = client.predict(ROWS, LABELS, QUERIES, shift=True)

    [request] = reference.asked(pb.PredictRequest)
    assert request.options.include_shift_score
    assert not request.options.include_attributions
    assert not request.options.include_uncertainty
    assert prediction.shift == SCORE
    assert prediction.reference == "0a1b2c3d"


def test_a_score_cannot_be_changed(client):
    shift = client.predict(ROWS, LABELS, QUERIES, shift=True).shift

    with pytest.raises(dataclasses.FrozenInstanceError):
        shift.expected_error_ratio = 1.0


def test_a_summary_has_no_leave_one_out(client):
    summary = sonoba.Summary.from_rows(ROWS, LABELS)
    shift = client.predict(queries=QUERIES, summary=summary, shift=True).shift

    assert shift == dataclasses.replace(SCORE, leave_one_out_ratio=None)


def test_a_model_that_knows_no_normal_yet_has_no_score(client, reference):
    reference.knows_normal = False
    prediction = client.predict(ROWS, LABELS, QUERIES, shift=True)

    assert prediction.shift is None
    assert prediction.reference == ""


def test_without_asking_there_is_the_reference_alone(client, reference):
    prediction = client.predict(ROWS, LABELS, QUERIES)

    [request] = reference.asked(pb.PredictRequest)
    assert not request.HasField("options")
    assert (prediction.shift, prediction.reference) == (None, "0a1b2c3d")


def test_it_stands_beside_intervals_and_an_explanation(client):
    prediction = client.predict(ROWS, LABELS, QUERIES, shift=True, explain=True, levels=0.9)

    assert prediction.shift == SCORE
    assert prediction.explanation is not None
    assert len(prediction.intervals) == 1


def test_prompts_to_be_scored_are_streamed_and_others_stacked(client, reference, make_prompt):
    prompts = [make_prompt(shift=place % 2 == 0) for place in range(10)]
    answers = client.predict_many(prompts)

    assert reference.attempts["PredictStream"] == reference.attempts["PredictBatch"] == 1
    assert len(reference.asked(pb.PredictStreamRequest)) == 5
    assert [answer.shift for answer in answers] == [SCORE, None] * 5
    assert {answer.reference for answer in answers} == {"0a1b2c3d"}


def test_a_stream_and_asyncio_bring_it(target, client, make_prompt):
    prompt = make_prompt(shift=True)

    async def ask():
        async with sonoba.aio.Client(target) as other:
            context = prompt.examples, prompt.labels, prompt.queries
            one = await other.predict(*context, shift=True)
            many = await other.predict_many([prompt] * 5)
            return [one, *many, *[answer async for answer in other.stream([prompt])]]

    for answer in (*client.stream([prompt]), *asyncio.run(ask())):
        assert (answer.shift, answer.reference) == (SCORE, "0a1b2c3d")
