"""What users of other servers complain of: ten things, each with a test.

Here are those that no other test had; `ELSEWHERE` says where the rest are.
"""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from model.checkpoint import FOUNDATION_FILE, load
from service.call import Call
from service.core import Predictor
from service.server import limits_of
from service.settings import Settings
from service.slot import Slots
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import asking
from tests.service.test_operation import scrape, value

pytestmark = pytest.mark.slow  # seconds, all together

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "downtime and leaks while a model reloads": (
        "tests/service/test_swaps.py",
        "test_a_thousand_swaps_under_load_fail_no_call_mix_no_answers_and_leak_nothing",
    ),
    "another caller's answers": (
        "tests/e2e/test_own_answers.py",
        "test_sixty_four_callers_of_a_hundred_thousand_prompts_each_get_their_own",
    ),
    "no TLS over gRPC": ("tests/service/test_transport.py", "def test_"),
    "metrics of one process of many": (
        "tests/e2e/test_workers.py",
        "test_the_calls_over_all_workers_are_the_calls_sent",
    ),
    "no health": ("tests/service/test_operation.py", "test_readiness_can_be_watched"),
    "no reflection": ("tests/calling/test_grpcurl.py", "def test_"),
    "monitoring costs too much": ("bench/serving/watching.py", "def "),
    "a prompt takes seconds": ("bench/serving/latency.py", "def "),
    "a fresh install does not serve": ("tests/test_packaging.py", "def test_"),
}
CANCELLED = 1000
HEALTH_SECONDS, EMPTY_SECONDS = 0.1, 1.0


@pytest.mark.parametrize("complaint", ELSEWHERE)
def test_what_is_tested_elsewhere_still_is(complaint):
    path, name = ELSEWHERE[complaint]

    assert name in (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture
def saturated(serving):
    """A server with a thousand calls of some milliseconds each before its two threads."""
    places = 2 * CANCELLED + 48  # half of them; a call in the other, gRPC's core, is in no count
    one = serving(threads=2, max_pending=places)
    x = np.random.default_rng(0).normal(size=(256, 64))
    options = pb.PredictOptions(include_uncertainty=True, include_attributions=True)
    request = asking(x, x[:, 0], x[:1], options=options)
    one.stub.Predict(request)
    one.before = computed(one)
    one.sent = [one.stub.Predict.future(request, timeout=60) for _ in range(CANCELLED)]
    wait(lambda: arrived(one) >= CANCELLED - 2)  # two may be between running and computed
    return one


def arrived(one):
    """Return how many calls the server knows of: what is cancelled before never reaches it."""
    return queued(one) + computed(one) - one.before


def computed(one):
    return value(scrape(one.server), 'sonoba_prompts_total{mode="foundation",model="foundation"}')


def queued(one):
    return value(scrape(one.server), "sonoba_queued_requests")


def wait(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.005)


def test_cancelled_calls_are_not_computed_and_leave_the_queue_at_once(saturated):
    for call in saturated.sent:
        call.cancel()
    cancelled_at = computed(saturated)

    wait(lambda: queued(saturated) == 0, EMPTY_SECONDS)
    after = computed(saturated)
    assert after - cancelled_at < 50  # of a thousand: those that were running, or on their way
    expired = value(scrape(saturated.server), "sonoba_expired_requests_total")
    assert expired > CANCELLED / 2
    assert after - saturated.before + expired == pytest.approx(CANCELLED, abs=5)
    assert saturated.stub.Predict(small(), timeout=1.0).predictions


def small():
    x = np.random.default_rng(1).normal(size=(8, 2))
    return asking(x, x[:, 0], x[:1])


def test_health_answers_while_a_thousand_calls_wait(saturated):
    stub = health_pb2_grpc.HealthStub(saturated.channel)
    asked = health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")
    took = []
    for _ in range(9):
        begun = time.perf_counter()
        status = stub.Check(asked, timeout=5).status
        took.append(time.perf_counter() - begun)
        assert status == health_pb2.HealthCheckResponse.SERVING

    assert queued(saturated) > 0
    assert statistics.median(took) <= HEALTH_SECONDS
    for call in saturated.sent:
        call.cancel()


def test_numbers_in_the_friendly_form_cost_less_than_twice_the_fast_one():
    """Of whole calls at (64, 20), where others need ten times as long for a repeated double."""
    one = Predictor(Slots([load(FOUNDATION_FILE)], "foundation"), limits_of(Settings()), ignore)
    x = np.random.default_rng(0).normal(size=(65, 20))
    wires = [
        asking(x[:64], x[:64, 0], x[64:], form={"raw": raw}).SerializeToString()
        for raw in (True, False)
    ]
    best = [float("inf")] * 2
    for turn in range(600):
        begun = time.thread_time()
        one.predict(wires[turn % 2], Call(30.0))
        best[turn % 2] = min(best[turn % 2], time.thread_time() - begun)

    assert best[1] <= 2.0 * best[0]


def ignore(*_):
    """Count nothing."""
