import numpy as np
import pytest

import sonoba
from sonoba import batch
from sonoba.v1 import predictor_pb2 as pb
from tests.client.conftest import error_info, status


@pytest.fixture
def agree(expected):
    """Assert that every answer is that to the prompt at its place."""

    def check(answers, prompts):
        assert len(answers) == len(prompts)
        for answer, prompt in zip(answers, prompts, strict=True):
            np.testing.assert_allclose(answer.values, expected(prompt))

    return check


def broken(prompt):
    prompt.examples[0, 0] = np.nan
    return prompt


def test_no_prompts_have_no_answers_and_make_no_call(client, reference):
    assert client.predict_many([]) == []
    assert reference.attempts == {}


def test_one_prompt_is_a_plain_call(client, reference, make_prompt, agree):
    prompts = [make_prompt()]

    agree(client.predict_many(prompts), prompts)
    assert reference.attempts == {"Predict": 1}


def test_few_prompts_share_a_stream(client, reference, make_prompt, agree):
    prompts = [make_prompt(), make_prompt(), make_prompt()]

    agree(client.predict_many(prompts), prompts)
    assert reference.attempts == {"PredictStream": 1}


def test_four_prompts_of_a_shape_travel_stacked(client, reference, make_prompt, agree):
    prompts = [make_prompt(Q=3) for _ in range(4)]

    agree(client.predict_many(iter(prompts)), prompts)
    assert reference.attempts == {"GetModel": 1, "PredictBatch": 1}


def test_stacked_answers_say_what_answered(client, make_prompt):
    answer = client.predict_many([make_prompt() for _ in range(4)])[2]

    assert (answer.model, answer.model_version) == ("foundation", "v1")
    assert (answer.mode, answer.solver, answer.evidence) == ("foundation", "exact", "examples")
    assert answer.warnings == (sonoba.Warning("FEW_EXAMPLES"),)


def test_mixed_prompts_are_answered_in_order(client, reference, make_prompt, agree):
    shapes = [(6, 2, 1), (8, 2, 1), (6, 3, 1), (6, 2, 2), (9, 4, 1)]
    numbers = np.random.default_rng(1).choice(5, size=60, p=[0.4, 0.3, 0.25, 0.025, 0.025])
    prompts = [make_prompt(*shapes[i]) for i in numbers]

    agree(client.predict_many(prompts), prompts)
    assert reference.attempts["PredictBatch"] == 3


def test_what_one_request_cannot_say_of_all_is_never_stacked(client, reference, make_prompt):
    kinds = [{}, {"columns": ["a", "b"]}, {"schema_hash": "abc"}, {"allow_fallback": False}]
    prompts = [make_prompt(**kinds[i % 4]) for i in range(16)]
    single = [make_prompt() for _ in range(4)]
    prompts += [
        sonoba.Prompt(p.examples.astype("f4"), p.labels.astype("f4"), p.queries.astype("f4"))
        for p in single
    ]

    client.predict_many(prompts)

    asked = reference.asked(pb.PredictBatchRequest)
    said = {
        (tuple(r.columns), r.schema_hash, r.options.fallback_policy, r.data_type) for r in asked
    }
    assert [r.prompt_count for r in asked] == [4] * 5
    assert len(said) == 5


def test_prompts_of_two_number_formats_go_by_stream(client, reference, make_prompt):
    prompts = [make_prompt() for _ in range(4)]
    mixed = [sonoba.Prompt(p.examples.astype("f4"), p.labels, p.queries) for p in prompts]

    client.predict_many(mixed)

    assert reference.attempts == {"PredictStream": 1}


def test_summaries_and_examples_share_a_call_of_many(client, make_prompt, agree):
    prompts = [make_prompt() for _ in range(8)]
    asked = [
        sonoba.Prompt(
            queries=prompt.queries,
            summary=sonoba.Summary.from_rows(prompt.examples, prompt.labels),
        )
        if i % 2
        else prompt
        for i, prompt in enumerate(prompts)
    ]

    agree(client.predict_many(asked), prompts)


def test_large_groups_go_in_chunks_two_at_a_time(client, reference, make_prompt, agree):
    prompts = [make_prompt() for _ in range(1000)]
    reference.seconds = 0.05

    agree(client.predict_many(prompts), prompts)
    counts = sorted(r.prompt_count for r in reference.asked(pb.PredictBatchRequest))
    assert counts == [232, 256, 256, 256]
    assert reference.most_in_flight == 2


@pytest.mark.parametrize(
    ("limits", "counts"),
    [
        ({"batch_prompt_count_max": 5}, [5, 5]),
        ({"element_count_max": 80}, [2, 4, 4]),  # 20 numbers a prompt
        ({"message_bytes_max": 960}, [1, 3, 3, 3]),
        ({"element_count_max": 1}, [1] * 10),
    ],
)
def test_chunks_keep_to_the_models_limits(client, reference, make_prompt, limits, counts):
    for name, value in limits.items():
        setattr(reference.model, name, value)

    client.predict_many([make_prompt() for _ in range(10)])

    asked = reference.asked(pb.PredictBatchRequest)
    assert sorted(r.prompt_count for r in asked) == counts


