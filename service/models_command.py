"""`sonoba models`: what the store holds, what a version says of itself, whether it is intact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.evaluate_command import Reached, operations_options
from service.promote_command import import_model, promote, rollback
from service.remote_models import list_at
from service.store_option import STORE, opened_store

if TYPE_CHECKING:
    from model.store import Store
    from model.store_pointer import Pointer

PIPED_WIDTH = 120  # a version a line, for whoever searches them
IN_FORCE, PREVIOUS, CANDIDATE = "*", "previous", "candidate"
SAID = {
    IN_FORCE: "the version in force",
    PREVIOUS: "the version before",
    CANDIDATE: "the candidate",
}


@click.group(commands=[promote, rollback, import_model])
def models() -> None:
    """List, show and verify stored models; promote one, roll back, or import another."""


@models.command("list")
@click.argument("name", required=False, default="")
@STORE
@operations_options
def list_models(name: str, folder: Path, at: Reached) -> None:
    """List every version of NAME or of every model; the one in force has a star.

    `previous` is what a rollback puts in force, `candidate` what servers let answer beside.
    """
    if at.address:
        list_at(at, name)
        return
    from rich.console import Console

    from service.models_shown import row, table

    store = opened_store(folder)
    names = [one for one in store.names() if name in ("", one)]
    if not names and name:
        raise click.ClickException(f"there is no model {name} in {folder}")
    if not names:
        click.echo(f"there is no model in {folder} yet; `sonoba pretrain` makes one")
        return
    shown = table("", "model", "version", "kind", "made", "features", "learnt from", "state")
    broken = 0
    for one in names:
        roles = _roles(store, one)
        for version in reversed(store.versions(one)):
            cells, fault = row(store, one, version)
            broken += bool(fault)
            shown.add_row(roles.get(version, ""), one, version, *cells)
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(shown)
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

    from model.manifest import Manifest
    from model.version_folder import StoreError, text_of
    from service.models_shown import lines, tables

    try:
        stored = opened_store(folder).load(name, version)
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(text_of(stored.manifest))
        return
    console = Console()
    for line in lines(stored.version, stored.manifest):
        click.echo(line)
    for one in tables(stored.manifest):
        console.print(one)
    if isinstance(stored.manifest, Manifest):
        click.echo(stored.manifest.metrics.sentence)


@models.command()
@click.argument("name", required=False)
@click.argument("version", required=False)
@STORE
def verify(name: str | None, version: str | None, folder: Path) -> None:
    """Read every byte of the stored versions and check it; ends with status 1 on a fault."""
    from model.version_folder import StoreError

    store = opened_store(folder)
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
    """Say whether the versions that the pointer names exist; return the number of faults."""
    from model.version_folder import StoreError

    try:
        pointer, there = store.current(name), store.versions(name)
        store.told(name)
    except StoreError as error:
        click.echo(f"broken    {error}")
        return 1
    missing = [version for version in pointer.versions if version not in there]
    for version in missing:
        role = SAID[_role(pointer, version)]
        click.echo(f"broken    {name}: {role}, {version}, is not there")
    return len(missing)


def _roles(store: Store, name: str) -> dict[str, str]:
    """Return what each version that the pointer names is."""
    from model.version_folder import StoreError

    try:
        pointer = store.current(name)
    except StoreError:
        return {}
    return {version: _role(pointer, version) for version in pointer.versions}


def _role(pointer: Pointer, version: str) -> str:
    if version == pointer.version:
        return IN_FORCE
    return CANDIDATE if version == pointer.candidate else PREVIOUS
