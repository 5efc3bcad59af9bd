"""`sonoba pretrain`: learn a profile from a business's history, judge it, store it if it is good.

Everything heavy is loaded inside the command: the command line imports this module for every one.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.history_sums import HistoryRead
    from service.pretrain_run import Learnt, Plan

    Tick = Callable[[str, float], None]

FILE = click.Path(path_type=Path)
LAYERS = click.Choice(["4", "8"])
BUNDLED = "foundation"


def _listed(_: object, option: object, value: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas."""
    if value is None:
        return None
    return tuple(name for part in value.split(",") if (name := part.strip()))


@click.command()
@click.argument("history", type=FILE, required=False)
@click.option(
    "--statistics", type=FILE, metavar="FILE", help="Sums of every group in place of rows."
)
@click.option("--group", metavar="COLUMN", help="Column that tells groups apart, such as a store.")
@click.option("--target", required=True, metavar="COLUMN", help="Column to predict, numbers.")
@click.option(
    "--order", metavar="COLUMN", help="Column of the order in time; no feature by itself."
)
@click.option("--in-order", is_flag=True, help="The rows of each group stand in order of time.")
@click.option(
    "--features",
    callback=_listed,
    metavar="A,B,C",
    help="Columns to predict from.  [default: all others]",
)
@click.option("--exclude", callback=_listed, metavar="A,B", help="Columns to leave out.")
@click.option(
    "--category", callback=_listed, metavar="A,B", help="Columns of numbers that are only names."
)
@click.option("--unit", multiple=True, metavar="COLUMN=UNIT", help="Unit of a column; repeatable.")
@click.option("--name", metavar="NAME", help="Name of the model.  [default: the file's]")
@click.option(
    "--store", type=FILE, default="store", show_default=True, help="Folder of the stored models."
)
@click.option("--layers", type=LAYERS, default="4", show_default=True, help="Layers of the model.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--rows-per-alarm",
    type=click.IntRange(1000, 1_000_000_000),
    default=1_000_000,
    show_default=True,
    help="Quiet examples between two false calls of monitoring's information on covariates.",
)
def pretrain(
    history: Path | None,
    statistics: Path | None,
    group: str | None,
    target: str,
    order: str | None,
    in_order: bool,
    features: tuple[str, ...] | None,
    exclude: tuple[str, ...] | None,
    category: tuple[str, ...] | None,
    unit: tuple[str, ...],
    name: str | None,
    store: Path,
    layers: str,
    seed: int,
    rows_per_alarm: int,
) -> None:
    """Learn from labelled HISTORY what a prompt alone cannot tell, and store it as a model.

    HISTORY is a CSV file with a header or a Parquet file of any size: a row an example, a column
    that says to which group (store, patient, week) a row belongs. Part of the groups is held out:
    their errors are shown beside what else could be done, and a model that is no better is refused.

    \b
    Examples:
      sonoba pretrain sales.parquet --group store --target sold --order day
      sonoba pretrain sales.csv --group store --target sold --unit temp=celsius --name sales
      sonoba pretrain --statistics sums.csv --features temp,weekend --target sold
    """
    from service.history_reader import Roles
    from service.pretrain_run import Plan

    given = _one_source(history, statistics, group, features)
    roles = Roles(
        group=group or "",
        target=target,
        order=order,
        is_in_order=in_order,
        features=features,
        exclude=exclude or (),
        categories=category or (),
        units=dict(_unit(text) for text in unit),
    )
    of = roles, int(layers), seed, rows_per_alarm
    plan = Plan(_name(name, given), given, statistics is not None, *of)
    _run(plan, store)


def _run(plan: Plan, store: Path) -> None:
    """Read, fit, judge, store; refusals are sentences and end with status 1."""
    from model.refusal import Refusal
    from model.version_folder import StoreError
    from service.pretrain_report import read_lines
    from service.pretrain_run import Refused, keep, learn, read
    from service.tables import TableError

    started = time.monotonic()
    try:
        with _progress() as tick:
            tick(f"reading {plan.source.name}", 0.0)
            found = read(plan)
        for line in read_lines(found, plan.roles.target):
            click.echo(line)
        with _progress() as tick:
            learnt = learn(plan, found, tick)
        _tell(plan, found, learnt)
        if learnt.admission.refusal:
            raise Refused(f"the profile is not stored: {learnt.admission.refusal}")
        version = keep(plan, found, learnt, store, time.monotonic() - started, datetime.now(UTC))
    except (TableError, StoreError, Refused, Refusal) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"stored    {plan.name}, version {version}, in {store}")
    click.echo(f"serve it: sonoba serve --store {store} --default-model {plan.name}")
    click.echo(f"see it: sonoba models show {plan.name} --store {store}")
    click.echo(f"fill a prompt: sonoba template {plan.name} --store {store}")


def _tell(plan: Plan, read: HistoryRead, learnt: Learnt) -> None:
    """Print the errors on held-out groups and what they mean."""
    from rich.console import Console

    from service.boosting import ABSENT, is_present
    from service.pretrain_report import table, verdict_lines

    console = Console()
    if learnt.cells:
        console.print()
        console.print(table(learnt.cells, plan.seed))
    if not is_present() and not read.is_simulated:
        click.echo(f"notice    {ABSENT}")
    groups = len(read.history.groups)
    unwatched = learnt.fitted.unwatched
    for line in verdict_lines(learnt.admission, groups, read.is_simulated, unwatched):
        console.print(line, markup=False, highlight=False)


@contextmanager
def _progress() -> Iterator[Tick]:
    """Show a bar on a terminal's stderr: what is being done, and how much of it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def tick(stage: str, share: float) -> None:
            bar.update(task, description=stage, total=1.0 if share else None, completed=share)

        yield tick


def _one_source(
    history: Path | None,
    statistics: Path | None,
    group: str | None,
    features: tuple[str, ...] | None,
) -> Path:
    """Return the file to learn from; refuse two, none, or one with a name missing."""
    if (history is None) == (statistics is None):
        raise click.UsageError("expected a HISTORY file or --statistics FILE, one of them")
    if statistics is not None:
        if not features:
            raise click.UsageError("--statistics: name x1, x2, … of the file with --features A,B,C")
        return statistics
    if group is None:
        raise click.UsageError("--group: expected the column that tells groups apart")
    assert history is not None
    return history


def _unit(text: str) -> tuple[str, str]:
    column, equals, unit = text.rpartition("=")
    if not (equals and column and unit):
        raise click.UsageError(f"--unit: expected COLUMN=UNIT, got {text!r}")
    return column, unit


def _name(given: str | None, source: Path) -> str:
    """Return the model's name; by default the file's, in letters a name may have."""
    from model.manifest import NAME

    name = given or re.sub(r"[^a-z0-9._-]+", "-", source.stem.lower()).strip("-._")[:64]
    if not re.fullmatch(NAME, name):
        sentence = "expected a-z, 0-9, '.', '_', '-', at most 64 characters"
        raise click.UsageError(f"--name: {sentence}, got {name!r}")
    if name == BUNDLED:
        raise click.UsageError(f"--name: {BUNDLED!r} is the bundled model; choose another name")
    return name
