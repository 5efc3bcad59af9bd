"""The report of an assessment: one file with both languages and every picture inside.

Nothing is fetched and there is no script: two radio buttons choose the language, and the style is
allowed by its hash alone, as in `service.report_page`.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.assess import page_read, words
from service.assess.findings import Assessment
from service.assess.pictures import pictures
from service.assess.pictures_canvas import TONES
from service.assess.pictures_conditions import hidden, kinds, state
from service.assess.sentences_decision import NEXT
from service.assess.sentences_glossary import GLOSSARY
from service.assess.words import TEXTS, Speaker
from service.report_page import POLICY, policy
from service.status_page import LANGUAGES

SIGNS = {"for": "✓", "caution": "!", "against": "✕"}
READERS: tuple[Callable[..., object], ...] = (  # what the templates call
    *(hidden, kinds, state),
    *(words.argument_words, words.change_words, words.group_name, words.quality_words),
    *(words.watch_words, words.worst_words),
    *(page_read.cell, page_read.covered, page_read.ends, page_read.levels),
    *(page_read.levels_words, page_read.methods, page_read.reasons, page_read.why),
)


def page(made: Assessment, language: str = LANGUAGES[0]) -> str:
    """Return the page of an assessment, which opens in a language and holds both."""
    voices = [Speaker(one) for one in LANGUAGES]
    unknown = {name: "" for name, _, _ in made.decision.limits.ranges}
    values = {
        "made": made,
        "main": words.main_accuracy(made),
        "voices": voices,
        "chosen": Speaker(language),
        "drawn": {one.language: pictures(made, one) for one in voices},
        "unit_of": unknown | words.units(made.offer),
    }
    text: str = _templates().get_template("assess.html.j2").render(**values)
    return text.replace(POLICY.format("'none'"), policy(text), 1)


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
    environment.globals |= {reader.__name__: reader for reader in READERS}
    return environment
