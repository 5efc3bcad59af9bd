"""What is done to replicas while callers of several ways call, and what each way has noticed."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.replicas.fleet import Fleet
from bench.replicas.load import Load, wait
from bench.replicas.replica import Replica
from bench.replicas.ways import Way, calling

SPREAD, RESTARTED = "two replicas", "both restarted, same addresses"
PAUSED = "one killed, the other pauses for {:g} s"
REPLACED, KILLED, FROZEN = "both replaced, {:g} s apart", "one killed", "one hangs for {:g} s"
ADDED, TAKEN = "one added, connections end after {:g} s", "one taken away"
SHARED = 0.4, 0.6  # what one of two replicas gets where the load is shared
WARM_CALLS = 100
SETTLED_SECONDS = 2.0  # a check of health a second: the next death is not a second one of the first
FOUND_SECONDS = 60.0  # a caller that looks names up every 30 s has found a new address


@dataclass(frozen=True, slots=True)
class Row:
    """What one way has noticed of one trial."""

    trial: str
    way: str
    answered: int
    failed: int
    codes: Mapping[str, int] = field(default_factory=dict)
    slowest_ms: float = 0.0
    share: float | None = None  # of the second replica, or of the new one
    seconds: float | None = None  # until the new one had its share; None: it never had
    least: int | None = None  # calls that the least asked process has answered
    said: str = ""  # by the first call that failed


Loads = Mapping[Way, Load]


def spread(fleet: Fleet, ways: Sequence[Way], calls: int) -> list[Row]:
    """Call; nothing else happens."""
    with calling(fleet, *ways) as loads:
        shares = _shares(fleet, loads, calls)
    return [_row(SPREAD, way, load, share=shares[way]) for way, load in loads.items()]


def restarted(fleet: Fleet, ways: Sequence[Way], calls: int) -> list[Row]:
    """Restart each replica where it is, one after the other."""
    served = []
    with calling(fleet, *ways) as loads:
        _wait_all(loads, WARM_CALLS)
        for replica in fleet.replicas:
            served.append(replica.served())
            if status := replica.stop():
                raise RuntimeError(f"expected a replica to end with 0, got {status}")
            replica.start()
            wait(partial(_is_asked, replica, ways))
        _reach(loads, calls)
        served += fleet.served()
    least = {way: min(one[way.name] for one in served) for way in ways}
    return [_row(RESTARTED, way, load, least=least[way]) for way, load in loads.items()]


def replaced(fleet: Fleet, ways: Sequence[Way], calls: int, ready_seconds: float) -> list[Row]:
    """Put a replica at a new address in place of each, as a Deployment does (maxSurge 1)."""
    ending, served, trial = [], [], REPLACED.format(ready_seconds)
    with calling(fleet, *ways) as loads:
        _wait_all(loads, WARM_CALLS)
        for old in list(fleet.replicas):
            fleet.start()
            fleet.tell()
            time.sleep(ready_seconds)
            served.append(old.served())
            fleet.take_out(old)
            ending.append(threading.Thread(target=old.stop))
            ending[-1].start()  # the next one starts meanwhile
        for thread in ending:
            thread.join()
        _reach(loads, calls)
        for new in fleet.replicas:
            wait(partial(_is_asked, new, ways), FOUND_SECONDS)
        served += fleet.served()
    least = {way: min(one[way.name] for one in served) for way in ways}
    return [_row(trial, way, load, least=least[way]) for way, load in loads.items()]


def killed(fleet: Fleet, ways: Sequence[Way], times: int) -> list[Row]:
    """Kill a replica with SIGKILL, start it again, and so on with the other."""
    with calling(fleet, *ways, callers=6, pause=0.005) as loads:
        for number in range(times):
            time.sleep(SETTLED_SECONDS if number else 0.0)
            victim = fleet.replicas[number % len(fleet.replicas)]
            _wait_all(loads, WARM_CALLS)
            victim.kill()
            _wait_all(loads, WARM_CALLS)
            victim.start()
            wait(partial(_is_asked, victim, ways))
    return [_row(KILLED, way, load) for way, load in loads.items()]


def paused(fleet: Fleet, ways: Sequence[Way], times: int, seconds: float) -> list[Row]:
    """Kill a replica while the other is as slow as a machine that has too much to do."""
    with calling(fleet, *ways, callers=6, pause=0.005) as loads:
        for number in range(times):
            time.sleep(SETTLED_SECONDS if number else 0.0)
            victim, other = fleet.replicas
            _wait_all(loads, WARM_CALLS)
            with other.frozen():
                victim.kill()
                time.sleep(seconds)
            _wait_all(loads, WARM_CALLS)
            time.sleep(SETTLED_SECONDS)
            victim.start()
            wait(partial(_is_asked, victim, ways))
    return [_row(PAUSED.format(seconds), way, load) for way, load in loads.items()]


def frozen(fleet: Fleet, ways: Sequence[Way], seconds: float) -> list[Row]:
    """Let a replica hang: its connections stand, and nothing is answered."""
    with calling(fleet, *ways) as loads:
        _wait_all(loads, WARM_CALLS)
        with fleet.replicas[-1].frozen():
            time.sleep(seconds)
        _wait_all(loads, WARM_CALLS)
    return [_row(FROZEN.format(seconds), way, load) for way, load in loads.items()]


def scaled_out(
    fleet: Fleet, ways: Sequence[Way], calls: int, age_seconds: float, limit_seconds: float
) -> list[Row]:
    """Add a replica to one, and wait for its share of each way's calls."""
    trial = ADDED.format(age_seconds)
    with calling(fleet, *ways) as loads:
        _wait_all(loads, WARM_CALLS)
        fleet.start()
        fleet.tell()
        seconds = _until_shared(fleet, ways, limit_seconds)
        shares = _shares(fleet, loads, calls)
    return [
        _row(trial, way, load, share=shares[way], seconds=seconds.get(way))
        for way, load in loads.items()
    ]


