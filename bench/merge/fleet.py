"""One stream of prompts split among replicas, evenly or not, some of them restarted or away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Law, arrive
from bench.drift_subjects import Setting, Subject
from bench.drift_worlds import SHIFTS
from bench.merge.process import OLDER, Process
from model.prompt import Block, Examples
from monitoring.monitor import Monitor
from monitoring.recent import RecentEvidence
from monitoring.seen import Seen
from monitoring.state import State
from service.replicas import Silent, Told
from service.seen import seen

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

CHUNKS = 6  # of the stream; replicas restart between two of them
ANSWERED = 256  # prompts answered at once


@dataclass(frozen=True, slots=True)
class Case:
    """How a stream is split, and what happens to replicas meanwhile, as shares of them."""

    name: str
    shift: str
    is_uneven: bool = False  # the k-th replica has a share of 1/k of the first one's prompts
    restarted: float = 0.0
    silent: float = 0.0
    older: float = 0.0  # still serve the version before


CASES = (
    Case("evenly", "quiet"),
    Case("evenly", "scale_1.5"),
    Case("as 1/k", "noise_4", is_uneven=True),
    Case("as 1/k, some restarted, away, old", "rotation", True, 0.1, 0.1, 0.05),
)


class Fleet(NamedTuple):
    """What replicas tell after a stream, and the prompts that it is about."""

    found: list[Told | Silent]
    blocks: list[list[Seen]]  # of the replicas that count
    prompt_count: int  # of the stream
    states: list[State]  # of the replicas that count


def run(setting: Setting, subject: Subject, case: Case, replica_count: int, each: int) -> Fleet:
    """Send a stream of `each` prompts a replica, on average, through a fleet."""
    rng = np.random.default_rng([replica_count, each, len(case.name), len(case.shift)])
    order = rng.permutation(replica_count)
    restarted, silent, older = _chosen(order, case)
    processes = [
        Process(subject, OLDER) if place in older else Process(subject)
        for place in range(replica_count)
    ]
    weights = np.ones(replica_count)  # (n,)
    if case.is_uneven:
        weights /= 1.0 + np.arange(replica_count)
    for chunk in range(CHUNKS):
        if chunk == CHUNKS // 2:
            for place in restarted:
                processes[place].restart()
        _send(setting, subject, case, processes, (weights, each * replica_count // CHUNKS), rng)
    return _looked(processes, silent, older)


def _chosen(order: Places, case: Case) -> tuple[set[int], set[int], set[int]]:
    """Return who restarts, who is silent and who is older: disjoint."""
    shares = np.cumsum([case.restarted, case.silent, case.older]) * len(order)
    cuts = np.split(order, np.round(shares).astype(int))
    restarted, silent, older = (set(one.tolist()) for one in cuts[:3])
    return restarted, silent, older


def _send(
    setting: Setting,
    subject: Subject,
    case: Case,
    processes: list[Process],
    share: tuple[Floats, int],
    rng: np.random.Generator,
) -> None:
    """Draw a chunk of the stream and give each prompt to a replica."""
    weights, count = share
    for batch in _answered(setting, subject, case.shift, count, rng):
        size = len(batch.served.gram)
        to = rng.choice(len(processes), size=size, p=weights / weights.sum())  # (n,)
        for place in np.unique(to).tolist():
            processes[place].take(batch.take(np.flatnonzero(to == place)))


def _answered(
    setting: Setting, subject: Subject, shift: str, count: int, rng: np.random.Generator
) -> Iterator[Seen]:
    """Yield prompts that the model answered, as monitors take them."""
    came = arrive(Law(setting.world, SHIFTS[shift]), count, setting.lengths, rng)
    for _, prompts in came.parts:
        for start in range(0, len(prompts.x), ANSWERED):
            x, y, queries, _ = (part[start : start + ANSWERED] for part in prompts)
            looked = seen(subject.model, Block(Examples(x, y), queries))
            assert looked is not None  # rows can be looked at
            yield looked


def _looked(processes: list[Process], silent: set[int], older: set[int]) -> Fleet:
    """Ask every replica that answers."""
    found: list[Told | Silent] = []
    blocks: list[list[Seen]] = []
    states: list[State] = []
    for place, process in enumerate(processes):
        address = f"replica-{place}:50052"
        if place in silent:
            found.append(Silent(address, "no answer within 2 s"))
            continue
        told = process.told(address)
        found.append(told)
        if place not in older:
            blocks += process.blocks
            states += [] if told.state is None else [told.state]
    return Fleet(found, blocks, sum(one.seen_count for one in processes), states)


class _Unforgetting(RecentEvidence):
    """Keeps every block: a process's ring has room for 1,500 prompts."""

    def _forget(self, sizes: object) -> None:
        """Let nothing go."""


def all_seen(subject: Subject, blocks: list[list[Seen]], rng: np.random.Generator) -> State | None:
    """Return the sums of one monitor that saw all these prompts, in an order of its own."""
    monitor = Monitor(subject.kind, "", subject.kind, subject.reference)
    assert monitor.watch is not None  # the reference is given
    monitor.watch.recent = _Unforgetting(subject.reference)
    pieces = [piece for block in blocks for piece in block]
    for place in rng.permutation(len(pieces)).tolist():
        monitor.observe(pieces[place])
    return monitor.state()
