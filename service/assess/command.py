"""`sonoba assess`: may a model of this history be started? A report, a decision, and its rules.

Everything heavy is loaded inside the command: the command line imports this module for every one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click
from click.core import ParameterSource

from service.history_options import (
    Columns,
    column_options,
    model_name,
    name_option,
    roles,
    seed_option,
)
from service.progress import progress

if TYPE_CHECKING:
    from service.assess.assessing import Asked
    from service.assess.findings import Argument, Assessment
    from service.assess.written import Places

FILE = click.Path(path_type=Path)
REASONS = 3
NO_PICTURES = (
    "the pictures of the report need matplotlib: install it with "
    "pip install -c constraints.txt matplotlib"
)


@click.command()
@click.argument("history", type=FILE)
@column_options(needs_group=True)
@click.option(
    "--lang",
    type=click.Choice(["en", "ja"]),
    default="en",
    show_default=True,
    help="Language of the report.",
)
@click.option(
    "--out", type=FILE, default="report.html", show_default=True, help="File of the report."
)
@name_option
@click.option("--rules", type=FILE, help="File of the rules.  [default: NAME.rules.yaml beside it]")
@seed_option
@click.pass_context
def assess(
    context: click.Context,
    history: Path,
    lang: Literal["en", "ja"],
    out: Path,
    name: str | None,
    rules: Path | None,
    seed: int,
    **columns: Unpack[Columns],
) -> None:
    """Say whether a model of HISTORY may be started: go, pilot or no-go, with the reasons.

    HISTORY is what `sonoba pretrain` reads: a CSV file with a header or a Parquet file, a row an
    example, a column that says to which group (store, patient, week) a row belongs. Three steps:
    what the data offers, whether answers are stable, what changed conditions do. The report is one
    file that opens anywhere; beside it are the business rules that follow.

    \b
    Examples:
      sonoba assess sales.csv --group store --target sold --order day
      sonoba assess sales.csv --group store --target sold --lang ja --out assessment.html
    """
    from service.assess.written import Places

    if find_spec("matplotlib") is None:
        raise click.ClickException(NO_PICTURES)
    named = model_name(name, history)
    places = Places(out, rules or out.parent / f"{named}.rules.yaml")
    asked = _asked(context, named, history, columns, seed)
    made, replaced = _run(asked, places, lang)
    for line in _summary(made, places, replaced, lang):
        click.echo(line)
    click.echo(_next(made, context, lang))


def _asked(context: click.Context, name: str, history: Path, columns: Columns, seed: int) -> Asked:
    """Return what is to be assessed; what may be loaded slowly is loaded here."""
    from service.assess.assessing import Asked

    return Asked(name, history, roles(columns), seed, line_of(context, "assess"))


def _run(
    asked: Asked, places: Places, language: Literal["en", "ja"]
) -> tuple[Assessment, list[Path]]:
    """Assess and write; refusals are sentences and end with status 1."""
    from model.refusal import Refusal
    from service.assess.assessing import assess
    from service.assess.page import page
    from service.assess.written import Unwritable
    from service.pretrain_run import Refused
    from service.tables import TableError

    try:
        places.check(asked.source)
        replaced = places.replaced()
        with progress() as tick:
            made = assess(asked, datetime.now(UTC), tick)
            tick("writing the report", 0.99)
            places.write(page(made, language), made.decision.rules)
    except (TableError, Refused, Refusal, Unwritable) as error:
        raise click.ClickException(str(error)) from None
    return made, replaced


def _summary(
    made: Assessment, places: Places, replaced: list[Path], language: Literal["en", "ja"]
) -> Iterator[str]:
    """Yield the choice, its reasons, and where the files are."""
    from service.assess.words import Speaker, argument_words
    from service.boosting import ABSENT

    say, decision = Speaker(language), made.decision
    yield f"{say(f'choice_{decision.choice}')}: {say(f'meaning_{decision.choice}')}"
    for argument in decision.arguments[:REASONS]:
        yield f"{_sign(argument)} {argument_words(argument, made, say)}"
    if not made.stability.is_boosting_compared:
        yield say("told_notice", sentence=ABSENT)
    for kind, path in (("report", places.report), ("rules", places.rules)):
        yield say(f"told_{kind}", path=path) + (say("told_replaced") if path in replaced else "")


def _sign(argument: Argument) -> str:
    return {"for": "+", "against": "-", "caution": "!"}[argument.speaks]


def _next(made: Assessment, context: click.Context, language: Literal["en", "ja"]) -> str:
    """Return what a person does next who follows the decision: mostly a command."""
    from service.assess.words import Speaker

    say = Speaker(language)
    arguments = {argument.code: argument for argument in made.decision.arguments}
    if "leak" in arguments:
        told = arguments["leak"].detail
        leaking = [str(told["column"])] if told["count"] == 1 else ["COLUMNS"]
        given = context.params["exclude"] or ()
        excluded = shlex.quote(",".join([*given, *leaking]))
        line = f"{line_of(context, 'assess', without='exclude')} --exclude {excluded}"
    elif made.decision.choice == "no-go":
        line = say("told_stop")
    elif "no_profile" in arguments:
        line = "sonoba serve"
    else:
        line = f"{line_of(context, 'pretrain', of=PRETRAIN)} --name {made.name}"
    return say("told_next", line=line)


PRETRAIN = frozenset({"history", *Columns.__annotations__, "seed"})


def line_of(
    context: click.Context, command: str, of: frozenset[str] | None = None, without: str = ""
) -> str:
    """Return the line that gives a command what this one was given, quoted for a shell."""
    words = ["sonoba", command]
    for parameter in context.command.params:
        name = str(parameter.name)
        is_given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if is_given and name != without and (of is None or name in of):
            words += _words(parameter, context.params[name])
    return shlex.join(words)


def _words(parameter: click.Parameter, value: object) -> list[str]:
    """Return a parameter as it stands on a command line."""
    if isinstance(parameter, click.Argument):
        return [str(value)]
    flag = parameter.opts[0]
    if isinstance(value, bool):
        return [flag] if value else []
    if isinstance(value, tuple):
        texts = [str(one) for one in value]
        if parameter.multiple:
            return [word for text in texts for word in (flag, text)]
        return [flag, ",".join(texts)]
    return [flag, str(value)]
