"""`sonoba demo`: a profile of some real weeks, others as prompts through a real server.

NumPy, gRPC and matplotlib are loaded inside the command: the command line imports this module for
every command.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sonoba
    from service.demo_loop import Tokens
    from service.demo_profile import Pretrained
    from service.demo_report import Report
    from service.demo_shift import Act, Send
    from service.replay import Array, Hours, Prompts, Score
    from service.trial_server import Trial

PROMPTS_PER_CALL = 100  # few enough for the progress bar to move
TIMEOUT_SECONDS = 30.0


@click.command()
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Server whose default model is asked.  [default: one started for the demo, with a profile "
    "pretrained for it, on free ports, and stopped after it]",
)
@click.option(
    "--out",
    default="out/demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for demo.html, errors.png, results.json, and the profile's history.csv and store.",
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
@click.option(
    "--keep", is_flag=True, help="Keep the server until a key is pressed, to look at its page."
)
def demo(address: str | None, out: Path, prompt_count: int, seed: int, keep: bool) -> None:
    """Learn from some weeks of bike rental, and replay the later ones as prompts.

    The earliest 60 % of the weeks are the history of a profile. Every prompt is a few random hours
    of another week; the server predicts further hours of it, by the profile and by the foundation
    model, which knows no history. Ridge, least squares and the mean of each prompt stand beside. In
    the end the clock of the prompts is set to UTC, which nobody tells the server: its page says NO,
    an alert starts a re-evaluation, and a recalibrated version takes over.
    """
    import sonoba
    from service.demo_loop import new_tokens
    from service.replay import read_hours
    from service.trial_server import TrialServerError

    hours = read_hours()
    pretrained = None if address else _pretrained(out, hours.first_replayed())
    tokens = new_tokens(out) if pretrained else None
    server = _server(address, pretrained, tokens)
    try:
        with server as there, sonoba.Client(there.address, timeout=TIMEOUT_SECONDS) as client:
            report = _replayed(client, there.page, pretrained, hours, prompt_count, seed)
            if tokens:
                report = _mended(report, client, there, tokens, hours, out)
            _publish(report, out)
            if keep and pretrained:
                click.echo(f"the server's own page is {there.page}; any key ends it")
                click.getchar()
    except TrialServerError as error:
        raise click.ClickException(str(error)) from None
    except sonoba.SonobaError as error:
        raise click.ClickException(_explained(error, address)) from None


def _server(
    address: str | None, pretrained: Pretrained | None, tokens: Tokens | None
) -> AbstractContextManager[Trial]:
    """Return where the server is: elsewhere, or one of our own that a re-evaluator may ask."""
    from service.trial_server import Trial, trial_server

    if pretrained is None or tokens is None:
        return nullcontext(Trial(str(address), ""))
    return trial_server(*pretrained.flags(), *tokens.flags(), "--store-poll-seconds", "0.5")


def _replayed(
    client: sonoba.Client,
    page: str,
    pretrained: Pretrained | None,
    hours: Hours,
    prompt_count: int,
    seed: int,
) -> Report:
    """Return what the prompts of the later weeks show, the last act with them."""
    from service.demo_report import Report

    model, replayed = client.model(), hours.replayed()
    scores = tuple(_scores(client, pretrained, replayed, prompt_count, seed))
    act = _last_act(client, page, replayed, seed) if pretrained else None
    weeks = hours.first_replayed(), int(hours.week.max())
    return Report(scores, model.name, model.version, seed, weeks, act)


def _explained(error: sonoba.SonobaError, address: str | None) -> str:
    from service.predict import explained

    if address is None:
        return f"the server started for the demo gave no answer: {error}"
    return explained(error, address, TIMEOUT_SECONDS)


def _pretrained(out: Path, first_replayed: int) -> Pretrained:
    """Return the profile of the weeks before, with a bar that shows how far it is."""
    from model.refusal import Refusal
    from model.version_folder import StoreError
    from service.demo_profile import pretrain
    from service.pretrain_run import Refused
    from service.tables import TableError

    try:
        with _bar("pretraining", 1.0) as tell:
            return pretrain(out, first_replayed, lambda stage, share: tell(share, stage))
    except (TableError, StoreError, Refused, Refusal) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@contextmanager
def _bar(stage: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on stderr; it is told how much is done, and of what."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(stage, total=total)
        yield lambda done, what: progress.update(task, completed=done, description=what)


def _scores(
    client: sonoba.Client,
    pretrained: Pretrained | None,
    hours: Hours,
    prompt_count: int,
    seed: int,
) -> Iterator[Score]:
    """Yield the scores at every number of examples, with a bar that shows how far it is."""
    from service.replay import CONTEXT_SIZES, SONOBA, draw, score

    models = pretrained.models() if pretrained else {SONOBA: ""}
    boosting = pretrained.boosting if pretrained else None
    with _bar("prompts", float(len(CONTEXT_SIZES) * len(models) * prompt_count)) as tell:
        done = 0
        for M in CONTEXT_SIZES:
            prompts = draw(hours, M, prompt_count, seed)
            seconds, served = 0.0, {}
            for name, model in models.items():
                answers: list[sonoba.Prediction] = []
                for part in _parts(prompts, hours.features):
                    start = time.perf_counter()
                    answers += client.predict_many(part, model=model)
                    seconds += time.perf_counter() - start
                    tell(done := done + len(part), f"prompts of {M} examples, {name}")
                served[name] = _stacked(answers)
            yield score(prompts, served, seconds, seed, boosting)


def _last_act(client: sonoba.Client, page: str, hours: Hours, seed: int) -> Act:
    """Set the clock to UTC, with a bar; return what the page said."""
    from service.demo_shift import play

    with _bar("the last act", 1.0) as tell:
        return play(_sender(client, hours), page, hours, seed, tell)


def _mended(
    report: Report, client: sonoba.Client, there: Trial, tokens: Tokens, hours: Hours, out: Path
) -> Report:
    """Let the alert start a re-evaluation, with a bar; return the report with what came of it."""
    from service.demo_loop import mend, reevaluating

    if report.act is None or not report.act.prompt_count:
        return report  # the page saw nothing, so there is no alert
    replayed, send = hours.replayed(), _sender(client, hours)
    with _bar("the re-evaluation", 1.0) as tell, reevaluating(there, out, tokens) as alarm:
        found = mend(send, there.page, alarm, replayed, report.seed, report.act.usual, tell)
    return replace(report, mended=found, reports=out / "reports")


def _sender(client: sonoba.Client, hours: Hours) -> Send:
    """Return what sends prompts to the default model and returns its answers (B, Q)."""

    def send(prompts: Prompts) -> Array:
        parts = _parts(prompts, hours.features)
        return _stacked([one for part in parts for one in client.predict_many(part)])

    return send


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

    try:
        _write(report, out)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    Console().print("", report.table(), "", sep="\n")
    if report.act:
        Console().print(report.loop_table(), "", sep="\n")
    for sentence in report.findings():
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
