"""`sonoba reproduce`: the paper's claims, measured again, as a report with a verdict on each.

NumPy, matplotlib, Jinja2 and torch are loaded inside the command: the command line imports this
module for every command.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from service.reproduce_report import Effort, Panel

NEEDS = {"matplotlib": "matplotlib", "jinja2": "Jinja2"}
NO_GPU = "--device: expected a GPU that torch can use, found none"


@click.command()
@click.option(
    "--out",
    default="out/reproduce",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.html, a PNG and a CSV file for every panel, and checks.csv.",
)
@click.option(
    "--quick", is_flag=True, help="An eighth of the draws: wider tolerances, same claims."
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where torch trains; the layers are so small that a GPU gains nothing.",
)
@click.pass_context
def reproduce(context: click.Context, out: Path, quick: bool, device: str) -> None:
    """Measure the paper's claims again: training, risk, Figure 1, shifts, depth.

    Every number is compared with its closed form; the exit status is 1 if any is off. Without torch
    the training is followed by its equations alone, and what needs torch is shown as skipped.
    """
    _check_libraries(device)
    from service.reproduce_report import Effort, Verdict

    started = time.monotonic()
    try:
        out.mkdir(parents=True, exist_ok=True)
        panels = _run(Effort(quick, device))
        _write(panels, out, time.monotonic() - started)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    _tell(panels)
    click.echo(f"the report is {out / 'report.html'}")
    if any(panel.verdict is Verdict.FAIL for panel in panels):
        context.exit(1)


def _check_libraries(device: str) -> None:
    """Say what is missing before the time is spent."""
    absent = [name for module, name in NEEDS.items() if find_spec(module) is None]
    if absent:
        sentence = f"the report needs {' and '.join(absent)}, which is not installed: "
        hint = "run `pip install -e ./client -e '.[demo]'` in the project's folder"
        raise click.ClickException(sentence + hint)
    if device == "cuda":
        from service.reproduce_training import gpu_is_present

        if not gpu_is_present():
            raise click.ClickException(NO_GPU)


def _run(effort: Effort) -> list[Panel]:
    """Return the panels, with a bar that shows which one is being measured."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from service.reproduce_panels import PANELS

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    panels = []
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=len(PANELS))
        for name, measure in PANELS.items():
            progress.update(task, description=name)
            panels.append(measure(effort))
            progress.advance(task)
    return panels


def _write(panels: Sequence[Panel], out: Path, seconds: float) -> None:
    from service.reproduce_page import page
    from service.reproduce_plot import draw_panel
    from service.reproduce_report import checks_csv, series_csv

    pictures = {}
    for panel in panels:
        if panel.charts:
            picture = out / f"{panel.key}.png"
            draw_panel(panel, picture)
            pictures[panel.key] = picture.read_bytes()
            series_csv(panel, out / f"{panel.key}.csv")
    checks_csv(panels, out / "checks.csv")
    (out / "report.html").write_text(page(panels, pictures, seconds), encoding="utf-8")


def _tell(panels: Sequence[Panel]) -> None:
    """Print the table of the panels, then every check that failed or did not run."""
    from rich.console import Console

    from service.reproduce_report import Verdict

    Console().print(_table(panels))
    for check in (check for panel in panels for check in panel.checks):
        if check.verdict is Verdict.FAIL:
            numbers = f"theory {check.theory:.6g}, measured {check.measured:.6g}"
            click.echo(f"FAIL  {check.claim}: {numbers}, tolerance {check.tolerance:.3g}")
        elif check.verdict is Verdict.SKIPPED:
            click.echo(f"skipped  {check.claim}: {check.skipped}")


def _table(panels: Sequence[Panel]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.reproduce_report import Verdict

    table = Table("claim", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("passed", "failed", "skipped"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for panel in panels:
        counts = (str(panel.count(verdict)) for verdict in Verdict)
        table.add_row(panel.title, *counts, str(panel.verdict))
    return table
