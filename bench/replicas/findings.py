"""What trials have shown, added up over repetitions, and what is promised of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from rich.table import Table

from bench.promises import Gate, at_least, at_most
from bench.replicas.sessions import PATIENT_SECONDS, Plan
from bench.replicas.trials import (
    ADDED,
    KILLED,
    PAUSED,
    REPLACED,
    RESTARTED,
    SHARED,
    SPREAD,
    TAKEN,
    Row,
)
from bench.replicas.ways import CLIENT, CONFIG, FIRST, ROBIN
from bench.tables import titled
from service.settings import Settings

RESOLVED_SECONDS = 30.0  # gRPC looks a name up no sooner than that after the time before
LATE_SECONDS = 10.0  # Envoy looks every 5 s, and asks a new server's health a second later


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in all repetitions of one trial; the worst of each."""

    trial: str
    way: str
    repetitions: int
    answered: int
    least_answered: int  # of one repetition
    failed: int
    codes: dict[str, int]
    slowest_ms: float
    shares: tuple[float, float] | None  # least and greatest
    seconds: float | None  # None: in some repetition the new replica never had its share
    least: int | None

    @classmethod
    def of(cls, rows: list[Row]) -> Self:
        """Add the repetitions up."""
        shares = [row.share for row in rows if row.share is not None]
        seconds = [row.seconds for row in rows]
        leasts = [row.least for row in rows if row.least is not None]
        return cls(
            *(rows[0].trial, rows[0].way, len(rows)),
            *(sum(row.answered for row in rows), min(row.answered for row in rows)),
            sum(row.failed for row in rows),
            dict(sum((Counter(row.codes) for row in rows), Counter[str]())),
            max(row.slowest_ms for row in rows),
            (min(shares), max(shares)) if shares else None,
            None if None in seconds else max(one for one in seconds if one is not None),
            min(leasts, default=None),
        )


def findings(rows: Iterable[Row]) -> list[Finding]:
    """Return one finding a trial and way, in the order in which they first came."""
    order = list(dict.fromkeys((row.trial, row.way) for row in rows))
    ordered = sorted(rows, key=lambda row: order.index((row.trial, row.way)))
    return [
        Finding.of(list(group))
        for _, group in groupby(ordered, key=lambda row: (row.trial, row.way))
    ]


def table(found: Iterable[Finding]) -> Table:
    """Return findings as a person reads them."""
    columns = "times", "answered", "failed", "slowest, ms", "share of the second", "found after, s"
    shown = titled("Two replicas", "what happens", "caller", *columns)
    for one in found:
        codes = ", ".join(f"{count} {code}" for code, count in one.codes.items())
        shares = f"{one.shares[0]:.1%} - {one.shares[1]:.1%}" if one.shares else ""
        late = "" if not one.trial.startswith("one added") else "never"
        shown.add_row(
            *(one.trial, one.way, str(one.repetitions), f"{one.answered:,}", codes or "0"),
            *(f"{one.slowest_ms:.0f}", shares),
            late if one.seconds is None else f"{one.seconds:.0f}",
        )
    return shown


def gates(found: Iterable[Finding], plan: Plan) -> list[Gate]:
    """Return what is promised, and that what must go wrong does: else a trial tells nothing."""
    return [gate for one in found for gate in _gates(one, plan)]


def _gates(one: Finding, plan: Plan) -> list[Gate]:
    name = f"{one.trial}: {one.way}"
    if control := _control(one, plan, name):
        return control
    promised = [at_most(f"{name}: failed", one.failed, 0)]
    if one.trial in (RESTARTED, *(REPLACED.format(s) for s in _paces(plan))):
        promised.append(at_least(f"{name}: answered", one.least_answered, plan.calls))
        promised.append(at_least(f"{name}: by each process", one.least or 0, 1))
    if one.shares:
        promised.append(at_least(f"{name}: least share", one.shares[0], SHARED[0]))
        promised.append(at_most(f"{name}: greatest share", one.shares[1], SHARED[1]))
    if one.trial == ADDED.format(plan.age_seconds):
        late = LATE_SECONDS + (plan.age_seconds if one.way == CLIENT.told else 0.0)
        late += RESOLVED_SECONDS + plan.age_seconds if one.way == CONFIG.told else 0.0
        promised.append(at_most(f"{name}: found after, s", one.seconds or 1e9, late))
    return promised if one.trial in _promised(plan) else []


def _control(one: Finding, plan: Plan, name: str) -> list[Gate]:
    """Return the gates of what must go wrong; none where nothing must."""
    hasty = REPLACED.format(plan.ready_seconds), CONFIG.told
    if (one.trial, one.way) in (hasty, (KILLED, ROBIN.told)):
        return [at_least(f"{name}: failed (must)", one.failed, 1)]
    unfound = ADDED.format(Settings().max_connection_age_seconds)
    if one.shares and (one.way == FIRST.told or one.trial == unfound):
        unequal = max(min(share, 1 - share) for share in one.shares)
        return [at_most(f"{name}: share of the idler (must)", unequal, SHARED[0])]
    return []


def _paces(plan: Plan) -> tuple[float, float]:
    return plan.ready_seconds, PATIENT_SECONDS


def _promised(plan: Plan) -> set[str]:
    replaced = (REPLACED.format(seconds) for seconds in _paces(plan))
    paused = PAUSED.format(plan.paused_seconds)
    return {SPREAD, RESTARTED, KILLED, paused, TAKEN, *replaced, ADDED.format(plan.age_seconds)}
