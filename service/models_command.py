"""`sonoba models`: what the store holds, what a version says of itself, whether it is intact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from model.manifest import Feature, Manifest
    from model.store import Store

STORE = click.option(
    "--store",
    "folder",
    type=click.Path(path_type=Path),
    default="store",
    show_default=True,
    help="Folder of the stored models.",
)


@click.group()
def models() -> None:
    """List, show and verify the models that `sonoba pretrain` stored."""


@models.command("list")
@STORE
def list_models(folder: Path) -> None:
    """List every version of every model; the one in force has a star."""
    from rich.console import Console

    store = _store(folder)
    names = store.names()
    if not names:
        click.echo(f"there is no model in {folder} yet; `sonoba pretrain` makes one")
        return
    table = _table("", "model", "version", "made", "features", "learnt from", "state")
    broken = 0
    for name in names:
        in_force = _in_force(store, name)
        for version in reversed(store.versions(name)):
            cells, fault = _row(store, name, version)
            broken += bool(fault)
            table.add_row("*" if version == in_force else "", name, version, *cells)
    Console().print(table)
    if broken:
        click.echo(f"{broken} cannot be used: `sonoba models verify --store {folder}` says why")


@models.command()
@click.argument("name")
@click.argument("version", required=False, default="")
@STORE
@click.option("--json", "as_json", is_flag=True, help="Print the manifest itself.")
def show(name: str, version: str, folder: Path, as_json: bool) -> None:
    """Show what a version takes, what it was learnt from and how good it was.

    Without VERSION the one in force is shown.
    """
    from rich.console import Console

    from model.version_folder import StoreError

    try:
        stored = _store(folder).load(name, version)
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(stored.manifest.model_dump_json(indent=2))
        return
    console = Console()
    for line in _lines(stored.version, stored.manifest):
        click.echo(line)
    console.print(_feature_table(stored.manifest))
    console.print(_score_table(stored.manifest))
    click.echo(stored.manifest.metrics.sentence)


@models.command()
@click.argument("name", required=False)
@click.argument("version", required=False)
@STORE
def verify(name: str | None, version: str | None, folder: Path) -> None:
    """Read every byte of the stored versions and check it; ends with status 1 on a fault."""
    from model.version_folder import StoreError

    store = _store(folder)
    faults, count = 0, 0
    for each in [name] if name else store.names():
        for one in [version] if version else store.versions(each) or [""]:
            count += 1
            try:
                stored = store.load(each, one)
                arrays = len(stored.arrays)
                click.echo(f"intact    {each} {stored.version}: manifest and {arrays} arrays")
            except StoreError as error:
                faults += 1
                click.echo(f"broken    {error}")
        faults += _check_pointer(store, each)
    if not count:
        click.echo(f"there is no model in {folder} yet; `sonoba pretrain` makes one")
    if faults:
        raise click.ClickException(f"{faults} fault{'s' * (faults > 1)} in {folder}")


def _check_pointer(store: Store, name: str) -> int:
    """Say whether the version in force exists; return the number of faults."""
    from model.version_folder import StoreError

    try:
        in_force = store.current(name).version
    except StoreError as error:
        click.echo(f"broken    {error}")
        return 1
    if in_force in store.versions(name):
        return 0
    click.echo(f"broken    {name}: the version in force, {in_force}, is not there")
    return 1


def _store(folder: Path) -> Store:
    from model.store import Store

    if folder.exists() and not folder.is_dir():
        raise click.ClickException(f"--store: expected a folder, got the file {folder}")
    return Store(folder)


def _in_force(store: Store, name: str) -> str:
    from model.version_folder import StoreError

    try:
        return store.current(name).version
    except StoreError:
        return ""


def _row(store: Store, name: str, version: str) -> tuple[list[str], str]:
    """Return the cells of a version, and its fault if it has one."""
    from model.version_folder import StoreError

    try:
        manifest = store.load(name, version).manifest
    except StoreError as error:
        return ["", "", "", "broken"], str(error)
    training = manifest.training
    learnt = f"{training.used_row_count:,} rows, {training.group_count:,} groups"
    made = f"{manifest.created:%Y-%m-%d %H:%M}"
    return [made, str(manifest.feature_count), learnt, manifest.metrics.state], ""


def _lines(version: str, manifest: Manifest) -> Iterator[str]:
    """Yield what a version says of itself, but for its tables."""
    training, schema = manifest.training, manifest.feature_schema
    unit = f" ({schema.label.unit})" if schema.label.unit else ""
    yield f"model     {manifest.name}, version {version}, {manifest.metrics.state}"
    yield f"predicts  {schema.label.name}{unit} from {manifest.feature_count} features"
    yield (
        f"learnt    {manifest.created:%Y-%m-%d %H:%M} UTC from {training.source}: "
        f"{training.used_row_count:,} rows, {training.group_count:,} groups of {training.group}"
    )
    order = f"in the order of {training.order}" if training.order else "in no order"
    yield f"rows      {order}; seed {training.seed}, {training.layer_count} layers"
    yield f"schema    {schema.hash}"
    evidence = manifest.calibration.evidence
    calibrated = "not calibrated" if evidence == "none" else f"calibrated on {evidence}"
    yield f"intervals {calibrated}"
    watched = f"reference {manifest.reference.monitoring}" if manifest.reference.monitoring else ""
    yield f"watched   {watched or 'from its first prompts on'}"
    for notice in training.notices:
        yield f"notice    {notice}"


def _feature_table(manifest: Manifest) -> Table:
    table = _table("feature", "unit", "mean", "sd", "from", "to")
    schema = manifest.feature_schema
    for feature in schema.features:
        table.add_row(feature.name, feature.unit, *_numbers(feature))
    table.add_row(f"{schema.label.name} (label)", schema.label.unit, *_numbers(schema.label))
    return table


def _numbers(feature: Feature) -> list[str]:
    values = (feature.mean, feature.deviation, feature.minimum, feature.maximum)
    return ["?" if value is None else f"{value:.4g}" for value in values]


def _score_table(manifest: Manifest) -> Table:
    """Return the held-out errors by length and method."""
    scores = manifest.metrics.scores
    methods = list(dict.fromkeys(name for score in scores for name in score.error))
    table = _table("examples", "groups", *methods)
    table.title, table.title_justify = "median error on groups not seen (NRMSE)", "left"
    for score in scores:
        errors = [f"{score.error[name]:.3f}" if name in score.error else "" for name in methods]
        table.add_row(str(score.example_count), str(score.group_count), *errors)
    return table


def _table(*headings: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
