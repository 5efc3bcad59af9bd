"""`sonoba template NAME`: a prompt to fill in, made of a model's schema, one example filled."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

import click

from service.store_option import STORE

ANY_FEATURES = ("feature_1", "feature_2")
FOUNDATION = "foundation"


class Template(NamedTuple):
    """What the example of a template is made of; the label stands last."""

    features: tuple[str, ...]
    label: str
    example: tuple[float, ...]  # (d + 1,)


@click.command()
@click.argument("name")
@STORE
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="csv: the examples, for `sonoba predict`; json: a whole request, for grpcurl.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: stdout]")
def template(name: str, folder: Path, kind: str, out: Path | None) -> None:
    """Print a prompt to fill in for a model: its columns in order and one filled example.

    The example holds the means of the history: replace it, and add a row for each example. What a
    column means and which values it had, `sonoba models show NAME` tells.
    """
    from model.version_folder import StoreError

    try:
        found = Template(ANY_FEATURES, "label", (1.5, 0.5, 10.0))
        if name != FOUNDATION:
            found = stored_template(folder, name)
        text = as_csv(found) if kind == "csv" else as_json(found, name)
        if out is None:
            click.echo(text, nl=False)
            return
        out.write_text(text, encoding="utf-8")
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise click.ClickException(f"--out: {out}: {reason}") from None
    d = len(found.features)
    click.echo(f"wrote {out}: {d} feature{'s' * (d > 1)}, then {found.label}, one example")


def stored_template(folder: Path, name: str) -> Template:
    """Return the template of the version in force; 0/1 features are 0 in the example."""
    from model.store import Store

    manifest = Store(folder).load(name).manifest
    if (schema := manifest.feature_schema) is None:  # a layer, which no history was told to
        names = manifest.schema_of_model().names or ANY_FEATURES
        return Template(names, "label", (*(0.0 for _ in names), 10.0))
    features = tuple(feature.name for feature in schema.features)
    example = [0.0 if f.unit == "0 or 1" else rounded(f.mean, f.deviation) for f in schema.features]
    label = rounded(schema.label.mean, schema.label.deviation)
    return Template(features, schema.label.name, (*example, label))


def rounded(mean: float, deviation: float) -> float:
    """Return a mean with the digits that its deviation makes sense of.

    >>> rounded(1234.5678, 10.0), rounded(0.123456, 0.01), rounded(5.0, 0.0)
    (1234.6, 0.1235, 5.0)
    """
    if not deviation:
        return mean
    from math import floor, log10

    return round(mean, 2 - floor(log10(deviation)))


def as_csv(found: Template) -> str:
    """Return the header and the example as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[*found.features, found.label], map(_number, found.example)])
    return text.getvalue()


def as_json(found: Template, name: str) -> str:
    """Return a request of one example and one query as JSON that grpcurl takes, a field a line."""
    *row, label = map(_number, found.example)
    rows = {"row_count": 1, "column_count": len(row), "values": row}
    request = {
        "model": name,
        "columns": found.features,
        "examples": {"features": rows, "labels": {"values": [label]}},
        "queries": rows,
    }
    fields = [
        f'  "{field}": {json.dumps(value, ensure_ascii=False)}' for field, value in request.items()
    ]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _number(value: float) -> float | int:
    """Return a number without a needless point."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
