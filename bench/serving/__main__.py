"""`python -m bench.serving`: measures everything, prints the tables and writes JSON."""

import json
import os
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: as the service does

from bench import machine
from bench.serving import answers, batch, floor, kinds, memory, start, watching
from bench.serving.lab import QUICK, Lab, Plan
from bench.serving.load import H2LOAD_MISSING
from bench.serving.prompts import SHAPES, write_papers
from bench.serving.report import Report
from bench.serving.tables import tables


def measure(lab: Lab, report: Report, progress: Progress) -> None:
    """Run every part in turn and fill the report."""
    papers = write_papers(lab.folder)
    task = progress.add_task("", total=_tick_count(lab.plan))

    def tick() -> None:
        progress.advance(task)

    def say(what: str) -> None:
        progress.update(task, description=f"{what:<16}")

    say("against an echo")
    report.floor = floor.measure(lab, papers, tick)
    say("in batches")
    report.batch = batch.measure(lab, papers, tick)
    say("with monitoring")
    report.watching = watching.measure(lab, papers, tick)
    say("kinds of server")
    report.kinds = kinds.measure(lab, papers, tick)
    say("one in flight")
    report.latency = start.latencies(lab, papers, tick)
    say("memory and start")
    report.memory = memory.measure(lab, papers, tick)
    report.start_seconds = start.measure(lab, tick)
    say("models alone")
    report.answers = answers.measure(lab, tick)


def _tick_count(plan: Plan) -> int:
    floors, batches = len(floor.KINDS) * len(SHAPES), len(floor.KINDS) * 2
    alone = len(answers.SHAPES_ALONE)
    watched = len(watching.MODELS) * len(watching.METHODS)
    return 2 * floors + batches + watched + 2 + memory.STEPS + plan.start_count + alone


@click.command()
@click.option("--quick", is_flag=True, help="Look briefly: tries the bench, proves nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/bench.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
def main(quick: bool, out: Path, gate: bool) -> None:
    """Measure speed and memory; about 6 minutes, with --quick about one."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(QUICK if quick else Plan(), Path(folder))
        report = Report(machine.describe(), quick, lab.load.name, lab.cores.apart)
        if lab.load.name != "h2load":
            console.print(f"[bold yellow]{H2LOAD_MISSING}[/]")
        if not lab.cores.apart:
            console.print("[bold yellow]one core only: server and generator share it[/]")
        with Progress(console=Console(stderr=True), transient=True) as progress:
            measure(lab, report, progress)
        report.sent, report.answered_ok = lab.sent, lab.ok
    for table in tables(report):
        console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    console.print(f"{report.answered_ok:,} of {report.sent:,} calls answered OK; wrote {out}")
    console.print("is the monitor right when it calls: python -m bench.drift")
    if gate and not all(one.ok for one in report.gates()):
        sys.exit(1)


if __name__ == "__main__":
    main()
