"""`python -m bench.drift`: is the monitor right when it calls? Measures it and prints the gates.

Prompts of known laws go straight into the monitor of every kind of model, no server between
(`bench.drift_worlds`, `bench.drift_subjects`); what should page is known from fresh labels. Times
are of one thread, as the service has: OPENBLAS_NUM_THREADS=1.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench import machine
from bench.drift_cost import STATE_SHAPES, costs, state
from bench.drift_report import Report
from bench.drift_scenarios import SIZES
from bench.drift_subjects import settings
from bench.drift_tables import tables
from bench.drift_trials import QUICK, Plan, trial

QUICK_SETTINGS = ("iid5, M mixed", "het5, M = 50")
STEPS = len(SIZES) + 3  # of a trial


def measure(report: Report, plan: Plan, names: list[str], seed: int, progress: Progress) -> None:
    """Run every setting named, and what a prompt costs."""
    chosen = [one for one in settings() if one.name in names]
    runs = len(chosen) * plan.reference_count
    task = progress.add_task("", total=runs * STEPS + 1 + len(STATE_SHAPES))

    def say(what: str) -> Callable[[], None]:
        progress.update(task, description=f"{what:<16}")
        return lambda: progress.advance(task)

    for setting in chosen:
        for reference in range(plan.reference_count):
            report.add(trial(setting, plan, 100 * seed + reference, say(setting.name)))
    say("cost")()
    report.costs = costs(plan.cost_repeats, plan.cost_shapes)
    for shape, count in STATE_SHAPES.items():
        say("state")()
        report.states.append(state(min(count, plan.state_prompts), *shape))


@click.command()
@click.option("--quick", is_flag=True, help="Look briefly: tries the bench, proves nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/drift.json"))
@click.option("--seed", default=0)
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
@click.option("--setting", "names", multiple=True, help="Only these, such as 'iid5, M = 50'.")
def main(quick: bool, out: Path, seed: int, gate: bool, names: tuple[str, ...]) -> None:
    """Measure how right the monitor is; about 11 minutes, with --quick about one."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    report = Report(machine.describe(), quick)
    chosen = names or (QUICK_SETTINGS if quick else [one.name for one in settings()])
    with Progress(console=Console(stderr=True), transient=True) as progress:
        measure(report, QUICK if quick else Plan(), list(chosen), seed, progress)
    for table in tables(report):
        console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    console.print(f"wrote {out}")
    if gate and not all(one.ok for one in report.gates()):
        sys.exit(1)


if __name__ == "__main__":
    main()
