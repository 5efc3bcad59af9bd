"""What is counted without a lock is there for whoever reads."""

import threading

import grpc

from model.answer import Answer, Mode, Solver
from service.tally import UNSETTLED_MAX, MethodTally, PromptTally

OK = grpc.StatusCode.OK


def tally():
    return MethodTally("unary", "sonoba.v1.Predictor", "Predict")


def test_answered_calls_are_counted_like_those_that_take_the_lock():
    marked, locked = tally(), tally()
    for seconds in (0.0005, 0.002, 0.3, 9.0):
        marked.enter()
        marked.answer(seconds)
        locked.begin(1)
        locked.end(OK, seconds, 1)
    marked.settle()
    locked.settle()

    for field in ("started", "received", "sent", "handled", "buckets", "seconds"):
        assert getattr(marked, field) == getattr(locked, field)


def test_a_call_under_way_has_begun_and_not_ended():
    one = tally()
    one.enter()
    one.settle()

    assert (one.started, one.handled[OK]) == (1, 0)


def test_marks_are_added_up_when_many_wait_and_nobody_reads():
    one = tally()
    for _ in range(3 * UNSETTLED_MAX + 5):
        one.enter()
        one.answer(0.001)

    assert one.handled[OK] >= 3 * UNSETTLED_MAX
    assert len(one._answered) < UNSETTLED_MAX
    one.settle()
    assert one.handled[OK] == one.started == 3 * UNSETTLED_MAX + 5


def test_no_call_of_many_threads_is_lost_while_somebody_reads():
    one = tally()

    def calls():
        for _ in range(5000):
            one.enter()
            one.answer(0.001)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        one.settle()
        with one.lock:
            assert one.started >= one.handled[OK]
    one.settle()

    assert one.handled[OK] == one.started == one.sent == sum(one.buckets) == 20_000


def test_prompts_counted_either_way_are_in_one_sum():
    prompts = PromptTally(["weather"])
    tick = prompts.ticks("weather", Mode.PAPER, Solver.K1)
    tick()
    tick()
    prompts.ticks("weather", Mode.PAPER, Solver.K1, 7)()
    answer = Answer(None, bytearray([Mode.PAPER] * 3), bytearray([Solver.K1] * 3))
    prompts.observe("weather", answer, 4)
    prompts.settle()
    prompts.settle()

    assert prompts.prompts["weather", Mode.PAPER] == prompts.solvers[Solver.K1] == 6
    assert prompts.queries["weather"] == 2 + 7 + 12
