"""Whether memory stays where it is: resident size over 100,000 calls, on fresh connections."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.serving import prompts
from bench.serving.floor import KINDS
from bench.serving.lab import Lab
from bench.serving.prompts import SHAPES
from bench.serving.servers import Service

STEPS = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MB of 10^6 bytes, at the start and after every tenth of the calls."""

    idle_mb: float
    calls: tuple[int, ...]
    resident_mb: tuple[float, ...]
    peak_mb: float

    @property
    def growth(self) -> float:
        """How much more it takes after all calls than after the first tenth, as a share."""
        return self.resident_mb[-1] / self.resident_mb[0] - 1.0


def measure(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> Memory:
    """Return the memory of one server, both models asked alternately at (16,5)."""
    each = lab.plan.memory_calls // STEPS // len(KINDS)
    calls, resident = [], []
    with Service([lab.cores.server], papers) as service:
        idle = service.memory_mb()
        contenders = [lab.contender(service, prompts.unary(kind, SHAPES[0])) for kind in KINDS]
        for step in range(1, STEPS + 1):
            for contender in contenders:
                lab.slice(contender, each)
            calls.append(step * each * len(KINDS))
            resident.append(service.memory_mb())
            tick()
        peak = service.memory_mb("VmHWM")
    return Memory(idle, tuple(calls), tuple(resident), peak)
