"""A process keeps to one core at a time, and leaves it where others need it more than another."""

import os
import random
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterable

import pytest

from service.roaming import Look, Roaming, others, seen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cores are Linux's to give")

TEXT = """cpu  900 0 100 3000 0 0 0 0 0 0
cpu0 100 20 30 800 50 3 2 1 0 0
cpu11 200 0 0 800 0 0 0 0 7 0
intr 14 0 1
"""


class Machine:
    """Cores of which others need shares, and a process on one of them: seconds pass."""

    def __init__(self, needed: dict[int, float], own: float = 0.0) -> None:
        self.needed, self.own, self.allowed = needed, own, set(needed)
        self.used = {core: 0.0 for core in needed}
        self.own_seconds = self.now = 0.0
        self.moves: list[int] = []
        self.placed = 0
        self.roaming = self.roamer(random.Random(0))

    def roamer(self, chance: random.Random) -> Roaming:
        return Roaming(self._cores, self._look, self._place, chance)

    def _place(self, core: int) -> None:
        self.placed += 1
        if core not in self.moves[-1:]:
            self.moves.append(core)

    def _cores(self) -> Iterable[int]:
        return self.allowed

    def _look(self) -> Look:
        return Look(
            {core: (used, self.now) for core, used in self.used.items()}, {7: self.own_seconds}
        )

    def pass_seconds(self, count: int) -> None:
        """Let seconds pass, with a look before each and after the last."""
        self.roaming.look()
        for _ in range(count):
            self.now += 1.0
            self.own_seconds += self.own
            for core, share in self.needed.items():
                mine = self.own if core == self.roaming.core else 0.0
                self.used[core] += min(share + mine, 1.0)
            self.roaming.look()


def test_it_takes_the_core_that_others_need_least():
    machine = Machine({0: 0.9, 1: 0.5, 2: 0.0, 3: 0.7})

    machine.pass_seconds(20)

    assert machine.moves == [2]
    assert machine.placed == 20


def test_its_own_work_does_not_drive_it_away():
    machine = Machine({0: 0.1, 1: 0.1}, own=0.9)

    machine.pass_seconds(20)

    assert len(machine.moves) == 1


def test_it_leaves_where_others_come_and_stays_where_the_gain_is_small():
    machine = Machine({0: 0.0, 1: 0.0}, own=0.5)
    machine.pass_seconds(2)
    first = machine.roaming.core
    assert first is not None

    machine.needed[first] = 0.15
    machine.pass_seconds(20)
    stayed = list(machine.moves)
    machine.needed[first] = 0.5
    machine.pass_seconds(20)

    assert stayed == [first]
    assert machine.moves == [first, 1 - first]


def test_two_on_one_core_part():
    for seed in range(20):
        first, second = (Machine({0: 0.0, 1: 0.0}, own=0.5) for _ in range(2))
        pair = first, second
        for number, machine in enumerate(pair):
            machine.roaming = machine.roamer(random.Random(2 * seed + number))
        for _ in range(30):
            for machine, other in (pair, pair[::-1]):
                machine.needed = {core: 0.5 * (core == other.roaming.core) for core in (0, 1)}
            for machine in pair:
                machine.pass_seconds(1)

        assert first.roaming.core != second.roaming.core


def test_a_core_that_is_no_longer_allowed_is_left():
    machine = Machine({0: 0.0, 1: 0.0, 2: 0.0})
    machine.pass_seconds(2)
    before = machine.roaming.core

    machine.allowed -= {before}
    machine.pass_seconds(2)

    assert machine.roaming.core in machine.allowed
    assert len(machine.moves) == 2


def test_statistics_of_other_cores_than_ours_are_not_believed():
    machine = Machine({0: 0.0, 1: 0.0})
    machine.allowed = {0, 1, 7}

    machine.pass_seconds(5)

    assert machine.moves == []


def test_where_nothing_is_told_or_allowed_it_stays():
    def refuse(*_: object) -> Look:
        raise PermissionError

    machine = Machine({0: 0.0, 1: 0.0})
    machine._look = refuse
    blind = machine.roamer(random.Random(0))
    bound = Machine({0: 0.0, 1: 0.0})
    bound._place = refuse
    bound.roaming = bound.roamer(random.Random(0))
    blind.look()
    blind.look()
    bound.pass_seconds(3)

    assert machine.moves == bound.moves == []
    assert blind.core is bound.roaming.core is None


def test_what_linux_counts_is_read(tmp_path):
    path = tmp_path / "stat"
    path.write_text(TEXT)
    ticks = os.sysconf("SC_CLK_TCK")

    look = seen(path)

    assert set(look.used) == {0, 11}
    assert look.used[0] == pytest.approx((156 / ticks, 1006 / ticks))
    assert look.used[11] == pytest.approx((200 / ticks, 1000 / ticks))


def test_the_share_of_others_is_what_is_left_after_our_own():
    before = Look({0: (10.0, 100.0), 1: (20.0, 100.0)}, {5: 4.0, 6: 3.0})
    now = Look({0: (11.5, 102.0), 1: (21.0, 102.0)}, {5: 4.5, 8: 0.5})

    assert others(before, now, 0, [0, 1]) == pytest.approx({0: 0.25, 1: 0.5})
    assert others(before, now, None, [0]) == pytest.approx({0: 0.75})


WORKING = """
import threading, time
from service.roaming import seen
def work():
    while time.thread_time() < 0.2: pass
    told[threading.get_native_id()] = time.thread_time(); end.wait()
told, end = {}, threading.Event()
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads: thread.start()
while len(told) < 3: time.sleep(0.01)
print([told, dict(seen().own)])
"""


def test_the_time_of_every_thread_but_the_one_that_looks_is_seen():
    told, own = literal_eval(output(WORKING))

    assert len(told) == 3
    assert own == pytest.approx(told, abs=0.05)


PLACING = """
import os, threading
import grpc
from service.roaming import place
server = grpc.server(ThreadPoolExecutor(2)); server.add_insecure_port("127.0.0.1:0"); server.start()
ended = threading.Event()
threads = [threading.Thread(target=ended.wait, daemon=True) for _ in range(5)]
for thread in threads: thread.start()
before, core = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
placer = threading.Thread(target=place, args=(core,)); placer.start(); placer.join()
late = threading.Thread(target=ended.wait, daemon=True); late.start()
ours = {one.native_id for one in threading.enumerate()}
where = {int(task): os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")}
assert late.native_id in ours and len(ours) > 7
print([where[one] == {core} for one in ours].count(False))
print(len(where) > len(ours), [where[one] == before for one in where.keys() - ours].count(False))
server.stop(0)
"""


def test_threads_of_python_go_to_one_core_with_their_children_and_those_of_grpc_stay_free():
    assert output("from concurrent.futures import ThreadPoolExecutor" + PLACING) == "0\nTrue 0\n"


def output(script):
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout
