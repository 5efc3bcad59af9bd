"""`python -m bench.serving`: measures every part or the named ones, prints tables and gates."""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: as the service does

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
    protocols,
    scaling,
    start,
    watching,
)
from bench.serving.lab import QUICK, Lab, Plan
from bench.serving.load import H2LOAD_MISSING
from bench.serving.part import Found, Measurable, Tick
from bench.serving.profiles import write_profiles
from bench.serving.prompts import write_papers
from bench.serving.servers import Models
from bench.tables import as_markdown, held

PARTS: tuple[Measurable, ...] = (
    floor.PART,
    batch.PART,
    watching.PART,
    peers.PART,
    protocols.PART,
    encrypted.PART,
    scaling.PART,
    kinds.PART,
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
        found[part.name] = _run(part, lab, models, tick)
    return found


def _run(part: Measurable, lab: Lab, models: Models, tick: Tick) -> Found:
    try:
        return part.run(lab, models, tick)
    except Exception as error:
        traceback.print_exc()
        sentence = f"{type(error).__name__}: {error}"
        return Found(sentence, (), (Gate(f"{part.name}: could be measured", 0, "yes", False),))


def _warn(lab: Lab, console: Console) -> None:
    if lab.load.name != "h2load":
        console.print(f"[bold yellow]{H2LOAD_MISSING}[/]")
    if not lab.cores.apart:
        console.print("[bold yellow]one core only: server and generator share it[/]")


def _write(
    out: Path, quick: bool, lab: Lab, found: dict[str, Found], gates: Sequence[Gate]
) -> None:
    report = {
        "machine": machine.describe(),
        "quick": quick,
        "generator": lab.load.name,
        "pinned": lab.cores.apart,
        "sent": lab.sent,
        "answered_ok": lab.ok,
        **{name: one.measured for name, one in found.items()},
        "gates": plain(list(gates)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([part.name for part in PARTS]))
@click.option("--quick", is_flag=True, help="Look briefly: tries the bench, proves nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/bench.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
def main(names: Sequence[str], quick: bool, out: Path, gate: bool) -> None:
    """Measure speed and memory: every part (about 14 minutes, --quick one), or those named."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    parts = [part for part in PARTS if not names or part.name in names]
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(QUICK if quick else Plan(), Path(folder))
        _warn(lab, console)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            found = measure(lab, parts, progress)
    gates = [gate for one in found.values() for gate in one.gates]
    gates.append(at_most("calls not answered OK", lab.sent - lab.ok, 0))
    tables = [*(table for one in found.values() for table in one.tables), held(gates)]
    for table in tables:
        console.print(table)
    _write(out, quick, lab, found, gates)
    out.with_suffix(".md").write_text(as_markdown(tables))
    console.print(f"{lab.ok:,} of {lab.sent:,} calls answered OK; wrote {out} and .md beside it")
    console.print("is the monitor right when it calls: python -m bench.drift")
    if gate and not all(one.ok for one in gates):
        sys.exit(1)


if __name__ == "__main__":
    main()
