"""`sonoba models … --address`: versions as a re-evaluator lists, promotes and rolls back.

It checks, it writes the audit log and it watches what comes into force; the store need not be on
this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.evaluate_command import Reached, opened_operations

if TYPE_CHECKING:
    from service.operations_client import Change

STARS = {"current": "*"}


def list_at(at: Reached, name: str) -> None:
    """Print every version of a model; the one in force has a star."""
    from rich.console import Console

    from service.models_shown import table

    if not name:
        raise click.ClickException("NAME: expected the model, for a re-evaluator lists one")
    with opened_operations(at) as client:
        found = client.versions(name)
    shown = table("", "model", "version", "kind", "made", "from", "state")
    for one in found.versions:
        made = "" if one.created is None else f"{one.created:%Y-%m-%d}"
        state = "broken" if one.fault else ""
        role = STARS.get(one.role, one.role)
        shown.add_row(role, name, one.version, one.kind, made, one.parent, state)
    Console(width=120).print(shown)
    for one in found.versions:
        if one.fault:
            click.echo(one.fault)


def promote_at(at: Reached, name: str, version: str, reason: str, force: bool) -> None:
    """Put a version in force, of what is in force now."""
    with opened_operations(at) as client:
        _say(name, client.promote(name, version, client.versions(name).etag, reason, force))


def roll_back_at(at: Reached, name: str, reason: str) -> None:
    """Put the version before in force again."""
    with opened_operations(at) as client:
        _say(name, client.roll_back(name, client.versions(name).etag, reason))


def _say(name: str, change: Change) -> None:
    before = f"; before it: {change.previous_version}" if change.previous_version else ""
    click.echo(f"{name}: version {change.version} is in force{before}")
