"""Requests are asked for before a thread has their calls, where grpcio is as expected."""

import threading
import time

import grpc
import pytest

from service import arrivals, bodies
from service.arrivals import AHEAD, Arrivals, Known
from service.bodies import Bodies
from tests.service.porting import SERVICE, wait_for

pytestmark = pytest.mark.slow  # 6 seconds, all together


def echo(wire, call):
    return wire


def test_this_grpcio_is_as_expected():
    assert Known.find() is not None


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("_server", "_receive_message"),
        ("_server", "_unary_response_in_pool"),
        ("_server", "_RPCState"),
        ("_cython.cygrpc", "ReceiveMessageOperation"),
    ],
)
def test_with_another_grpcio_threads_read_requests(port, monkeypatch, where, name):
    monkeypatch.delattr(f"grpc.{where}.{name}")
    assert Known.find() is None
    monkeypatch.undo()
    monkeypatch.setattr(Known, "find", classmethod(lambda cls: None))
    one = port({"Echo": echo})

    assert isinstance(one.port.bodies, Bodies)
    assert [one.call("Echo")(b"x" * n).result() for n in (0, 1, 10**6)] == [
        b"x" * n for n in (0, 1, 10**6)
    ]


def test_every_call_gets_its_own_answer_whatever_waits(port):
    one = port({"Echo": echo}, threads=2, max_pending=1024)
    calls = [(n, one.call("Echo")(str(n).encode() * (n % 7 + 1))) for n in range(400)]

    assert isinstance(one.port.bodies, Arrivals)
    for number, call in calls:
        assert call.result() == str(number).encode() * (number % 7 + 1)
    wait_for(lambda: one.pool.pending == 0)
    assert one.tallies["Echo"].labels[2] == "Echo"


@pytest.mark.usefixtures("unhurried")
def test_of_calls_that_wait_few_requests_are_in_memory(port, monkeypatch):
    begun, opened = [], threading.Event()
    begin = arrivals._Coming.begin
    monkeypatch.setattr(arrivals._Coming, "begin", lambda self: begun.append(self) or begin(self))

    def gate(wire, call):
        opened.wait(20)
        return wire

    one = port({"Gate": gate}, threads=2, max_pending=256)
    calls = [one.call("Gate")(b"x") for _ in range(40)]
    wait_for(lambda: one.pool.pending == 40)
    time.sleep(0.1)
    before = len(begun)
    opened.set()

    assert before == 2 + AHEAD
    assert {call.result() for call in calls} == {b"x"}
    assert len(begun) == 40


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("is_first", [True, False], ids=["asked early", "asked late"])
def test_a_call_without_a_request_is_told_so(port, is_first):
    opened = threading.Event()

    def gate(wire, call):
        opened.wait(20)
        return wire

    one = port({"Gate": gate}, threads=1, max_pending=256)
    before = [] if is_first else [one.call("Gate")(b"x") for _ in range(20)]
    method = one.channel.stream_unary(f"/{SERVICE}/Gate")
    call = method.future(iter(()), timeout=20)
    if not is_first:
        wait_for(lambda: one.pool.pending == 21)
    opened.set()

    assert call.exception().code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected one request, got none" in call.exception().details()
    assert all(other.result() == b"x" for other in before)


@pytest.mark.usefixtures("unhurried")
def test_callers_who_leave_before_they_are_asked_end_nothing_else(port):
    opened = threading.Event()

    def gate(wire, call):
        opened.wait(20)
        return wire

    one = port({"Gate": gate}, threads=1, max_pending=256)
    calls = [one.call("Gate")(b"x") for _ in range(40)]
    wait_for(lambda: one.pool.pending == 40)
    for call in calls[1::2]:
        call.cancel()
    time.sleep(0.3)
    opened.set()

    assert [call.result() for call in calls[::2]] == [b"x"] * 20
    wait_for(lambda: one.pool.pending == 0)
    assert 15 <= one.rejections.counts["EXPIRED"] <= 20  # the news of some may come too late
    assert one.call("Gate")(b"y").result() == b"y"


def test_slow_requests_make_room_soon_while_others_wait_and_are_ended_no_sooner(port, monkeypatch):
    for module in (arrivals, bodies):  # of a server where nobody waits
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
    one = port({"Echo": echo}, threads=2, max_pending=256)
    reader, at_once = one.port.bodies, 2 + AHEAD
    reader._slow_max = 4
    silent = [one.begin("Echo") for _ in range(3 * at_once)]
    wait_for(lambda: reader.slow_count > at_once)  # how many at a look depends on the machine

    assert one.call("Echo")(b"x", timeout=10).result() == b"x"
    assert reader.slow_count > 2 * at_once
    assert reader.cancelled_count == 0
    assert not [call for call in silent if call.done()]


def test_where_threads_read_requests_slow_ones_make_room_and_are_ended_no_sooner(port, monkeypatch):
    monkeypatch.setattr(Known, "find", classmethod(lambda cls: None))
    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 30.0)  # of a server where nobody waits
    one = port({"Echo": echo}, threads=2, max_pending=256)
    one.port.bodies._slow_max = 4
    silent = [one.begin("Echo") for _ in range(12)]

    assert one.call("Echo")(b"x", timeout=10).result() == b"x"
    assert one.port.bodies.slow_count > 8
    assert one.port.bodies.cancelled_count == 0
    assert not [call for call in silent if call.done()]
