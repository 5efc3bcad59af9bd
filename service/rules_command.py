"""`sonoba rules`: whether a file of business rules is right, and which rules are in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from service.business_rules import BusinessRules

FILE = click.Path(path_type=Path)
HEAD = """\
# Business rules of the re-evaluator: what must hold before a version changes, and who decides.
# These are the defaults: keep what you change, `sonoba rules check FILE` reads it as the
# re-evaluator will (SONOBA_RULES_FILE). A time is seconds, or 90s, 30m, 6h, 7d. What a model names
# under `models` is its own; everything else it has from `defaults`.
version: 1
defaults:
"""
TAIL = """\
models: {}
#  bikes:
#    recalibrate: approve
#    cool_down_seconds: 1d
"""


@click.group()
def rules() -> None:
    """Check a file of business rules, and show the rules in force."""


@rules.command()
@click.argument("file", type=FILE)
@click.option("--store", "folder", type=FILE, help="Folder of the models that the file may name.")
def check(file: Path, folder: Path | None) -> None:
    """Read FILE as the re-evaluator does; ends with status 1 where it would not start."""
    from model.store import Store

    found = _read(file)
    stored = Store(folder).names() if folder else None
    for name in sorted(found.models):
        if stored is not None and name not in stored:
            click.echo(f"WARNING: models.{name}: {folder} has no such model", err=True)
    for name in ("", *found.models):
        place = f"models.{name}" if name else "defaults"
        click.echo(f"{place}: {', '.join(found.changed(name)) or 'nothing'} changed")
    click.echo(f"{file}: right")


@rules.command()
@click.option("--file", type=FILE, help="The business rules; without a file the defaults hold.")
@click.option("--model", default="", metavar="NAME", help="The model whose rules to show.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the defaults as a file to begin with.")
def show(file: Path | None, model: str, as_yaml: bool) -> None:
    """Show every rule with its value and what it means; a star marks what the file changes."""
    from rich.console import Console

    from service.business_rules import default_rules

    if as_yaml:
        click.echo(default_file(), nl=False)
        return
    found = _read(file) if file else default_rules()
    source = f"from {file}" if file else "the defaults, no file was named"
    click.echo(f"rules of {model or 'every model without its own'}: {source}")
    Console().print(_table(found, model))


def default_file() -> str:
    """Return the defaults as a file, each with its sentence."""
    from service.rule_values import RuleValues

    rules = RuleValues.model_fields.items()
    lines = (f"  # {field.description}\n  {name}: {_value(name)}\n" for name, field in rules)
    return HEAD + "".join(lines) + TAIL


def _value(name: str, of: object = None) -> str:
    """Return a rule's value as a file writes it."""
    from service.rule_values import DEFAULT, duration_of

    value = getattr(of or DEFAULT, name)
    if name.endswith(("seconds", "seconds_max")):
        return duration_of(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(file: Path) -> BusinessRules:
    from service.business_rules import RulesError, read

    try:
        return read(file)
    except RulesError as error:
        raise click.ClickException(str(error)) from None


def _table(found: BusinessRules, model: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.rule_values import RuleValues

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "rule", "value", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "rule")
    in_force, changed = found.for_model(model), found.changed(model)
    for name, field in RuleValues.model_fields.items():
        star = "*" if name in changed else ""
        table.add_row(star, name, _value(name, in_force), field.description)
    return table