def test_chunks_are_at_most_eight_mebibytes(client, reference, make_prompt):
    prompt = make_prompt(M=1000, d=64)

    client.predict_many([prompt] * 20, timeout=60)

    sizes = [len(r.features) for r in reference.asked(pb.PredictBatchRequest)]
    assert len(sizes) == 2
    assert max(sizes) <= 8 * 2**20


def test_groups_are_named_for_all_or_none(client, reference, make_prompt):
    client.predict_many([make_prompt() for _ in range(4)])
    client.predict_many([make_prompt(group_id=g) for g in ("x", "", "y", "z")])

    asked = reference.asked(pb.PredictBatchRequest)
    assert [list(r.group_ids) for r in asked] == [[], ["x", "", "y", "z"]]


def test_limits_are_asked_once(client, reference, make_prompt, monkeypatch):
    prompts = [make_prompt() for _ in range(4)]
    client.predict_many(prompts)
    client.predict_many(prompts)

    assert reference.attempts["GetModel"] == 1

    monkeypatch.setattr(sonoba._calls, "MODEL_SECONDS", 0.0)  # as five minutes later
    client.predict_many(prompts)

    assert reference.attempts["GetModel"] == 2


def test_a_schema_mismatch_makes_the_limits_stale(client, reference, make_prompt):
    prompts = [make_prompt() for _ in range(4)]
    client.predict_many(prompts)
    changed = error_info("SCHEMA_MISMATCH")
    reference.failures.append(status("FAILED_PRECONDITION", "expected x, got y", changed))

    with pytest.raises(sonoba.SchemaMismatch):
        client.predict_many(prompts)
    client.predict_many(prompts)

    assert reference.attempts["GetModel"] == 2


@pytest.mark.parametrize("count", [1, 3, 6])
def test_a_bad_prompt_fails_alone_and_in_place(client, make_prompt, agree, count):
    prompts = [make_prompt() for _ in range(count)] + [broken(make_prompt())]
    if count == 1:
        prompts = prompts[1:]

    *good, bad = client.predict_many(prompts, return_exceptions=True)

    agree(good, prompts[:-1])
    assert type(bad) is sonoba.InvalidPrompt
    assert (bad.reason, bad.field.rpartition(".")[2]) == ("NOT_FINITE", "features")


def test_the_first_failure_is_raised_and_says_where(client, make_prompt):
    prompts = [make_prompt() for _ in range(9)]
    broken(prompts[3]), broken(prompts[7])

    with pytest.raises(sonoba.InvalidPrompt) as error:
        client.predict_many(prompts)

    assert error.value.__notes__ == ["in prompt 3, counted from 0"]


def test_a_prompt_refused_here_stands_in_its_place(client, make_prompt, agree):
    prompts = [make_prompt() for _ in range(5)]
    ragged = sonoba.Prompt([[1.0, 2.0], [3.0]], [1.0, 2.0], [[1.0, 2.0]])

    answers = client.predict_many([*prompts[:2], ragged, *prompts[2:]], return_exceptions=True)

    assert answers.pop(2).sentence == "examples.features: row 1: expected 2 numbers, got 1"
    agree(answers, prompts)


def test_nothing_is_sent_when_a_prompt_is_refused_here(client, reference, make_prompt):
    with pytest.raises(sonoba.InvalidPrompt):
        client.predict_many([make_prompt(), sonoba.Prompt([[1.0]], [1.0])])

    assert reference.attempts == {}


def test_a_call_that_fails_fails_for_its_prompts_only(client, reference, make_prompt, agree):
    stacked, single = [make_prompt() for _ in range(4)], make_prompt(d=3)
    client.model()
    client.predict_many(stacked)
    reference.stream_answers = 1
    reference.stream_statuses.extend([status("INTERNAL", "internal error")])

    answers = client.predict_many([*stacked, single, make_prompt(d=4)], return_exceptions=True)

    agree(answers[:5], [*stacked, single])
    assert type(answers[5]) is sonoba.ServerError


def test_without_limits_every_prompt_that_needs_them_fails_in_place(client, reference, make_prompt):
    reference.failures.append(status("NOT_FOUND", "no model"))

    answers = client.predict_many([make_prompt() for _ in range(4)], return_exceptions=True)

    assert [type(answer) for answer in answers] == [sonoba.NotFound] * 4


@pytest.mark.slow
def test_one_deadline_holds_for_all(client, reference, make_prompt):
    reference.seconds = 0.3

    with pytest.raises(sonoba.DeadlineExceeded):
        client.predict_many([make_prompt() for _ in range(4)], timeout=0.5)


def test_a_batch_of_another_length_is_the_servers_fault(make_prompt):
    prompts = [batch.encode_or_error(make_prompt()) for _ in range(4)]
    response = pb.PredictBatchResponse(predictions=bytes(24))

    with pytest.raises(sonoba.ServerError, match="got 24"):
        sonoba._replies.batch_answers(response, prompts)
