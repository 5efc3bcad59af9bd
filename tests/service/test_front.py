"""What meets a call at arrival: room or a refusal, a thread for its request, or nobody waits."""

import threading
import time

import grpc
import pytest

from service import front
from service.valve import Valve
from tests.service.porting import refusal_of, wait_for

pytestmark = pytest.mark.slow  # 5 seconds, all together


ENDS = {"OK", "CANCELLED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"}


class Gate:
    """A handler that counts its calls and answers none before the gate opens."""

    def __init__(self):
        self.opened, self.count = threading.Event(), 0

    def __call__(self, wire, call):
        self.count += 1
        self.opened.wait(20)
        return wire

    __name__ = "gate"


def echo(wire, call):
    return wire


def code_of(future):
    error = future.exception()
    return "OK" if error is None else error.code().name


@pytest.mark.usefixtures("unhurried")
def test_grpcio_lets_the_valve_stand_before_its_core(port):
    gate = Gate()
    one = port({"Gate": gate}, threads=1, max_pending=8)
    valve = one.port.front.valve
    assert not valve.is_shut

    calls = [one.call("Gate")() for _ in range(6)]
    wait_for(lambda: valve.is_shut)
    assert one.pool.pending == 4  # half have places; the others wait in the core
    gate.opened.set()

    assert [code_of(call) for call in calls] == ["OK"] * 6
    wait_for(lambda: not valve.is_shut)


def test_no_more_calls_wait_than_there_is_room_for_and_the_rest_ends_at_once(port):
    gate = Gate()
    one = port({"Gate": gate}, threads=2, max_pending=16)
    calls = [one.call("Gate")(str(n).encode()) for n in range(64)]
    wait_for(lambda: sum(call.done() for call in calls) >= 46)
    time.sleep(0.2)
    waiting = [call for call in calls if not call.done()]
    gate.opened.set()

    assert 4 <= len(waiting) <= 18
    assert {code_of(call) for call in waiting} == {"OK"}
    assert {code_of(call) for call in calls if call not in waiting} == {"CANCELLED"}
    assert gate.count == len(waiting)
    assert one.port.front.valve.refusing_seconds() > 0


@pytest.mark.usefixtures("unhurried")
def test_without_a_valve_a_refusal_says_why_and_when_to_come_again(port, monkeypatch):
    monkeypatch.setattr(Valve, "attach", lambda self, server: False)
    gate = Gate()
    one = port({"Gate": gate}, threads=2, max_pending=16)
    waiting = []
    for number in range(1, 17):
        waiting.append(one.call("Gate")())
        wait_for(lambda number=number: one.pool.pending == number)
    errors = [one.call("Gate")().exception() for _ in range(8)]
    gate.opened.set()

    assert {code_of(call) for call in waiting} == {"OK"}
    assert {error.code() for error in errors} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert {refusal_of(error) for error in errors} == {("OVERLOADED", 0.1)}
    assert ("grpc-retry-pushback-ms", "100") in errors[0].trailing_metadata()
    assert "expected at most 16 calls at once" in errors[0].details()
    assert one.rejections.counts["OVERLOADED"] == 8
    assert one.tallies["Gate"].handled[grpc.StatusCode.RESOURCE_EXHAUSTED] == 8


@pytest.mark.usefixtures("unhurried")
def test_a_call_whose_deadline_has_passed_is_never_computed_and_counted(port):
    gate = Gate()
    one = port({"Gate": gate}, threads=1, max_pending=64)
    first = one.call("Gate")()
    wait_for(lambda: gate.count == 1)
    late = [one.call("Gate")(timeout=0.2) for _ in range(6)]
    gone = [one.call("Gate")() for _ in range(6)]
    wait_for(lambda: one.pool.pending == 13)
    for call in gone:
        call.cancel()
    wait_for(lambda: all(call.done() for call in late))
    gate.opened.set()

    assert first.result() == b""
    wait_for(lambda: one.pool.pending == 0)
    assert {code_of(call) for call in late} == {"DEADLINE_EXCEEDED"}
    assert gate.count == 1
    assert one.rejections.counts["EXPIRED"] == 12
    handled = one.tallies["Gate"].handled
    assert handled[grpc.StatusCode.DEADLINE_EXCEEDED] == 6
    assert handled[grpc.StatusCode.CANCELLED] == 6


def test_callers_who_never_send_their_request_keep_no_thread_from_others(port):
    one = port({"Echo": echo, "PredictBatch": echo}, threads=2, request_seconds=1.0)
    names = ["Echo", "PredictBatch"] * 4
    silent = [one.begin(name) for name in names]
    wait_for(lambda: one.port.bodies.slow_count == 8)

    answers = [one.call(name)(b"x", timeout=2).result() for name in names]

    assert answers == [b"x"] * 8
    assert not [call for call in silent if call.done()]
    wait_for(lambda: all(call.done() for call in silent))
    assert {code_of(call) for call in silent} == {"CANCELLED"}
    assert one.port.bodies.cancelled_count == 8
    wait_for(lambda: one.pool.pending == 0 and one.pool.thread_count == 2)


def test_a_bad_hint_is_refused_before_the_request_is_read(port):
    one = port({"Echo": echo})

    error = one.call("Echo", tenant="not a name")(b"x").exception()

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal_of(error)[0] == "BAD_TENANT"


def test_invented_tenants_leave_nothing_behind(port, monkeypatch):
    monkeypatch.setattr(front, "HANDLERS_MAX", 20)
    one = port({"Echo": echo})
    for number in range(60):
        one.call("Echo", tenant=f"tenant-{number}")(b"x").result()

    wait_for(lambda: one.pool.pending_of == {})
    assert one.port.front.handler_count <= 20


def test_an_unknown_method_is_unimplemented_and_takes_no_room(port):
    one = port({"Echo": echo}, max_pending=8)
    codes = {code_of(one.call("Nothing")()) for _ in range(20)}

    assert codes == {"UNIMPLEMENTED"}
    assert one.call("Echo")(b"x").result() == b"x"


def test_a_server_that_stops_while_the_valve_is_shut_comes_to_its_end(port):
    gate = Gate()
    one = port({"Gate": gate}, threads=1, max_pending=4)
    calls = [one.call("Gate")() for _ in range(3)]
    wait_for(lambda: one.port.front.valve.is_shut)

    ended = one.port.grpc.stop(0.5)
    wait_for(lambda: all(call.done() for call in calls))
    gate.opened.set()

    assert ended.wait(5)
    assert {code_of(call) for call in calls} <= ENDS
