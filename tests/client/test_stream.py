import itertools
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import sonoba
from tests.client.conftest import error_info, retry_info, status


def agree(answers, prompts, expected):
    for answer, prompt in zip(answers, prompts, strict=True):
        np.testing.assert_allclose(answer.values, expected(prompt))


def leftovers():
    """Return the threads, ours and gRPC's, that still read prompts."""
    threads = {thread.ident: thread for thread in threading.enumerate()}
    waiting = {ident for ident, frame in sys._current_frames().items() if reads_prompts(frame)}
    return [threads[ident] for ident in waiting & threads.keys()]


def reads_prompts(frame):
    names = {call.f_code.co_name for call, _ in traceback.walk_stack(frame)}
    return bool(names & {"_read_prompts", "_consume_request_iterator", "consume_request_iterator"})


def test_prompts_of_any_shape_are_answered_in_order(client, reference, make_prompt, expected):
    prompts = [make_prompt(M=6 + i % 3, d=1 + i % 4, Q=1 + i % 2) for i in range(300)]

    agree(client.stream(prompts), prompts, expected)
    assert reference.attempts == {"PredictStream": 1}


def test_a_stream_of_nothing_ends(client, reference):
    assert list(client.stream([])) == []
    assert reference.attempts == {}


def test_an_answer_does_not_wait_for_the_next_prompt(client, make_prompt):
    answered = threading.Semaphore(0)

    def one_at_a_time():
        for _ in range(5):
            yield make_prompt()
            assert answered.acquire(timeout=5)

    for _ in client.stream(one_at_a_time()):
        answered.release()


def test_a_stream_may_have_no_end(client, make_prompt):
    prompt = make_prompt()

    answers = list(itertools.islice(client.stream(itertools.repeat(prompt)), 500))

    assert len(answers) == 500


def test_prompts_are_read_only_so_far_ahead(client, make_prompt):
    read = itertools.count()
    prompt = make_prompt()
    answers = client.stream(prompt for _ in read)

    next(answers)
    time.sleep(0.1)

    assert next(read) <= 68  # 64 unanswered, and a few in other hands


def test_a_stream_left_early_leaves_no_thread(client, make_prompt):
    answers = client.stream(itertools.repeat(make_prompt()))
    next(answers)
    answers.close()

    for thread in leftovers():
        thread.join(timeout=5)
    assert leftovers() == []


@pytest.mark.parametrize("ends", [[], ["UNAVAILABLE"] * 99, ["CANCELLED"] * 99])
def test_a_call_that_ends_is_opened_again(client, reference, make_prompt, expected, ends):
    prompts = [make_prompt() for _ in range(150)]
    reference.stream_answers = 20
    reference.stream_statuses.extend(status(code, "leaving") for code in ends)

    agree(client.stream(prompts), prompts, expected)
    assert reference.attempts["PredictStream"] >= 8


def test_calls_that_have_ended_leave_no_thread(client, reference, make_prompt):
    answered = threading.Semaphore(0)
    reference.stream_answers = 1

    def pairs():
        for _ in range(5):
            yield make_prompt()
            yield make_prompt()
            assert answered.acquire(timeout=5)
            assert answered.acquire(timeout=5)

    for _ in client.stream(pairs()):
        answered.release()
    for thread in leftovers():
        thread.join(timeout=1)

    assert reference.attempts["PredictStream"] == 10
    assert leftovers() == []


@pytest.mark.slow
def test_a_stream_that_answers_nothing_twice_is_unavailable(client, reference, make_prompt):
    reference.failures.extend([status("UNAVAILABLE", "leaving")] * 99)

    with pytest.raises(sonoba.Unavailable):
        list(client.stream([make_prompt()]))

    assert reference.attempts["PredictStream"] == 8  # four attempts of gRPC each time


def test_a_full_server_is_asked_again_when_it_says(client, reference, make_prompt, expected):
    prompts = [make_prompt() for _ in range(3)]
    details = error_info("OVERLOADED"), retry_info(0.1)
    reference.failures.append(status("RESOURCE_EXHAUSTED", "too many streams", *details))

    agree(client.stream(prompts), prompts, expected)


def test_a_bad_prompt_ends_the_stream(client, make_prompt):
    bad = make_prompt()
    bad.examples[0, 0] = np.nan
    answers = client.stream([make_prompt(), bad, make_prompt()])

    assert isinstance(next(answers), sonoba.Prediction)
    with pytest.raises(sonoba.InvalidPrompt) as error:
        next(answers)
    assert error.value.field == "examples.features"


def test_bad_prompts_stand_in_their_places_where_asked(client, make_prompt, expected):
    prompts = [make_prompt() for _ in range(6)]
    prompts[1].examples[0, 0] = np.nan  # refused by the server
    prompts[4] = sonoba.Prompt([[1.0]], [1.0, 2.0], [[1.0]])  # refused here

    answers = list(client.stream(prompts, return_exceptions=True))

    assert [type(answers[i]).__name__ for i in (1, 4)] == ["InvalidPrompt"] * 2
    good = [0, 2, 3, 5]
    agree([answers[i] for i in good], [prompts[i] for i in good], expected)


def test_the_callers_own_error_is_the_callers(client, make_prompt):
    def failing():
        yield make_prompt()
        raise LookupError("no more rows")

    answers = client.stream(failing())
    next(answers)

    with pytest.raises(LookupError, match="no more rows"):
        next(answers)


def test_a_stream_has_a_deadline_if_it_was_given_one(client, reference, make_prompt):
    reference.seconds = 1.0

    with pytest.raises(sonoba.DeadlineExceeded):
        list(client.stream([make_prompt()], timeout=0.2))


def test_an_answer_to_another_prompt_is_the_servers_fault(client, reference, make_prompt):
    reference.sequence_shift = 1

    with pytest.raises(sonoba.ServerError, match="expected the answer to prompt 0, got that to 1"):
        list(client.stream([make_prompt()]))
