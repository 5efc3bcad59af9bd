"""What every command that reads a history asks of its columns: declared once, in the same words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

import click

if TYPE_CHECKING:
    from pathlib import Path

    from service.history_reader import Roles

BUNDLED = "foundation"


class Columns(TypedDict):
    """The options as they were given."""

    group: str | None
    target: str
    order: str | None
    in_order: bool
    features: tuple[str, ...] | None
    exclude: tuple[str, ...] | None
    category: tuple[str, ...] | None
    unit: tuple[str, ...]


def column_options(needs_group: bool) -> Callable[[Any], Any]:
    """Return what gives a command the options of a history's columns."""

    def with_options(command: Any) -> Any:
        for option in reversed(_options(needs_group)):
            command = option(command)
        return command

    return with_options


def _options(needs_group: bool) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--group",
            required=needs_group,
            metavar="COLUMN",
            help="Column that tells groups apart, such as a store.",
        ),
        click.option(
            "--target", required=True, metavar="COLUMN", help="Column to predict, numbers."
        ),
        click.option(
            "--order", metavar="COLUMN", help="Column of the order in time; no feature by itself."
        ),
        click.option(
            "--in-order", is_flag=True, help="The rows of each group stand in order of time."
        ),
        _list_option("--features", "A,B,C", "Columns to predict from.  [default: all others]"),
        _list_option("--exclude", "A,B", "Columns to leave out."),
        _list_option("--category", "A,B", "Columns of numbers that are only names."),
        click.option(
            "--unit", multiple=True, metavar="COLUMN=UNIT", help="Unit of a column; repeatable."
        ),
    ]


def name_option(command: Any) -> Any:
    """Give a command the name of the model."""
    told = "Name of the model.  [default: the file's]"
    return click.option("--name", metavar="NAME", help=told)(command)


def seed_option(command: Any) -> Any:
    """Give a command the seed of what it draws."""
    kind = click.IntRange(min=0)
    return click.option("--seed", type=kind, default=0, show_default=True)(command)


def roles(columns: Columns) -> Roles:
    """Return what the options say of the columns."""
    from service.history_reader import Roles

    return Roles(
        group=columns["group"] or "",
        target=columns["target"],
        order=columns["order"],
        is_in_order=columns["in_order"],
        features=columns["features"],
        exclude=columns["exclude"] or (),
        categories=columns["category"] or (),
        units=dict(_unit(text) for text in columns["unit"]),
    )


def model_name(given: str | None, source: Path) -> str:
    """Return the model's name; by default the file's, in letters a name may have."""
    from model.manifest import NAME

    name = given or re.sub(r"[^a-z0-9._-]+", "-", source.stem.lower()).strip("-._")[:64]
    if not re.fullmatch(NAME, name):
        sentence = "expected a-z, 0-9, '.', '_', '-', at most 64 characters"
        raise click.UsageError(f"--name: {sentence}, got {name!r}")
    if name == BUNDLED:
        raise click.UsageError(f"--name: {BUNDLED!r} is the bundled model; choose another name")
    return name


def _list_option(flag: str, metavar: str, told: str) -> Callable[[Any], Any]:
    return click.option(flag, callback=_listed, metavar=metavar, help=told)


def _listed(_: object, option: object, value: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas."""
    if value is None:
        return None
    return tuple(name for part in value.split(",") if (name := part.strip()))


def _unit(text: str) -> tuple[str, str]:
    column, equals, unit = text.rpartition("=")
    if not (equals and column and unit):
        raise click.UsageError(f"--unit: expected COLUMN=UNIT, got {text!r}")
    return column, unit
