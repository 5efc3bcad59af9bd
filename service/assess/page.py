"""The report of an assessment: one file with both languages and every picture inside.

Nothing is fetched and there is no script: two radio buttons choose the language, and the style is
allowed by its hash alone, as in `service.report_page`.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.assess.findings import Accuracy, Argument, Assessment, Bounds, ColumnFound
from service.assess.pictures import pictures
from service.assess.pictures_canvas import TONES
from service.assess.pictures_conditions import hidden, kinds, state
from service.assess.sentences_decision import NEXT
from service.assess.sentences_glossary import GLOSSARY
from service.assess.words import (
    TEXTS,
    Speaker,
    argument_words,
    change_words,
    main_accuracy,
    quality_words,
    units,
    watch_words,
    worst_words,
)
from service.held_out import MEAN, METHODS, PROFILE
from service.report_page import POLICY, policy
from service.status_page import LANGUAGES

REASONS = 3
LEVELS_NAMED = 4
SIGNS = {"for": "✓", "caution": "!", "against": "✕"}


def page(made: Assessment, language: str = LANGUAGES[0]) -> str:
    """Return the page of an assessment, which opens in a language and holds both."""
    voices = [Speaker(one) for one in LANGUAGES]
    text: str = (
        _templates()
        .get_template("assess.html.j2")
        .render(
            made=made,
            main=main_accuracy(made),
            voices=voices,
            chosen=Speaker(language),
            drawn={one.language: pictures(made, one) for one in voices},
            unit_of=_feature_units(made),
        )
    )
    return text.replace(POLICY.format("'none'"), policy(text), 1)


def why(made: Assessment, say: Speaker) -> str:
    """Return the one sentence that says why."""
    main, choice = main_accuracy(made), made.decision.choice
    beside = [one.ratio for one in main.methods if one.method == MEAN] if main else []
    typical = say.of_target(main.typical_error if main else None, made.offer.target)
    return say(
        f"why_{choice}",
        held_out=say.count(made.offer.held_out_groups),
        gap=say.gap(beside[0] if beside else Bounds(*3 * (float("nan"),))),
        typical=typical,
        count=say.count(sum(one.speaks == "caution" for one in made.decision.arguments)),
    )


def reasons(made: Assessment) -> Sequence[Argument]:
    """Return the three weightiest arguments; of a pilot, one that speaks for it among them."""
    every = made.decision.arguments
    good = [one for one in every if one.speaks == "for"]
    if made.decision.choice == "pilot" and good:
        return (
            *(*[one for one in every if one.speaks != "for"], *good[1:])[: REASONS - 1],
            good[0],
        )
    return (good if made.decision.choice == "go" else every)[:REASONS]


def methods(made: Assessment) -> list[str]:
    """Return the methods that were judged, ours first."""
    judged = {one.method for cell in made.stability.accuracy for one in cell.methods}
    return [name for name in METHODS if name in judged]


def cell(accuracy: Accuracy, method: str, say: Speaker) -> tuple[str, ...]:
    """Return a method's error, and ours against it."""
    found = [one for one in accuracy.methods if one.method == method]
    if not found:
        return ("–",)
    error = say.number(found[0].error)
    return (error,) if method == PROFILE else (error, say.gap(found[0].ratio))


def levels_words(column: ColumnFound, say: Speaker) -> str:
    """Return the first levels of a category."""
    named = [level for level in column.levels if level]
    text = say("separator").join(named[:LEVELS_NAMED])
    more = len(named) - LEVELS_NAMED
    return say("levels_more", names=text, count=say.count(more)) if more > 0 else text


def _feature_units(made: Assessment) -> dict[str, str]:
    """Return the unit of every feature that limits may name."""
    known = units(made.offer)
    ranges = {name: "" for name, _, _ in made.decision.limits.ranges}
    return ranges | known


@cache
def _templates() -> Environment:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    status = files("service").joinpath("page", "page.css").read_text(encoding="utf-8")
    environment.globals |= {"status_style": status, "light_colours": status.partition("}")[0] + "}"}
    environment.globals |= {"closed_policy": POLICY.format("'none'"), "tones": list(TONES)}
    environment.globals |= {"texts": TEXTS, "signs": SIGNS, "steps": NEXT, "glossary": GLOSSARY}
    readers = (why, reasons, methods, cell, levels_words, kinds, hidden, state)
    words = (quality_words, argument_words, worst_words, change_words, watch_words)
    environment.globals |= {reader.__name__: reader for reader in (*readers, *words)}
    return environment
