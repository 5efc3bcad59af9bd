"""`sonoba demo`: real weeks as prompts through a real server, and what came of it.

NumPy, gRPC and matplotlib are loaded inside the command: the command line imports this module for
every command.
"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import sonoba
    from service.demo_report import Report
    from service.replay import Array, Prompts, Score

PROMPTS_PER_CALL = 100  # few enough for the progress bar to move
TIMEOUT_SECONDS = 30.0


@click.command()
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Server to ask.  [default: one started for the demo, on free ports, and stopped after it]",
)
@click.option(
    "--out",
    default="out/demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for demo.html, errors.png and results.json.",
)
@click.option(
    "--prompts",
    "prompt_count",
    default=400,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Prompts for every number of examples.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the draw.")
def demo(address: str | None, out: Path, prompt_count: int, seed: int) -> None:
    """Replay real weeks of bike rental as prompts, beside per-prompt ridge and least squares.

    Every prompt is a few random hours of one week; the server predicts other hours of that week.
    """
    import sonoba
    from service.trial_server import TrialServerError, trial_server

    server: AbstractContextManager[str]
    server = nullcontext(address) if address else trial_server()
    try:
        with server as target, sonoba.Client(target, timeout=TIMEOUT_SECONDS) as client:
            model = client.model()
            scores = tuple(_scores(client, prompt_count, seed))
    except TrialServerError as error:
        raise click.ClickException(str(error)) from None
    except sonoba.SonobaError as error:
        raise click.ClickException(_explained(error, address)) from None
    from service.demo_report import Report

    _publish(Report(scores, model.name, model.version, seed), out)


def _explained(error: sonoba.SonobaError, address: str | None) -> str:
    from service.predict import explained

    if address is None:
        return f"the server started for the demo gave no answer: {error}"
    return explained(error, address, TIMEOUT_SECONDS)


def _scores(client: sonoba.Client, prompt_count: int, seed: int) -> Iterator[Score]:
    """Yield the scores at every number of examples, with a bar that shows how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from service.replay import CONTEXT_SIZES, draw, read_hours, score

    hours = read_hours()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for M in CONTEXT_SIZES:
            prompts = draw(hours, M, prompt_count, seed)
            task = progress.add_task(f"{M} examples, prompts", total=prompt_count)
            seconds, answers = 0.0, []
            for part in _parts(prompts, hours.features):
                start = time.perf_counter()
                answers += client.predict_many(part)
                seconds += time.perf_counter() - start
                progress.advance(task, len(part))
            yield score(prompts, _stacked(answers), seconds, seed)


def _parts(prompts: Prompts, columns: tuple[str, ...]) -> Iterator[list[sonoba.Prompt]]:
    """Yield the prompts in the client's form, some at a time."""
    import sonoba

    rows = list(zip(prompts.x, prompts.y, prompts.queries, strict=True))
    for start in range(0, len(rows), PROMPTS_PER_CALL):
        part = rows[start : start + PROMPTS_PER_CALL]
        yield [sonoba.Prompt(x, y, queries, columns) for x, y, queries in part]


def _stacked(answers: list[sonoba.Prediction]) -> Array:
    import numpy as np

    return np.array([answer.values for answer in answers], np.float64)  # (B, Q)


def _publish(report: Report, out: Path) -> None:
    """Write the page, the picture and the numbers; then print the table and what it says."""
    from rich.console import Console

    from service.demo_report import findings

    try:
        _write(report, out)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    Console().print(report.table())
    for sentence in findings(report.scores):
        click.echo(sentence)
    click.echo(f"the page is {out / 'demo.html'}")


def _write(report: Report, out: Path) -> None:
    from service.demo_page import page
    from service.demo_plot import PlotMissing, draw_plot

    out.mkdir(parents=True, exist_ok=True)
    picture = None
    try:
        draw_plot(report.scores, out / "errors.png")
        picture = (out / "errors.png").read_bytes()
    except PlotMissing as error:
        click.echo(f"no picture: {error}", err=True)
    (out / "results.json").write_text(json.dumps(report.as_json(), indent=2) + "\n")
    (out / "demo.html").write_text(page(report, picture), encoding="utf-8")
