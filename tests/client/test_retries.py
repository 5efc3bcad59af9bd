import time

import numpy as np
import pytest

import sonoba
from tests.client.conftest import error_info, retry_info, status

PROMPT = [[[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], [[4.0]]]


def overloaded(seconds):
    details = error_info("OVERLOADED"), retry_info(seconds)
    return status("RESOURCE_EXHAUSTED", "too many calls", *details)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED"])
def test_a_leaving_server_is_asked_again(client, reference, code):
    reference.failures.extend([status(code, "leaving")] * 2)

    prediction = client.predict(*PROMPT)

    assert prediction.values == pytest.approx([4.0])
    assert reference.attempts["Predict"] == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED"])
def test_after_four_attempts_the_server_is_unavailable(client, reference, code):
    reference.failures.extend([status(code, "leaving", error_info("DRAINING"))] * 9)

    with pytest.raises(sonoba.Unavailable) as error:
        client.predict(*PROMPT)

    assert error.value.reason == "DRAINING"
    assert reference.attempts["Predict"] == 4


def test_a_large_request_is_retried_too(client, reference, make_prompt):
    reference.failures.append(status("UNAVAILABLE", "leaving"))
    prompt = make_prompt(M=50_000, d=20)  # 8 MB, where gRPC alone gives up above 256 KiB

    client.predict(prompt.examples, prompt.labels, prompt.queries)

    assert reference.attempts["Predict"] == 2


@pytest.mark.slow
def test_a_request_over_the_limit_is_not_sent(client, reference):
    examples = np.zeros((8_500_000, 1))  # 68 MB

    with pytest.raises(sonoba.InvalidPrompt) as error:
        client.predict(examples, examples[:, 0], [[1.0]])

    assert error.value.reason == "LIMIT_EXCEEDED"
    assert reference.attempts == {}


def test_a_refusal_is_not_asked_again(client, reference):
    reference.failures.append(status("INVALID_ARGUMENT", "no"))

    with pytest.raises(sonoba.InvalidPrompt):
        client.predict(*PROMPT)

    assert reference.attempts["Predict"] == 1


def test_an_overloaded_server_is_asked_again_when_it_says(client, reference):
    reference.failures.append(overloaded(0.2))
    begin = time.monotonic()

    client.predict(*PROMPT)

    assert time.monotonic() - begin >= 0.2
    assert reference.attempts["Predict"] == 2


def test_an_overloaded_server_is_asked_again_once(client, reference):
    reference.failures.extend([overloaded(0.01)] * 2)

    with pytest.raises(sonoba.Overloaded):
        client.predict(*PROMPT)

    assert reference.attempts["Predict"] == 2


def test_nobody_waits_for_a_retry_beyond_the_deadline(client, reference):
    reference.failures.append(overloaded(0.6))
    begin = time.monotonic()

    with pytest.raises(sonoba.Overloaded):
        client.predict(*PROMPT, timeout=0.5)

    assert time.monotonic() - begin < 0.4
    assert reference.attempts["Predict"] == 1


def test_an_overload_without_a_time_is_not_asked_again(client, reference):
    reference.failures.append(status("RESOURCE_EXHAUSTED", "quota"))

    with pytest.raises(sonoba.Overloaded) as error:
        client.predict(*PROMPT)

    assert error.value.retry_after is None
    assert reference.attempts["Predict"] == 1


def test_the_deadline_ends_a_call(target, reference):
    reference.seconds = 0.6
    begin = time.monotonic()

    with sonoba.Client(target, timeout=0.2) as client, pytest.raises(sonoba.DeadlineExceeded):
        client.predict(*PROMPT)

    assert 0.2 <= time.monotonic() - begin < 0.5


def test_a_call_may_set_its_own_deadline(client, reference):
    reference.seconds = 0.6

    with pytest.raises(sonoba.DeadlineExceeded):
        client.predict(*PROMPT, timeout=0.1)
