"""Prompts solved ahead of their turn: each call gets its own answer, to the bit, or solves it."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, Artifact, load
from model.foundation import FoundationModel
from model.profile import ProfileModel
from model.profile_fit import layer_steps
from model.schema import Schema
from service import beside
from service.ahead import KEPT_MAX, TOGETHER_BYTES, TOGETHER_MAX, Ahead, nobody
from service.call import Call
from service.core import Predictor
from service.server import limits_of
from service.settings import Settings
from service.slot import Slots
from tests.model.profiles import asked, learnt
from tests.service.asking import asking
from tests.service.test_layout import outcome

M = 16
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEPS = tuple((float(a), float(b)) for a, b in layer_steps(8))


def always(wire):
    return True


def wires(count, size=100):
    return [bytes(np.random.default_rng([7, i]).bytes(size)) for i in range(count)]


def ahead_of(waiting):
    ahead = Ahead()
    ahead.waiting = lambda: waiting
    return ahead


class Solving:
    """Solves requests by naming them, and notes how often and how many at a time."""

    def __init__(self, waiting=()):
        self.ahead, self.sizes, self.fits = ahead_of(waiting), [], always
        self.began, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def asked(self, wire, of="a version"):
        return self.ahead.solved(wire, of, self.fits, lambda: self.of([wire])[0], self.of)

    def of(self, wires):
        self.sizes.append(len(wires))
        self.began.set()
        assert self.goes_on.wait(10.0)
        return [answer_to(wire) for wire in wires]


def answer_to(wire):
    return f"answer to {wire[:4].hex()}"


class TestAhead:
    def test_what_waits_and_fits_is_solved_once(self):
        own, *others = wires(8)
        solving = Solving([own, *others, b"of another length"])
        solving.fits = lambda wire: wire is not others[2]

        found = [solving.asked(own)]
        solving.ahead.waiting = nobody
        found += [solving.asked(wire) for wire in others]

        assert found == [answer_to(wire) for wire in (own, *others)]
        assert solving.sizes == [7, 1]  # the one that did not fit by itself

    def test_an_answer_is_taken_once_by_its_own_request_and_of_what_it_was_asked(self):
        own, *others = wires(6)
        solving = Solving(others)
        solving.asked(own)

        equal = bytes(bytearray(others[0]))  # as many bytes, and the same, of another call
        assert solving.ahead.take(equal, "a version") is None
        assert solving.ahead.take(others[0], "a version") == answer_to(others[0])
        assert solving.ahead.take(others[0], "a version") is None
        assert solving.ahead.take(others[1], "a later version") is None
        assert solving.ahead.take(others[1], "a version") is None
        assert solving.ahead.take(others[2], "a version") == answer_to(others[2])

    def test_a_call_waits_for_the_thread_that_solves_its_prompt(self):
        own, *others = wires(4)
        solving, told = Solving(others), []
        solving.goes_on.clear()
        threads = [
            threading.Thread(target=lambda wire=wire: told.append((wire, solving.asked(wire))))
            for wire in (own, *others)
        ]
        threads[0].start()
        assert solving.began.wait(10.0)
        solving.ahead.waiting = nobody
        for thread in threads[1:]:
            thread.start()
        while solving.ahead._kept:  # each has found that its prompt is taken
            time.sleep(0.001)
        solving.goes_on.set()
        for thread in threads:
            thread.join()

        assert dict(told) == {wire: answer_to(wire) for wire in (own, *others)}
        assert solving.sizes == [4]

    def test_a_call_waits_no_longer_than_a_solve_may_take(self, monkeypatch):
        monkeypatch.setattr("service.ahead.WAIT_SECONDS", 0.01)
        own, *others = wires(4)
        ahead, solving = ahead_of(others), threading.Lock()
        with solving:  # by a thread that does not come on
            ahead.claim(own, "a version", always, solving)
            assert ahead.take(others[0], "a version") is None

    def test_few_and_large_requests_are_left_alone(self):
        own, other = wires(2)
        large = wires(6, TOGETHER_BYTES // 2)
        for waiting in ([own, other], large):
            solving = Solving(waiting)
            assert solving.asked(waiting[0]) == answer_to(waiting[0])
            assert solving.sizes == [1]

    def test_what_is_kept_of_calls_that_never_come_is_bounded(self):
        waiting = []
        solving, lost = Solving(), wires(200)
        solving.ahead.waiting = lambda: waiting
        for start in range(0, 200, 20):
            waiting[:] = lost[start + 1 : start + 20]
            solving.asked(lost[start])

        assert solving.sizes == [TOGETHER_MAX] * 10
        assert len(solving.ahead._kept) <= KEPT_MAX
        last = lost[181 : 180 + TOGETHER_MAX]
        assert [solving.ahead.take(wire, "a version") for wire in last] == list(
            map(answer_to, last)
        )


def artifact(name):
    """Return a version of each kind of model that takes prompts together."""
    if name == "foundation":
        return load(FOUNDATION_FILE)
    return Artifact("shop", "1" * 12, Schema(), NOON, ProfileModel(learnt("intercept")))


class Asked:
    """A predictor that knows the layout of its requests, some of which wait."""

    def __init__(self, artifact, count=40, damage=None):
        self.slots = Slots([artifact], artifact.name)
        block, _ = asked(5, B=count, M=M, Q=1)
        (x, y), queries = block.context, block.queries
        if damage is not None:
            x[damage, 0, 0] = np.nan
        self.wires = [
            asking(x[i], y[i], queries[i], request_id=f"order-{i:04d}").SerializeToString()
            for i in range(count)
        ]
        self.waiting = []
        self.predictor = self.new()
        self.predictor.ahead.waiting = lambda: list(self.waiting)

    def new(self):
        made = Predictor(self.slots, limits_of(Settings()), lambda *_: None)
        for wire in self.wires[:2]:
            made.predict(wire, Call(30.0))
        return made

    def answers(self, predictor=None):
        """Return what every request is answered, each but the first while others wait."""
        found = []
        for place, wire in enumerate(self.wires):
            self.waiting = self.wires[place + 1 : place + 12]
            found.append(outcome(predictor or self.predictor, wire))
        return found


@pytest.fixture
def solved(monkeypatch):
    """How many prompts were solved at a time."""
    sizes = []
    for module, name in ((FoundationModel, "answer"), (beside.Beside, "_solve_all")):
        whole = getattr(module, name)

        def counted(self, asked, whole=whole):
            sizes.append(len(getattr(asked, "queries", asked)))  # of a block, or requests
            return whole(self, asked)

        monkeypatch.setattr(module, name, counted)
    return sizes


@pytest.mark.parametrize("name", ["foundation", "shop"])
def test_each_call_gets_its_own_answer_to_the_bit(name, solved):
    one = Asked(artifact(name))
    alone = one.new()
    alone.ahead.waiting = nobody
    expected = one.answers(alone)
    solved.clear()

    found = one.answers()

    assert found == expected
    assert len({tuple(response.predictions) for response in found}) == len(one.wires)
    assert [response.request_id for response in found] == [
        f"order-{i:04d}" for i in range(len(one.wires))
    ]
    assert max(solved) == 12
    assert len(solved) < 8  # of forty


@pytest.mark.parametrize("name", ["foundation", "shop"])
def test_a_bad_prompt_is_refused_alone(name):
    one = Asked(artifact(name), damage=7)
    alone = one.new()
    alone.ahead.waiting = nobody

    found = one.answers()

    assert found == one.answers(alone)
    assert [place for place, told in enumerate(found) if isinstance(told, tuple)] == [7]
    assert found[7][:2] == ("NOT_FINITE", "examples.features")


@pytest.mark.parametrize("name", ["foundation", "shop"])
def test_what_was_found_by_one_version_is_not_told_as_anothers(name):
    one = Asked(artifact(name))
    one.waiting = one.wires[5:12]
    one.predictor.predict(one.wires[4], Call(30.0))
    before = one.slots.get(one.slots.default)
    other = (
        ProfileModel(learnt("centred")) if name == "shop" else replace(before.model, steps=STEPS)
    )
    one.slots.install(replace(before, version="2" * 12, model=other))
    one.predictor.forget(before.name)

    fresh = one.new()
    fresh.ahead.waiting = nobody
    for wire in one.wires[5:12]:
        told = outcome(one.predictor, wire)
        assert told == outcome(fresh, wire)
        assert told.model_version == "2" * 12


@pytest.mark.parametrize("name", ["foundation", "shop"])
def test_where_one_cannot_be_solved_each_is_asked_by_itself(name, monkeypatch):
    one = Asked(artifact(name))
    expected = one.answers()
    whole, failures = FoundationModel.answer, []

    def fail(self, asked):
        if name == "foundation" and len(asked.queries) == 1:
            return whole(self, asked)
        failures.append(asked)
        raise np.linalg.LinAlgError

    monkeypatch.setattr(beside.Beside, "_solve_all", fail)
    monkeypatch.setattr(FoundationModel, "answer", fail)
    assert one.answers() == expected
    assert failures


def test_threads_that_share_what_waits_mix_up_nothing():
    one = Asked(artifact("shop"), 400)
    alone = one.new()
    alone.ahead.waiting = nobody
    expected = dict(zip(one.wires, one.answers(alone), strict=True))
    left, found, lock = list(reversed(one.wires)), {}, threading.Lock()
    one.waiting = []
    one.predictor.ahead.waiting = lambda: left[-14:]

    def work():
        while True:
            with lock:
                if not left:
                    return
                wire = left.pop()
            found[wire] = outcome(one.predictor, wire)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == expected
