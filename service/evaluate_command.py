"""`sonoba evaluate`: ask a re-evaluator for an evaluation, and wait for what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from service.channel_options import tls_options

if TYPE_CHECKING:
    from service.operations_client import OperationsClient, Told
    from sonoba import Tls

ADDRESS = "127.0.0.1:50052"
LOOK_SECONDS = 1.0
ENDS = ("DONE", "FAILED", "REJECTED", "ROLLED_BACK", "PROPOSED")


class Reached(NamedTuple):
    """How a command reaches a re-evaluator."""

    address: str  # empty: none was named
    token_file: Path | None
    tls: Tls | None


def operations_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options with which it reaches a re-evaluator; it takes them as `at`."""

    @wraps(command)
    def reaching(
        *arguments: Any, address: str, token_file: Path | None, tls: Tls | None, **more: Any
    ) -> Any:
        return command(*arguments, at=Reached(address, token_file, tls), **more)

    token = click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SONOBA_ADMIN_TOKEN_FILE",
        help="File whose first line is the operators' token, or yours.  [SONOBA_ADMIN_TOKEN_FILE]",
    )
    address = click.option(
        "--address", default="", metavar="HOST:PORT", help="Admin port of a re-evaluator."
    )
    return address(token(tls_options(reaching)))


@contextmanager
def opened_operations(at: Reached) -> Iterator[OperationsClient]:
    """Open a client of a re-evaluator; whatever it refuses is a sentence and status 1."""
    from service.operations_client import OperationsError, operations

    if at.token_file is None:
        raise click.ClickException("--token-file: expected the file of the operators' token")
    try:
        with operations(at.address or ADDRESS, at.token_file, at.tls) as client:
            yield client
    except OperationsError as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("model")
@operations_options
@click.option("--wait", "is_waiting", is_flag=True, help="Wait until it is at its end.")
@click.option(
    "--trigger",
    type=click.Choice(["operator", "schedule"]),
    default="operator",
    show_default=True,
    help="Who asks: a person, or a timetable.",
)
@click.option("--reason", default="", help="Why, for the audit log.")
@click.option("--key", default="", help="Requests with one key make one evaluation.")
def evaluate(
    model: str, at: Reached, is_waiting: bool, trigger: str, reason: str, key: str
) -> None:
    """Ask for an evaluation of MODEL and print its id; while one goes on, it is that one.

    With --wait the status is 1 where it failed.
    """
    with opened_operations(at) as client:
        evaluation = client.evaluate(model, trigger, reason, key)
        click.echo(evaluation)
        if not is_waiting:
            return
        told = _ended(client, model, evaluation)
    for line in _lines(told):
        click.echo(line)
    if told.state == "FAILED":
        raise click.ClickException(f"the evaluation failed: {told.sentence}")


def _ended(client: OperationsClient, model: str, evaluation: str) -> Told:
    """Return an evaluation once it is at its end; say where it stands meanwhile."""
    state = ""
    while True:
        told = next(one for one in client.latest(model) if one.evaluation == evaluation)
        if told.state != state:
            click.echo(f"  {told.state.lower().replace('_', ' ')}")
            state = told.state
        if state in ENDS:
            return told
        time.sleep(LOOK_SECONDS)


def _lines(told: Told) -> Iterator[str]:
    """Yield what an evaluation came to."""
    if told.verdict:
        yield f"verdict    {told.verdict} ({told.reason})"
        yield f"           {told.sentence}"
    if told.action:
        yield f"action     {told.action} by the rule {told.rule}"
    if told.candidate_version:
        yield f"candidate  {told.candidate_version}, judged beside {told.model_version}"
    if told.report_url:
        yield f"report     {told.report_url}"
