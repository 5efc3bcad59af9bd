"""`sonoba audit`: who did what with which version, and whether the log is whole."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from service.audit import AuditLog, Entry

STORE = click.option(
    "--store",
    "folder",
    type=click.Path(path_type=Path),
    default="store",
    show_default=True,
    help="Folder of the stored models; its audit log is audit.sqlite.",
)
FILE_NAME = "audit.sqlite"


@click.group()
def audit() -> None:
    """Read the audit log of a store and prove that nothing in it was changed."""


@audit.command("list")
@STORE
@click.option("--model", default="", metavar="NAME", help="Only what was done with this model.")
@click.option("--since", metavar="WHEN", help="Only from 2026-11-01, or the last 90s, 30m, 6h, 7d.")
@click.option("--json", "as_json", is_flag=True, help="Print every line whole, one JSON a line.")
def list_entries(folder: Path, model: str, since: str | None, as_json: bool) -> None:
    """List what was done, the oldest first; times are UTC."""
    from rich.console import Console

    from service.ledger_file import LedgerError

    found = _log(folder).entries(model, _since(since) if since else float("-inf"))
    try:
        if as_json:
            for entry in found:
                click.echo(json.dumps(entry.told(), ensure_ascii=False))
            return
        entries = list(found)
    except LedgerError as error:
        raise click.ClickException(str(error)) from None
    if not entries:
        click.echo("nothing was done, or nothing that fits")
        return
    Console().print(_table(entries))


@audit.command()
@STORE
@click.option("--head", default="", metavar="HASH", help="Hash noted earlier: must still be there.")
def verify(folder: Path, head: str) -> None:
    """Check every line against its hash and the one before; ends with status 1 on a fault.

    Note the hash that this prints somewhere else: with `--head` it proves later that nothing up to
    there was changed, cut off or replaced.
    """
    from service.ledger_file import LedgerError

    try:
        found = _log(folder).verify(head)
    except LedgerError as error:
        raise click.ClickException(str(error)) from None
    if found.fault:
        raise click.ClickException(f"broken: {found.fault}")
    click.echo(f"whole: {found.entry_count} lines, head {found.head or 'none'}")


def _log(folder: Path) -> AuditLog:
    from service.audit import AuditLog

    return AuditLog(folder / FILE_NAME)


def _since(text: str) -> float:
    """Return the Unix time of a date, a time or a span before now."""
    from service.rule_values import seconds_of

    span = seconds_of(text)
    if isinstance(span, float):
        return time.time() - span
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        expected = "expected a date such as 2026-11-01, or a span such as 90s, 30m, 6h or 7d"
        raise click.ClickException(f"--since: {expected}, got {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _table(entries: list[Entry]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("line", "time", "who", "action", "model", "evaluation", "what"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        moment = datetime.fromtimestamp(entry.time_seconds, UTC)
        where = (entry.model, entry.evaluation_id, _said(entry))
        table.add_row(str(entry.number), f"{moment:%Y-%m-%d %H:%M:%S}", *entry[5:7], *where)
    return table


def _said(entry: Entry) -> str:
    """Return the most telling words of a line's detail."""
    detail = json.loads(entry.detail)
    fields = {**detail.get("why", {}), **detail.get("set", {})}
    names = ("verdict", "action", "rule", "candidate_version", "asked_reason", "reason", "fault")
    told = (f"{name} {fields[name]}" for name in names if fields.get(name))
    by = f"(in force, by a {entry.changed_by})" if entry.changed_by else ""
    return " ".join([*told, by]).strip()
