"""The asynchronous client, on the points where it has code of its own."""

import asyncio
import inspect
import itertools

import numpy as np
import pytest

import sonoba
from tests.client.conftest import error_info, retry_info, status

PROMPT = [[[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], [[4.0]]]


def agree(answers, prompts, expected):
    for answer, prompt in zip(answers, prompts, strict=True):
        np.testing.assert_allclose(answer.values, expected(prompt))


@pytest.fixture
def run(target):
    """Run a coroutine of one client to its end."""

    def run(work, **settings):
        async def inside():
            async with sonoba.aio.Client(target, **settings) as client:
                return await work(client)

        return asyncio.run(inside())

    return run


async def listed(items):
    return [item async for item in items]


def test_both_clients_have_the_same_methods_and_parameters():
    ours, theirs = (
        {name: method for name, method in vars(kind).items() if not name.startswith("_")}
        for kind in (sonoba.Client, sonoba.aio.Client)
    )

    assert ours.keys() == theirs.keys()
    for name in ours:
        wanted, got = (inspect.signature(methods[name]).parameters for methods in (ours, theirs))
        assert list(got) == list(wanted)
        assert [p.default for p in got.values()] == [p.default for p in wanted.values()]


def test_a_prompt_is_answered(run):
    prediction = run(lambda client: client.predict(*PROMPT, request_id="mine"))

    assert prediction.values == pytest.approx([4.0])
    assert prediction.request_id == "mine"


def test_models_and_summaries_are_fetched(run):
    async def work(client):
        return await client.model(), await client.models(), await client.summarize(*PROMPT[:2])

    model, models, summary = run(work)

    assert model.name == "foundation"
    assert len(models) == 3
    assert summary == sonoba.Summary.from_rows(*PROMPT[:2], schema_hash="abc")


def test_many_prompts_are_answered_in_order(run, reference, make_prompt, expected):
    prompts = [make_prompt(d=2 + i % 3, Q=1 + (i == 5)) for i in range(60)]
    reference.model.batch_prompt_count_max = 5
    reference.seconds = 0.01

    agree(run(lambda client: client.predict_many(prompts)), prompts, expected)
    assert reference.most_in_flight == 2


def test_failures_stand_in_their_places(run, make_prompt):
    prompts = [make_prompt() for _ in range(6)]
    prompts[2].examples[0, 0] = np.nan
    prompts[3] = sonoba.Prompt([[1.0]], [1.0])

    answers = run(lambda client: client.predict_many(prompts, return_exceptions=True))

    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["Prediction"] * 2 + ["InvalidPrompt"] * 2 + ["Prediction"] * 2


def test_without_limits_the_first_prompt_says_why(run, reference, make_prompt):
    reference.failures.append(status("NOT_FOUND", "no model"))

    with pytest.raises(sonoba.NotFound):
        run(lambda client: client.predict_many([make_prompt() for _ in range(4)]))


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED"])
def test_a_leaving_server_is_asked_again(run, reference, code):
    reference.failures.extend([status(code, "leaving")] * 2)

    run(lambda client: client.predict(*PROMPT))

    assert reference.attempts["Predict"] == 3


def test_a_server_that_keeps_cancelling_is_unavailable(run, reference):
    reference.failures.extend([status("CANCELLED", "leaving")] * 4)

    with pytest.raises(sonoba.Unavailable):
        run(lambda client: client.predict(*PROMPT))


def test_an_overloaded_server_is_asked_again_once(run, reference):
    details = error_info("OVERLOADED"), retry_info(0.01)
    reference.failures.extend([status("RESOURCE_EXHAUSTED", "full", *details)] * 2)

    with pytest.raises(sonoba.Overloaded) as error:
        run(lambda client: client.predict(*PROMPT))

    assert error.value.retry_after == 0.01
    assert reference.attempts["Predict"] == 2


def test_the_deadline_ends_a_call(run, reference):
    reference.seconds = 0.5

    with pytest.raises(sonoba.DeadlineExceeded):
        run(lambda client: client.predict(*PROMPT), timeout=0.1)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_takes_both_kinds_of_iterables(run, make_prompt, expected, is_async):
    prompts = [make_prompt(d=1 + i % 3) for i in range(200)]

    async def one_by_one():
        for prompt in prompts:
            await asyncio.sleep(0)
            yield prompt

    answers = run(lambda client: listed(client.stream(one_by_one() if is_async else prompts)))

    agree(answers, prompts, expected)


def test_an_answer_does_not_wait_for_the_next_prompt(run, make_prompt):
    async def work(client):
        answered = asyncio.Semaphore(0)

        async def one_at_a_time():
            for _ in range(5):
                yield make_prompt()
                await answered.acquire()

        async for _ in client.stream(one_at_a_time()):
            answered.release()

    run(lambda client: asyncio.wait_for(work(client), 5))


@pytest.mark.parametrize("ends", [[], ["UNAVAILABLE"] * 99, ["CANCELLED"] * 99])
def test_a_stream_that_ends_is_opened_again(run, reference, make_prompt, expected, ends):
    prompts = [make_prompt() for _ in range(50)]
    reference.stream_answers = 7
    reference.stream_statuses.extend(status(code, "leaving") for code in ends)

    agree(run(lambda client: listed(client.stream(prompts))), prompts, expected)
    assert reference.attempts["PredictStream"] >= 8


@pytest.mark.slow
def test_a_stream_that_answers_nothing_twice_is_unavailable(run, reference, make_prompt):
    reference.failures.extend([status("UNAVAILABLE", "leaving")] * 99)

    with pytest.raises(sonoba.Unavailable):
        run(lambda client: listed(client.stream([make_prompt()])))


def test_a_bad_prompt_ends_a_stream_or_stands_in_its_place(run, make_prompt):
    prompts = [make_prompt(), sonoba.Prompt([[1.0]], [1.0]), make_prompt()]
    prompts[2].examples[0, 0] = np.nan

    answers = run(lambda client: listed(client.stream(prompts, return_exceptions=True)))
    kinds = [type(answer).__name__ for answer in answers]

    assert kinds == ["Prediction", "InvalidPrompt", "InvalidPrompt"]
    with pytest.raises(sonoba.InvalidPrompt):
        run(lambda client: listed(client.stream(prompts)))


def test_the_callers_own_error_is_the_callers(run, make_prompt):
    def failing():
        yield make_prompt()
        raise LookupError("no more rows")

    with pytest.raises(LookupError, match="no more rows"):
        run(lambda client: listed(client.stream(failing())))


def test_prompts_are_read_only_so_far_ahead(run, make_prompt):
    read = itertools.count()
    prompt = make_prompt()

    async def work(client):
        await anext(client.stream(prompt for _ in read))
        await asyncio.sleep(0.1)

    run(work)

    assert next(read) <= 68  # 64 unanswered, and a few in other hands


def test_a_stream_left_early_leaves_no_task(run, make_prompt):
    async def work(client):
        answers = client.stream(itertools.repeat(make_prompt()), return_exceptions=True)
        await anext(answers)
        await answers.aclose()
        await asyncio.sleep(0.05)
        return [task for task in asyncio.all_tasks() if "_read_prompts" in repr(task)]

    assert run(work) == []
