"""`sonoba models promote`, `rollback` and `import`: what a person puts in force, on the record.

Each is written to the audit log before it is done, so that nothing is in force that nobody is known
to have asked for, and again when it is done or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.evaluate_command import Reached, operations_options
from service.remote_models import promote_at, roll_back_at
from service.store_option import STORE, opened_store

if TYPE_CHECKING:
    from model.store import Store
    from model.store_pointer import Pointer

AUDIT = "audit.sqlite"
UNKNOWN = "unknown"
REASON = click.option("--reason", required=True, help="Why, for the audit log.")
FORCE = click.option("--force", is_flag=True, help="Also a version that does not load.")


def promote_in_store(
    store: Store, name: str, version: str, reason: str, actor: str, force: bool = False
) -> Pointer:
    """Put a version in force and return the pointer.

    Raises `PromotionRefused`, `StoreError` or `LedgerError`; unless that says so, nothing changed.
    """
    from model.version_folder import StoreError
    from service.promotion import check_promotion

    check_promotion(store, name, version, force)
    try:
        etag = store.current(name).etag
    except StoreError:
        etag = None  # none yet, or a damaged one, which this mends
    detail = {"version": version, "reason": reason, "force": force}
    return _on_record(
        store, "promotion", name, actor, detail, lambda: store.promote(name, version, etag)
    )


def roll_back_in_store(
    store: Store, name: str, reason: str, actor: str, force: bool = False
) -> Pointer:
    """Put the version before in force and return the pointer; raises as `promote_in_store`."""
    from service.promotion import check_loads

    pointer = store.current(name)
    if pointer.previous:
        check_loads(store, name, pointer.previous, force)
    detail = {"version": pointer.previous, "reason": reason, "force": force}
    return _on_record(
        store, "rollback", name, actor, detail, lambda: store.rollback(name, pointer.etag)
    )


def import_in_store(store: Store, file: Path, reason: str, actor: str) -> tuple[str, Pointer]:
    """Put the model of a file in force; return its name and the pointer.

    Raises `ArtifactError` of a file that is no model, else as `promote_in_store`.
    """
    from model.checkpoint import load
    from model.foundation import FoundationModel
    from model.layer_draft import layer_draft
    from model.paper import PaperModel
    from service.promotion import check_columns

    found = load(file)
    assert isinstance(found.model, PaperModel | FoundationModel)  # all that files hold
    draft, arrays = layer_draft(
        found.name, found.model, found.schema, found.created, source=file.name
    )
    check_columns(store, found.name, draft)
    detail = {"file": file.name, "file_version": found.version, "reason": reason}

    def put_in_force() -> Pointer:
        store.save(draft, arrays)
        return store.current(found.name)

    return found.name, _on_record(store, "import", found.name, actor, detail, put_in_force)


def _on_record(
    store: Store,
    what: str,
    name: str,
    actor: str,
    detail: Mapping[str, object],
    change: Callable[[], Pointer],
) -> Pointer:
    """Change what is in force between two lines of the audit log."""
    from model.version_folder import StoreError
    from service.ledger import Ledger, LedgerError

    ledger = Ledger(store.folder / AUDIT)
    try:
        ledger.record(actor, f"{what}.asked", name, detail)
        try:
            pointer = change()
        except StoreError as error:
            ledger.record(actor, f"{what}.refused", name, {**detail, "fault": str(error)})
            raise
        done = {"version": pointer.version, "previous": pointer.previous, "etag": pointer.etag}
        try:
            ledger.record(actor, f"{what}.done", name, {**detail, **done}, changes_force=True)
        except LedgerError as error:
            raise LedgerError(f"{name}: {pointer.version} is in force, but {error}") from None
        return pointer
    finally:
        ledger.close()


@click.command()
@click.argument("name")
@click.argument("version")
@STORE
@operations_options
@REASON
@FORCE
@click.pass_obj
def promote(
    actor: str | None,
    name: str,
    version: str,
    folder: Path,
    at: Reached,
    reason: str,
    force: bool,
) -> None:
    """Put a version in force; with --address the re-evaluator does, by its rules.

    Refused where it does not load, and where callers would have to send other columns. Servers that
    read this store follow by themselves. By a re-evaluator's rules a version needs an evaluation
    that proposed it, unless it is forced.
    """
    if at.address:
        promote_at(at, name, version, reason, force)
        return
    with _sentences():
        store = opened_store(folder)
        _say(name, promote_in_store(store, name, version, reason, actor or UNKNOWN, force))


@click.command()
@click.argument("name")
@STORE
@operations_options
@REASON
@FORCE
@click.pass_obj
def rollback(
    actor: str | None,
    name: str,
    folder: Path,
    at: Reached,
    reason: str,
    force: bool,
) -> None:
    """Put the version before in force again; twice gives the first."""
    if at.address:
        roll_back_at(at, name, reason)
        return
    with _sentences():
        store = opened_store(folder)
        _say(name, roll_back_in_store(store, name, reason, actor or UNKNOWN, force))


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@STORE
@click.option("--reason", default="", help="Why, for the audit log.")
@click.pass_obj
def import_model(actor: str | None, file: Path, folder: Path, reason: str) -> None:
    """Store the model of a JSON file (`paper`, `foundation`) and put it in force."""
    with _sentences():
        store = opened_store(folder)
        name, pointer = import_in_store(store, file, reason, actor or UNKNOWN)
        _say(name, pointer)


def _say(name: str, pointer: Pointer) -> None:
    before = f"; before it: {pointer.previous}" if pointer.previous else ""
    click.echo(f"{name}: version {pointer.version} is in force{before}")


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what is refused into a sentence and status 1."""
    from model.checkpoint import ArtifactError
    from model.version_folder import StoreError
    from service.ledger import LedgerError
    from service.promotion import PromotionRefused

    try:
        yield
    except (StoreError, ArtifactError, LedgerError, PromotionRefused) as error:
        raise click.ClickException(str(error)) from None
