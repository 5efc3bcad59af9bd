"""Whether memory stays where it is: resident size of one server process over many calls."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_most
from bench.serving import prompts
from bench.serving.lab import Contender, Lab, Plan
from bench.serving.part import Part, Tick
from bench.serving.profiles import alone
from bench.serving.prompts import KINDS, SHAPES
from bench.serving.servers import Models, Service
from bench.tables import titled

STEPS = 10
PROFILE_GATE_MB, GROWTH_GATE = 80.0, 0.05
CALM_SECONDS = 2.5  # after the last call; by then freed memory was given back (service/allocator)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MB of 10^6 bytes, at the start and after every tenth of the calls."""

    asked: str
    is_profile: bool  # and nothing else beside the shipped model
    idle_mb: float
    calls: tuple[int, ...]
    resident_mb: tuple[float, ...]
    peak_mb: float
    calm_mb: float
    """Some time after the last call."""

    @property
    def growth(self) -> float:
        """How much more it takes after all calls than after the first tenth, as a share."""
        return self.resident_mb[-1] / self.resident_mb[0] - 1.0


def measure(lab: Lab, models: Models, tick: Tick) -> list[Memory]:
    """Return the memory of a server of all models, and of one that serves a profile alone."""
    rows = []
    with Service([lab.cores.server], models) as service:
        asked = [lab.contender(service, prompts.unary(kind, SHAPES[0])) for kind in KINDS]
        name = f"every kind of model in turn at {SHAPES[0]}"
        rows.append(_row(lab, name, service, asked, tick))
    for shape in lab.plan.profile_shapes:
        with Service([lab.cores.server], alone(models, shape, lab.folder)) as service:
            asked = [lab.contender(service, prompts.unary("profile", shape))]
            rows.append(_row(lab, f"a profile, {shape}", service, asked, tick))
    return rows


def _row(lab: Lab, name: str, service: Service, asked: list[Contender], tick: Tick) -> Memory:
    is_profile = len(asked) == 1
    total = lab.plan.profile_calls if is_profile else lab.plan.memory_calls
    each = total // STEPS // len(asked)
    calls, resident = [], []
    idle = service.memory_mb()
    for step in range(1, STEPS + 1):
        for contender in asked:
            lab.slice(contender, each)
        calls.append(step * each * len(asked))
        resident.append(service.memory_mb())
        tick()
    peak = service.memory_mb("VmHWM")
    time.sleep(CALM_SECONDS)
    calm = service.memory_mb()
    return Memory(name, is_profile, idle, tuple(calls), tuple(resident), peak, calm)


def tables(rows: list[Memory]) -> Iterator[Table]:
    """Show how memory went."""
    columns = ("asked, 64 in flight", "idle", "a tenth", "all calls", "peak", "then", "calls")
    table = titled("Resident memory of one process, MB", *columns)
    for row in rows:
        sizes = (row.idle_mb, row.resident_mb[0], row.resident_mb[-1], row.peak_mb, row.calm_mb)
        table.add_row(row.asked, *(f"{size:.1f}" for size in sizes), f"{row.calls[-1]:,}")
    yield table


def gates(rows: list[Memory]) -> Iterator[Gate]:
    """Promise the size of a process that serves a profile, and that it stays."""
    for row in rows:
        if row.is_profile:
            name = f"MB resident, {row.asked}, before and after {row.calls[-1]:,} calls"
            yield at_most(name, max(row.idle_mb, row.calm_mb), PROFILE_GATE_MB)
        else:
            name = f"growth of memory from {row.calls[0]:,} to {row.calls[-1]:,} calls"
            yield at_most(name, row.growth, GROWTH_GATE)


def _steps(plan: Plan) -> int:
    return STEPS * (1 + len(plan.profile_shapes))


PART = Part("memory", "memory", _steps, measure, tables, gates)
