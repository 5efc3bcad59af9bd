"""A run of the bench: every part in turn or some of them, and what they found together."""

import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import machine
from bench.promises import Gate, at_most, plain
from bench.serving import (
    answers,
    batch,
    encrypted,
    floor,
    kinds,
    latency,
    memory,
    peers,
    prompt_costs,
    protocols,
    scaling,
    start,
    together,
    watching,
)
from bench.serving.lab import QUICK, Lab, Plan
from bench.serving.load import H2LOAD_MISSING
from bench.serving.part import Found, Measurable, Tick
from bench.serving.profiles import write_profiles
from bench.serving.prompts import write_papers
from bench.serving.servers import Models
from bench.tables import held

PARTS: tuple[Measurable, ...] = (
    floor.PART,
    batch.PART,
    watching.PART,
    peers.PART,
    protocols.PART,
    encrypted.PART,
    scaling.PART,
    prompt_costs.PART,
    kinds.PART,
    together.PART,
    latency.PART,
    memory.PART,
    start.PART,
    answers.PART,
)


def measure(lab: Lab, parts: Sequence[Measurable], progress: Progress) -> dict[str, Found]:
    """Run parts in turn; one that fails is a promise not held, and the others still run."""
    task = progress.add_task("", total=sum(part.steps(lab.plan) for part in parts))

    def tick() -> None:
        progress.advance(task)

    progress.update(task, description=f"{'learning profiles':<18}")
    store = write_profiles(lab.folder, lab.plan.profile_shapes)
    models = Models(write_papers(lab.folder), store)
    found = {}
    for part in parts:
        progress.update(task, description=f"{part.caption:<18}")
        found[part.name] = run_part(part, lab, models, tick)
    return found


def run_part(part: Measurable, lab: Lab, models: Models, tick: Tick) -> Found:
    """Run one part; where it fails, that is what is found."""
    lab.part, begun = part.name, time.monotonic()
    try:
        return replace(part.run(lab, models, tick), seconds=time.monotonic() - begun)
    except Exception as error:
        traceback.print_exc()
        sentence = f"{type(error).__name__}: {error}"
        return Found(sentence, (), (Gate(f"{part.name}: could be measured", 0, "yes", False),))


def _warn(lab: Lab, console: Console) -> None:
    if lab.load.name != "h2load":
        console.print(f"[bold yellow]{H2LOAD_MISSING}[/]")
    if not lab.cores.apart:
        console.print("[bold yellow]one core only: server and generator share it[/]")


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, where, and what of it was promised."""

    quick: bool
    generator: str
    pinned: bool
    sent: int
    answered_ok: int
    found: dict[str, Found]
    lost: tuple[str, ...]  # what is known of calls that were not answered OK

    @property
    def gates(self) -> list[Gate]:
        """Every promise of this run."""
        lost = at_most("calls not answered OK", self.sent - self.answered_ok, 0)
        return [*(gate for one in self.found.values() for gate in one.gates), lost]

    @property
    def tables(self) -> list[Table]:
        """The tables in the order they should be read, the gates last."""
        return [*(table for one in self.found.values() for table in one.tables), held(self.gates)]

    def as_json(self) -> dict[str, object]:
        """Return the report as plain objects; a spread becomes median, low, high."""
        return {
            "machine": machine.describe(),
            "quick": self.quick,
            "generator": self.generator,
            "pinned": self.pinned,
            "sent": self.sent,
            "answered_ok": self.answered_ok,
            "lost": list(self.lost),
            "seconds": {name: round(one.seconds, 1) for name, one in self.found.items()},
            **{name: one.measured for name, one in self.found.items()},
            "gates": plain(self.gates),
        }


def run(names: Sequence[str], quick: bool, console: Console) -> Report:
    """Measure the named parts, all where none is named."""
    parts = [part for part in PARTS if not names or part.name in names]
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(QUICK if quick else Plan(), Path(folder))
        _warn(lab, console)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            found = measure(lab, parts, progress)
    return Report(quick, lab.load.name, lab.cores.apart, lab.sent, lab.ok, found, tuple(lab.lost))