def scaled_in(fleet: Fleet, ways: Sequence[Way], calls: int) -> list[Row]:
    """Take the last replica away for good."""
    with calling(fleet, *ways) as loads:
        _wait_all(loads, WARM_CALLS)
        leaving = fleet.replicas[-1]
        least = leaving.served()
        fleet.take_out(leaving)
        leaving.stop()
        _reach(loads, calls)
    return [_row(TAKEN, way, load, least=least[way.name]) for way, load in loads.items()]


def _until_shared(fleet: Fleet, ways: Sequence[Way], limit_seconds: float) -> dict[Way, float]:
    """Return after how long the last replica of all had its share of a second's calls."""
    begun, found = time.monotonic(), dict[Way, float]()
    before = fleet.served()
    while len(found) < len(ways) and time.monotonic() - begun < limit_seconds:
        time.sleep(1.0)
        after = fleet.served()
        for way in set(ways) - set(found):
            calls = [b[way.name] - a[way.name] for a, b in zip(before, after, strict=True)]
            if SHARED[0] <= calls[-1] / max(sum(calls), 1) <= SHARED[1]:
                found[way] = time.monotonic() - begun
        before = after
    return found


def _shares(fleet: Fleet, loads: Loads, calls: int) -> dict[Way, float]:
    """Return the last replica's share of the next calls of every way."""
    before = fleet.served()
    _wait_all(loads, calls)
    after = fleet.served()
    found = {}
    for way in loads:
        counts = [b[way.name] - a[way.name] for a, b in zip(before, after, strict=True)]
        found[way] = counts[-1] / sum(counts)
    return found


def _is_asked(replica: Replica, ways: Sequence[Way]) -> bool:
    """Return whether a replica has answered calls of every way."""
    served = replica.served()
    return all(served[way.name] for way in ways)


def _wait_all(loads: Loads, count: int) -> None:
    """Wait until each way has had so many more answers."""
    wanted = [(load, load.answered + count) for load in loads.values()]
    for load, answered in wanted:
        load.wait_for(answered - load.answered)


def _reach(loads: Loads, calls: int) -> None:
    """Wait until each way has had so many answers in all."""
    for load in loads.values():
        load.wait_for(calls - load.answered)


def _row(
    trial: str,
    way: Way,
    load: Load,
    *,
    share: float | None = None,
    seconds: float | None = None,
    least: int | None = None,
) -> Row:
    failed, slowest_ms = len(load.failures), load.slowest_seconds * 1e3
    counted = trial, way.told, load.answered, failed, load.codes(), slowest_ms
    said = load.failures[0] if load.failures else ""
    return Row(*counted, share, seconds, least, said)
