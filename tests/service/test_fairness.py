"""Who is served when several wait: tenants in turn, large work never with all threads."""

import random
import threading
import time

import pytest

from service.fair_pool import FairPool
from service.room import LOOKS_ALONE, LOOKS_AMONG_SEVERAL, Room
from tests.service.porting import Port, wait_for
from tests.service.test_front import code_of

pytestmark = pytest.mark.slow  # 6 seconds, all together


class Line:
    """A pool of one thread that is held up while its line is filled."""

    def __init__(self, size=1):
        self.pool, self.order = FairPool(size, "line"), []
        self._go = threading.Event()
        for _ in range(size):
            self.pool.submit(self._go.wait)
        wait_for(lambda: self.pool.waiting_count == 0)

    def put(self, tenant, count=1, is_large=False):
        place = self.pool.place(tenant, is_large)
        for _ in range(count):
            place.submit(self.order.append, (tenant, is_large))

    def served(self):
        self._go.set()
        wait_for(lambda: self.pool.pending == 0)
        self.pool.shutdown()
        return self.order


def test_tenants_are_served_in_turn_however_many_calls_each_has():
    line = Line()
    line.put("heavy", 100)
    line.put("light", 2)
    line.put("other", 3)
    order = [tenant for tenant, _ in line.served()]

    assert order[:6] == ["heavy", "light", "other"] * 2
    assert order[6:8] == ["heavy", "other"]
    assert order[8:] == ["heavy"] * 97


def test_small_and_large_work_take_turns_and_each_is_shared_by_tenants():
    line = Line()
    line.put("heavy", 50)
    line.put("heavy", 10, is_large=True)
    line.put("light", 1, is_large=True)
    order = line.served()

    assert order.index(("light", True)) <= 4
    assert len(order) == 61


def test_large_work_never_takes_more_than_two_of_eight_threads():
    pool, lock, running, most = FairPool(8, "lanes"), threading.Lock(), [0], [0]

    def large():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1

    small = threading.Event()
    for _ in range(60):
        pool.place("a", is_large=True).submit(large)
    pool.place("b").submit(small.set)

    assert small.wait(0.1)
    wait_for(lambda: pool.pending == 0)
    pool.shutdown()
    assert most[0] == 2


def test_nothing_is_lost_or_done_twice_among_many_tenants_and_threads():
    pool, done, rng = FairPool(8, "many"), [], random.Random(0)
    lent = 0
    for number in range(20_000):
        tenant, is_large = f"t{rng.randrange(30)}", rng.random() < 0.3
        pool.place(tenant, is_large).submit(done.append, number)
        if number % 1000 == 0:
            pool.lend(is_large=bool(lent % 2))
            lent += 1
    wait_for(lambda: len(done) == 20_000)
    for number in range(lent):
        pool.take_back(is_large=bool(number % 2))
    wait_for(lambda: pool.pending == 0)
    pool.shutdown()

    assert sorted(done) == list(range(20_000))
    assert pool.pending_of == {}
    assert pool.thread_count == 8


def test_a_tenant_below_its_share_finds_a_place_where_another_has_taken_all():
    line = Line()
    room = Room(line.pool, 64)
    for _ in range(room.places - 1):  # one is taken by what holds the line up
        assert room.has_place("heavy")
        line.put("heavy")

    assert not room.has_place("heavy")
    assert room.has_place("light")
    line.put("light", room.places // 3)
    assert not room.has_place("light")
    assert room.has_place("another")
    line.served()


def test_more_is_looked_at_once_there_are_several_tenants_and_nothing_in_a_burst():
    line = Line()
    room = Room(line.pool, 16)
    line.put("heavy", room.places)
    for _ in range(room.max_pending):
        room.ended()
    assert room.free() == 0

    for _ in range(round(1 / LOOKS_ALONE) - 1):
        room.ended()
    assert room.free() == 0
    for _ in range(2):
        room.ended()
    assert room.free() == 1
    room.has_place("heavy")
    assert room.free() == 0
    room.has_place("light")
    room.ended()
    assert room.free() == LOOKS_AMONG_SEVERAL
    line.served()


def test_under_pressure_three_of_eight_threads_work_and_all_once_it_is_over():
    pool, lock, running, most = FairPool(8, "pressed"), threading.Lock(), [0], []
    pool.watch_from = 16

    def work():
        with lock:
            running[0] += 1
            most.append(running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1

    for _ in range(300):
        pool.submit(work)
    wait_for(lambda: len(most) == 300)
    pressed = sorted(most[50:250])[160]  # a rested thread takes a call now and then
    wait_for(lambda: pool.pending == 0)
    most.clear()
    for _ in range(12):
        pool.submit(work)
    wait_for(lambda: pool.pending == 0)
    pool.shutdown()

    assert pressed <= 3
    assert max(most) > 3


@pytest.fixture
def port():
    def work(wire, call):
        time.sleep(0.002)
        return wire

    one = Port({"Work": work}, threads=2, max_pending=256)
    yield one
    one.close()


def test_a_light_tenant_is_answered_soon_and_always_beside_a_heavy_one(port):
    over, answered = threading.Event(), []

    def press():
        send = port.call("Work", "heavy")
        calls = []
        while not over.is_set():
            calls = [call for call in calls if not call.done()]
            calls += [send(timeout=1.0) for _ in range(150 - len(calls))]
            time.sleep(0.01)
        wait_for(lambda: all(call.done() for call in calls))

    heavy = threading.Thread(target=press)
    heavy.start()
    wait_for(lambda: port.pool.pending > 40)
    send = port.call("Work", "light")
    for _ in range(40):
        begun = time.perf_counter()
        answered.append((code_of(send(timeout=1.0)), time.perf_counter() - begun))
        time.sleep(0.005)
    over.set()
    heavy.join()
    seconds = sorted(took for code, took in answered if code == "OK")

    assert len(seconds) >= 38
    assert seconds[len(seconds) // 2] < 0.1  # alone the heavy one's calls wait 0.15 s and longer
