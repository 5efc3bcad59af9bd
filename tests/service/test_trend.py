import logging
import threading

import grpc
import pytest

from model.checkpoint import load
from service.status import Status
from service.tally import BUCKETS, MethodTally
from service.traffic import between, quantile, read
from service.trend import POINT_COUNT, Trend
from tests.service.snapshots import NOON, Clock, harmed, measured


@pytest.fixture
def clock():
    return Clock()


def test_the_ring_keeps_the_last_six_hours():
    taken = iter(range(POINT_COUNT + 5))
    trend = Trend(lambda: next(taken))
    for _ in range(POINT_COUNT + 5):
        trend.add()

    assert trend.points() == list(range(5, POINT_COUNT + 5))


def test_points_come_without_anybody_looking_and_survive_an_error(caplog):
    enough, taken = threading.Event(), []

    def take():
        taken.append(len(taken))
        if len(taken) == 2:
            raise ValueError("a point too far")
        if len(taken) == 4:
            enough.set()
        return taken[-1]

    trend = Trend(take, step_seconds=0.01)
    with caplog.at_level(logging.CRITICAL, logger="sonoba"):
        trend.start()
        came = enough.wait(30)
        trend.stop()

    assert came
    assert trend.points()[:3] == [0, 2, 3]


def test_since_is_when_the_answer_last_changed(paper_file, clock):
    known = []
    status = Status(lambda: known, [], [load(paper_file)], clock=clock)
    told = []
    for snapshot in (None, measured(1.0), measured(1.1), harmed(), harmed(2.5), measured(1.8)):
        known[:] = [snapshot] if snapshot else []
        told.append(status.report()["since"] - NOON)
        status.trend.add()
        clock.now += 30

    assert told == [0, 30, 30, 90, 90, 90]


def test_what_passed_while_nobody_looked_is_remembered(paper_file, clock):
    known = [harmed()]
    status = Status(lambda: known, [], [load(paper_file)], clock=clock)
    status.trend.add()
    known[:] = [measured(1.0)]
    clock.now += 600

    report = status.report()
    assert report["answer"] == "NO"
    assert report["series"]["score"] == [1.7, 0.5]


def test_another_reference_is_judged_afresh(paper_file, clock):
    known = [harmed()]
    status = Status(lambda: known, [], [load(paper_file)], clock=clock)
    before = status.report()["answer"]
    known[:] = [measured(1.0, reference="99999999")]

    assert (before, status.report()["answer"]) == ("NO", "YES")


def test_rates_are_those_of_the_calls_between_two_steps(paper_file, clock):
    tally = MethodTally("unary", "sonoba.v1.Predictor", "Predict")
    status = Status(lambda: [], [tally], [load(paper_file)], clock=clock)
    for call_count in (30, 90):
        for _ in range(call_count):
            tally.end(grpc.StatusCode.OK, 0.004, sent=1)
        clock.now += 30
        status.trend.add()

    series = status.report()["series"]
    assert series["calls_per_second"][:2] == [1.0, 2.0]
    assert series["p99_seconds"][1] == pytest.approx(0.0025 + 0.99 * 0.0025, rel=1e-3)


def test_messages_of_a_stream_are_calls_without_a_response_time():
    stream = MethodTally("bidi_stream", "sonoba.v1.Predictor", "PredictStream")
    before = read([stream], NOON)
    stream.message(received=40, sent=40)
    stream.end(grpc.StatusCode.OK, 240.0, sent=0)

    rates = between(before, read([stream], NOON + 20))
    assert rates.calls_per_second == 2.0
    assert rates.p99_seconds != rates.p99_seconds


def test_no_time_has_no_rate():
    reading = read([], NOON)

    assert all(rate != rate for rate in between(reading, reading))


def test_a_quantile_lies_where_linear_interpolation_puts_it():
    buckets = [0] * (len(BUCKETS) + 1)
    buckets[3], buckets[5] = 98, 2  # 98 up to 10 ms, 2 between 25 and 50 ms

    assert quantile(buckets, 0.99) == pytest.approx(0.0375)
    assert quantile(buckets, 0.49) == pytest.approx(0.0075)


def test_a_quantile_beyond_the_last_bound_is_that_bound():
    assert quantile([0] * len(BUCKETS) + [7], 0.5) == BUCKETS[-1]
