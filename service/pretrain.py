"""`sonoba pretrain`: learn a profile from a business's history, judge it, store it if it is good.

Everything heavy is loaded inside the command: the command line imports this module for every one.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from service.history_options import (
    Columns,
    column_options,
    model_name,
    name_option,
    roles,
    seed_option,
)
from service.progress import progress

if TYPE_CHECKING:
    from service.history_sums import HistoryRead
    from service.pretrain_run import Learnt, Plan

FILE = click.Path(path_type=Path)
LAYERS = click.Choice(["4", "8"])


@click.command()
@click.argument("history", type=FILE, required=False)
@click.option(
    "--statistics", type=FILE, metavar="FILE", help="Sums of every group in place of rows."
)
@column_options(needs_group=False)
@name_option
@click.option(
    "--store", type=FILE, default="store", show_default=True, help="Folder of the stored models."
)
@click.option("--layers", type=LAYERS, default="4", show_default=True, help="Layers of the model.")
@seed_option
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
    name: str | None,
    store: Path,
    layers: str,
    seed: int,
    rows_per_alarm: int,
    **columns: Unpack[Columns],
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
    from service.pretrain_run import Plan

    given = _one_source(history, statistics, columns["group"], columns["features"])
    of = roles(columns), int(layers), seed, rows_per_alarm
    plan = Plan(model_name(name, given), given, statistics is not None, *of)
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
        with progress() as tick:
            tick(f"reading {plan.source.name}", 0.0)
            found = read(plan)
        for line in read_lines(found, plan.roles.target):
            click.echo(line)
        with progress() as tick:
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
