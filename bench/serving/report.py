"""Everything measured in one run: the promises it is held to, and its form as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from bench.promises import Gate, at_least, at_most, plain
from bench.serving.answers import Answering
from bench.serving.batch import Batch
from bench.serving.floor import Floor
from bench.serving.kinds import Kind
from bench.serving.memory import Memory
from bench.serving.prompts import BATCH_PROMPTS, PROFILE_SHAPE, SHAPES
from bench.serving.start import Latency
from bench.serving.watching import Watching
from bench.spread import Spread

FLOOR_GATES = dict(zip(SHAPES, (0.70, 0.70, 0.60), strict=True))
BATCH_GATE = 40.0
WATCHING_GATE = 0.90
MEMORY_GATE_MB = 90.0
GROWTH_GATE = 0.05
START_GATE_SECONDS = 2.0
PROFILE_GATE_US = 80.0


@dataclass(slots=True)
class Report:
    """The results of one run."""

    machine: dict[str, object]
    quick: bool
    generator: str
    pinned: bool
    sent: int = 0
    answered_ok: int = 0
    floor: list[Floor] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    batch: list[Batch] = field(default_factory=list)
    watching: list[Watching] = field(default_factory=list)
    memory: Memory | None = None
    start_seconds: Spread | None = None
    latency: list[Latency] = field(default_factory=list)
    answers: list[Answering] = field(default_factory=list)

    def gates(self) -> list[Gate]:
        """Return every promise of this run."""
        gates = [*self._ratios()]
        if self.memory is not None:
            calls = self.memory.calls[-1]
            resident, growth = self.memory.resident_mb[-1], self.memory.growth
            gates.append(at_most(f"MB resident after {calls} calls", resident, MEMORY_GATE_MB))
            name = f"growth from {self.memory.calls[0]} to {calls} calls"
            gates.append(at_most(name, growth, GROWTH_GATE))
        if self.start_seconds is not None:
            seconds = self.start_seconds.median
            gates.append(at_most("seconds to the first right answer", seconds, START_GATE_SECONDS))
        for alone in self.answers:
            if (alone.name, alone.shape, alone.prompt_count) == ("profile", PROFILE_SHAPE, 1):
                name = f"µs of a `profile` prediction at {PROFILE_SHAPE}, beside the call"
                gates.append(at_most(name, alone.prompt_us.median, PROFILE_GATE_US))
        gates.append(at_most("calls not answered OK", self.sent - self.answered_ok, 0))
        return gates

    def _ratios(self) -> Iterator[Gate]:
        """Yield the promises about one contender beside another."""
        for row in self.floor:
            if row.model == "paper":  # `foundation` has a table, and no bound yet
                name = f"{row.model} {row.shape} ÷ echo"
                yield at_least(name, row.decisive, FLOOR_GATES[row.shape])
        for many in self.batch:
            if many.shape == SHAPES[0]:
                name = f"{many.model} {many.shape}, batch of {BATCH_PROMPTS} ÷ one by one"
                yield at_least(name, many.gain.median, BATCH_GATE)
        for watched in self.watching:
            name = f"{watched.model} {watched.shape} {watched.form}, watched ÷ not"
            yield at_least(name, watched.decisive, WATCHING_GATE)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain objects; a spread becomes median, low, high."""
        entries: dict[str, object] = {f.name: plain(getattr(self, f.name)) for f in fields(self)}
        return {**entries, "gates": plain(self.gates())}
