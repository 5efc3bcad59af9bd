"""The joined sums of a fleet beside those of one monitor that saw everything: how far apart."""

import time
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_subjects import Setting, Subject
from bench.merge.fleet import Case, Fleet, all_seen, run
from bench.merge.process import VERSION
from bench.promises import Gate, at_most
from bench.verdict_versions import artifact_of, manifest_of
from monitoring.evidence import COUNTS, Evidence, packed
from monitoring.limits import Limits
from monitoring.state import State
from service.evaluating import Sources, evaluate
from service.gather import joined

Array = NDArray[np.float64]

ORDERS = 5  # in which the answers of replicas may come
SUMS_MAX, LEVELS_MAX = 1e-12, 1e-9


class Compared(NamedTuple):
    """One case, and what its merge is off by."""

    case: Case
    prompt_count: int  # of the stream
    told_count: int  # of the joined sums
    missing_count: int  # replicas
    is_enough: bool
    count_error: float  # largest difference of any count
    sum_error: float  # of any sum, over the magnitudes that were added up
    order_error: float  # the same between two orders of one merge
    level_error: float  # of bounds and means of the gate, relative
    verdict: str
    single_verdict: str  # of the monitor that saw everything
    merge_seconds: float
    byte_count: int  # of the largest state as it travels

    def gates(self) -> list[Gate]:
        """Return what is promised of every merge."""
        name = f"{self.case.name}, {self.case.shift}"
        is_other = float(self.verdict != self.single_verdict)
        return [
            at_most(f"counts off, {name}", self.count_error, 0.0),
            at_most(f"sums off, {name}", self.sum_error, SUMS_MAX),
            at_most(f"sums off in another order, {name}", self.order_error, SUMS_MAX),
            at_most(f"gate off, {name}", self.level_error, LEVELS_MAX),
            at_most(f"another verdict, {name}", is_other, 0.0),
        ]


def compare(
    setting: Setting, subject: Subject, case: Case, replica_count: int, each: int
) -> Compared:
    """Send one stream through a fleet and through one monitor."""
    fleet = run(setting, subject, case, replica_count, each)
    began = time.perf_counter()
    found = joined(fleet.found, VERSION)
    merge_seconds = time.perf_counter() - began
    single = all_seen(subject, fleet.blocks, np.random.default_rng(0))
    if found.state is None or single is None:
        raise ValueError(f"{case.name}: expected whole blocks, got too few prompts: --each")
    return Compared(
        case,
        fleet.prompt_count,
        found.prompt_count,
        len(found.missing),
        found.is_enough,
        count_error(found.state, single),
        sum_error(found.state, single, fleet.states),
        _order_error(found.state, fleet),
        level_error(found.state, single),
        verdict(subject, found.state),
        verdict(subject, single),
        merge_seconds,
        max(len(one.to_bytes()) for one in fleet.states),
    )


def count_error(one: State, other: State) -> float:
    """Return the largest difference of two counts; infinite where lengths are others."""
    if [part.length for part in one.parts] != [part.length for part in other.parts]:
        return float("inf")
    return max(
        float(np.abs(np.subtract(attrgetter(name)(a), attrgetter(name)(b))).max())
        for a, b in zip(one.parts, other.parts, strict=True)
        for name in (*COUNTS, "rows")
    )


def sum_error(one: State, other: State, added: Sequence[State]) -> float:
    """Return the largest difference of two sums over Σ|x| of the parts that were added up."""
    if [part.length for part in one.parts] != [part.length for part in other.parts]:
        return float("inf")
    magnitudes: dict[float, Array] = {}
    for part in (part for state in added for part in state.parts):
        known = magnitudes.get(part.length, 0.0)
        magnitudes[part.length] = known + np.abs(packed(part))  # (n,)
    return max(map(_error, one.parts, other.parts, (magnitudes[p.length] for p in one.parts)))


def _error(one: Evidence, other: Evidence, magnitude: Array) -> float:
    apart = np.abs(packed(one) - packed(other))  # (n,)
    safe = np.where(magnitude > 0.0, magnitude, 1.0)  # (n,) where nothing was added both are 0
    return float((apart / safe).max())


def _order_error(state: State, fleet: Fleet) -> float:
    """Return how far merges in other orders are from a state."""
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(ORDERS):
        order = rng.permutation(len(fleet.found)).tolist()
        other = joined([fleet.found[place] for place in order], VERSION).state
        assert other is not None  # the same replicas told
        worst = max(worst, sum_error(state, other, fleet.states))
    return worst


def level_error(one: State, other: State) -> float:
    """Return the largest relative difference of the gate's bounds and means."""
    ours, theirs = one.levels(), other.levels()
    if ours.keys() != theirs.keys():
        return float("inf")
    pairs = [
        (np.array([ours[name].gate, ours[name].mean]), np.array([it.gate, it.mean]))
        for name, it in theirs.items()
    ]
    return max(float(np.abs(a / b - 1.0).max()) for a, b in pairs)


def verdict(subject: Subject, state: State) -> str:
    """Return what a re-evaluation makes of a state, with reason and kind of candidate."""
    sources = Sources(60.0, ("127.0.0.1:1",))
    manifest = manifest_of(subject)
    found = evaluate(artifact_of(subject), state, None, Limits(), sources, manifest=manifest)
    kind = "none" if found.candidate is None else found.candidate.kind
    return f"{found.findings.verdict}/{found.findings.reason}, candidate {kind}"
