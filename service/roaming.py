"""Keeps the threads that take turns at the interpreter on one core: the one others need least.

One of them works at a time. Spread over cores they wake each other across them for every hand-over,
and a call costs twice as much (docs/performance.md, Which core). The kernel cannot know of these
turns, so we keep them together, and look where others are. gRPC's own threads need no interpreter:
they go where the kernel puts them, and read and refuse calls while ours answer.
"""

import contextlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from service.background import Repeating
from service.pinning import available_cores, core_of, keep_to

log = logging.getLogger("sonoba")

LOOK_SECONDS = 1.0
WORTH_SHARE = 0.2  # of a core, that others must need less of another one for a move to it
ALIKE_SHARE = 0.05  # cores within this of the least needed one are as good
MOVE_CHANCE = 0.5  # of a move that is worth it: two that keep to one core must not leave together
SHORTEST_SECONDS = 1e-9
TASKS, STATISTICS = Path("/proc/self/task"), Path("/proc/stat")
IDLE = (3, 4)  # idle and iowait among the columns of a core; the first eight are all of its time
COLUMNS = 8


class Look(NamedTuple):
    """What was seen of the cores at one time, in seconds since some start."""

    used: Mapping[int, tuple[float, float]]  # of each core: its time in use, and altogether
    own: Mapping[int, float]  # of each thread that we keep together: its processor time


class Roaming:
    """Chooses a core, and another one when others have come to need it."""

    def __init__(
        self,
        allowed: Callable[[], Iterable[int]],
        look: Callable[[], Look],
        place: Callable[[int], None],
        chance: random.Random,
    ) -> None:
        """Take which cores there are, what is seen of them, and what puts our threads on one."""
        self._allowed, self._see, self._place, self._chance = allowed, look, place, chance
        self._before: Look | None = None
        self.core: int | None = None
        """Where our threads are kept; None before the second look."""

    def look(self) -> None:
        """Move where others need another core less by a fifth; where that cannot be, stay."""
        with contextlib.suppress(OSError):  # no statistics, or not allowed to move
            now, before = self._see(), self._before
            self._before, allowed = now, set(self._allowed())
            if before is not None and allowed <= now.used.keys() & before.used.keys():
                core = self._best(others(before, now, self.core, allowed))
                self._place(core)  # always: threads are born, and may be where their parent was
                if core != self.core:
                    log.debug("keeps to core %d", core, extra={"event": "core"})
                self.core = core

    def _best(self, needed: Mapping[int, float]) -> int:
        """Return one of the least needed cores or, where little is gained or by chance, our own."""
        least, own = min(needed.values()), self.core
        if own is not None and own in needed:
            is_worth = needed[own] - least >= WORTH_SHARE
            if not is_worth or self._chance.random() >= MOVE_CHANCE:
                return own
        return self._chance.choice([one for one in needed if needed[one] - least < ALIKE_SHARE])


def others(before: Look, now: Look, own: int | None, cores: Iterable[int]) -> dict[int, float]:
    """Return of each core the share of its time that others had, where all of ours was on `own`."""
    ours = sum(seconds - before.own.get(thread, 0.0) for thread, seconds in now.own.items())
    found = {}
    for core in cores:
        (used, whole), (used_before, whole_before) = now.used[core], before.used[core]
        foreign = used - used_before - (ours if core == own else 0.0)
        found[core] = max(foreign, 0.0) / max(whole - whole_before, SHORTEST_SECONDS)
    return found


def settle(pin: str, number: int, workers: int) -> None:
    """Keep worker `number` of some to its core, or (auto) to one at a time, or leave it free."""
    core = core_of(pin, number, workers)
    if core is not None:
        keep_to(core)
    elif pin == "auto" and len(available_cores()) > 1:
        roaming = Roaming(available_cores, seen, place, random.Random())
        Repeating(roaming.look, LOOK_SECONDS, "cores", is_first_at_once=True).start()


def seen(statistics: Path = STATISTICS) -> Look:
    """Return what Linux counts of every core and of our threads; `OSError` where it does not."""
    ticks = os.sysconf("SC_CLK_TCK")
    used = {}
    for line in statistics.read_text().splitlines():
        name, *columns = line.split()
        if name.startswith("cpu") and name != "cpu":
            times = [int(column) / ticks for column in columns[:COLUMNS]]
            whole = sum(times)
            used[int(name[3:])] = whole - sum(times[i] for i in IDLE), whole
    return Look(used, {thread: _seconds(thread) for thread in _together()})


def place(core: int) -> None:
    """Put those threads on a core and free all others to where the thread that asks may be.

    A thread that ends meanwhile, or is born, is left for the next time.
    """
    everywhere, kept = os.sched_getaffinity(0), _together()
    for task in TASKS.iterdir():
        thread = int(task.name)
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread, {core} if thread in kept else everywhere)


def _together() -> set[int]:
    """Return the threads that need the interpreter, but for the one that asks: it must see all."""
    found = {one.native_id for one in threading.enumerate() if one.native_id is not None}
    return found - {threading.get_native_id()}


def _seconds(thread: int) -> float:
    """Return the processor time of a thread, 0 of one that has ended.

    The clock is that of `pthread_getcpuclockid(3)`, whose number Linux makes of the thread's.
    """
    try:
        return time.clock_gettime(~thread << 3 | 6)
    except OSError:
        return 0.0
