"""One part of the bench: what it measures, how that is shown and what it is held to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rich.table import Table

from bench.promises import Gate, plain
from bench.serving.lab import Lab, Plan
from bench.serving.servers import Models

Rows = TypeVar("Rows")
Tick = Callable[[], None]
SPREAD = "median (low-high)"


@dataclass(frozen=True, slots=True)
class Found:
    """What a part has measured, as plain objects, tables and promises."""

    measured: object
    tables: tuple[Table, ...]
    gates: tuple[Gate, ...]
    seconds: float = 0.0  # that it took


class Measurable(Protocol):
    """A part, whatever its rows are."""

    @property
    def name(self) -> str:
        """Its name on the command line and in the JSON."""

    @property
    def caption(self) -> str:
        """What is measured, in a few words."""

    def steps(self, plan: Plan) -> int:
        """Return how often it ticks."""

    def run(self, lab: Lab, models: Models, tick: Tick) -> Found:
        """Measure it."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Rows]):
    """A part whose rows are of one type."""

    name: str
    caption: str
    step_count: Callable[[Plan], int]
    measure: Callable[[Lab, Models, Tick], Rows]
    tables: Callable[[Rows], Iterable[Table]]
    gates: Callable[[Rows], Iterable[Gate]]

    def steps(self, plan: Plan) -> int:
        """Return how often it ticks."""
        return self.step_count(plan)

    def run(self, lab: Lab, models: Models, tick: Tick) -> Found:
        """Measure it."""
        rows = self.measure(lab, models, tick)
        return Found(plain(rows), tuple(self.tables(rows)), tuple(self.gates(rows)))


def no_gates(rows: object) -> tuple[Gate, ...]:
    """Promise nothing."""
    return ()
