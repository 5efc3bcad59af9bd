"""`sonoba predict`: labelled rows and rows to answer, from files, through a running server.

Predictions go to stdout or a file; what the server says about them goes to stderr. NumPy, gRPC and
DuckDB are loaded inside the command: the command line imports this module for every command.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.channel_options import tls_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sonoba
    from service.tables import Array, Table

ADDRESS = "127.0.0.1:50051"
QUERIES_PER_CALL = 4096  # the server's default limit; more rows are sent in several calls
WARNINGS_SHOWN = 10
BOUNDS = ("lower", "upper")


@click.command()
@click.option(
    "--context",
    "context_file",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV or Parquet file of the examples: one row each, with features and target.",
)
@click.option("--target", required=True, metavar="COLUMN", help="Column of the context to predict.")
@click.option(
    "--query",
    "query_file",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV or Parquet file of the rows to answer; its columns may come in any order.",
)
@click.option(
    "--features",
    metavar="A,B,C",
    help="Columns to predict from, separated by commas.  [default: every column of the "
    "context that holds numbers, but the target]",
)
@click.option(
    "--model", default="", metavar="NAME", help="Model that answers.  [default: the server's]"
)
@click.option(
    "--interval",
    "level",
    metavar="LEVEL",
    type=float,
    help="Add the columns `lower` and `upper`, between which the truth should lie this often: "
    "0.80, 0.90 or 0.95.",
)
@click.option(
    "--address",
    default=ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the server is.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File whose first line is the token that the server asks for.",
)
@tls_options
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Longest wait for an answer.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV file to write the predictions to.  [default: stdout]",
)
def predict(
    context_file: Path,
    target: str,
    query_file: Path,
    features: str | None,
    model: str,
    level: float | None,
    address: str,
    token_file: Path | None,
    tls: sonoba.Tls | None,
    timeout: float,
    out: Path | None,
) -> None:
    """Predict a column of one file from the labelled rows of another.

    Prints the rows of the query file with a column `prediction` behind them, and `lower` and
    `upper` before it with --interval. A value of true counts as 1, of false as 0; text and dates
    are left out of the features.
    """
    import sonoba
    from service.table_files import read_table
    from service.tables import TableError, write_predictions

    try:
        context, query = read_table(context_file), read_table(query_file)
        _check_bounds(query, level)
        columns = _features(context, target, features)
        prompt = context.matrix(columns), context.numbers(target), query.matrix(columns)
        _notice_columns(context, query, target, columns if features is None else None)
        with _connected(address, timeout, model, token_file, tls) as client:
            answers = list(_answers(client, *prompt, columns, level))
        _report(answers, *prompt[0].shape)
        values = (value for answer in answers for value in answer.values)
        write_predictions(_with_bounds(query, answers), values, sys.stdout, out)
    except TableError as error:
        raise click.ClickException(str(error)) from None
    except sonoba.SonobaError as error:
        sentence = explained(error, address, timeout)
        if tls is not None and isinstance(error, sonoba.Unavailable):
            sentence += "; or its certificate is not of these authorities for this name"
        raise click.ClickException(sentence) from None


def _connected(
    address: str, timeout: float, model: str, token_file: Path | None, tls: sonoba.Tls | None
) -> sonoba.Client:
    """Return a client; a file it cannot use is a sentence and status 1."""
    import sonoba

    try:
        return sonoba.Client(address, timeout=timeout, model=model, token=token_file, tls=tls)
    except (OSError, ValueError) as error:
        why = str(error)
        if isinstance(error, OSError):
            why = f"{error.filename}: {error.strerror}"
        raise click.ClickException(why.replace("tls: ", "--tls-ca: ").split(";")[0]) from None


def explained(error: sonoba.SonobaError, address: str, timeout: float) -> str:
    """Return why a call gave no answer, and what to do where that is known."""
    import sonoba

    if isinstance(error, sonoba.Unavailable):
        return f"no sonoba server answers at {address}; start one with `sonoba serve`"
    if isinstance(error, sonoba.DeadlineExceeded):
        return f"no answer from {address} within {timeout:g} s; allow more with --timeout"
    return str(error)


def _features(context: Table, target: str, asked: str | None) -> list[str]:
    """Return the columns to predict from: those asked for, or all numbers but the target."""
    from service.tables import Kind, TableError

    context.numbers(target)
    if asked is None:
        names = [name for name in context.names if name != target]
        for name in names:
            column = context.column(name)
            if column.kind is Kind.TEXT and column.is_mostly_numbers:
                context.numbers(name)  # a slip among numbers: refused, never left out unseen
        chosen = [name for name in names if context.column(name).kind is Kind.NUMBER]
    else:
        chosen = [name for part in asked.split(",") if (name := part.strip())]
    if not chosen:
        raise TableError(f"{context.source}: there is no column of numbers beside {target!r}")
    for name in chosen:
        if name == target or chosen.count(name) > 1:
            fault = "is the target" if name == target else "is named twice"
            raise TableError(f"--features: {name!r} {fault}")
    return chosen


def _notice_columns(context: Table, query: Table, target: str, default: list[str] | None) -> None:
    """Tell which columns play no part; `default` are the features when the caller named none."""
    if target in query.columns:
        _say("notice", f"{query.source}: the target {target!r} is not looked at")
    if default is None:
        return
    left = [name for name in context.names if name not in {*default, target}]
    if left:
        kinds = ", ".join(f"{name} ({context.column(name).kind.value})" for name in left)
        _say("notice", f"{context.source}: no features are made of {kinds}")


def _answers(
    client: sonoba.Client,
    x: Array,
    y: Array,
    queries: Array,
    columns: list[str],
    level: float | None,
) -> Iterator[sonoba.Prediction]:
    """Yield the answers to the queries, call by call."""
    for start in range(0, len(queries), QUERIES_PER_CALL):
        part = queries[start : start + QUERIES_PER_CALL]
        levels = () if level is None else level
        yield client.predict(x, y, part, columns=columns, levels=levels)


def _check_bounds(query: Table, level: float | None) -> None:
    """Refuse, before anything is asked, a query file whose columns the bounds would replace."""
    from service.tables import TableError

    taken = [name for name in BOUNDS if name in query.columns]
    if level is not None and taken:
        raise TableError(f"{query.source}: rename the column {taken[0]!r}, it is for the interval")


def _with_bounds(query: Table, answers: list[sonoba.Prediction]) -> Table:
    """Return the query's rows with the bounds of their answers, where there are any."""
    import numpy as np

    from service.tables import Column, Kind, Table

    intervals = [answer.intervals[0] for answer in answers if answer.intervals]
    if not intervals:
        return query
    columns = dict(query.columns)
    for name in BOUNDS:
        values = np.concatenate([getattr(interval, name) for interval in intervals])  # (n,)
        texts = tuple(repr(value) for value in values.tolist())
        columns[name] = Column(Kind.NUMBER, texts, values)
    return Table(query.source, columns)


def _report(answers: list[sonoba.Prediction], M: int, d: int) -> None:
    """Say what answered, from what, and every caution."""
    query_count = sum(len(answer.values) for answer in answers)
    for model, version in sorted({(answer.model, answer.model_version) for answer in answers}):
        _say("model", f"{model}, version {version}")
    for mode, solver in sorted({(answer.mode, answer.solver) for answer in answers}):
        _say("mode", f"{mode}, solver {solver}" if solver else mode)
    _say("prompt", f"{M} examples of {d} features, {query_count} queries")
    cautions = [warning for answer in answers for warning in answer.warnings]
    for warning in cautions[:WARNINGS_SHOWN]:
        _say("warning", f"{warning.code}: {warning.message}")
    if len(cautions) > WARNINGS_SHOWN:
        _say("warning", f"and {len(cautions) - WARNINGS_SHOWN} more")


def _say(word: str, sentence: str) -> None:
    click.echo(f"{word:<8} {sentence}", err=True)
