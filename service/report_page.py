"""The pages of reports: one file with both languages and every picture inside, nothing fetched.

No script: two radio buttons choose the language. The style is allowed by its hash alone.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service import __version__
from service.report import Listed, Report
from service.report_codes import GLOSSARY
from service.report_pictures import (
    bounds_of,
    compared,
    error_words,
    gain_words,
    goal,
    has_shares,
    pictures,
    shown,
    spread,
    stages,
)
from service.report_reading import deciding, light, outcome, to_do
from service.report_rules import meaning
from service.report_words import Voice
from service.status_page import LANGUAGES

POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src {}"
READERS = {  # what the template calls
    "light": light,
    "deciding": deciding,
    "outcome": outcome,
    "to_do": to_do,
    "stages": stages,
    "compared": compared,
    "shown": shown,
    "spread": spread,
    "bounds_of": bounds_of,
    "error_words": error_words,
    "gain_words": gain_words,
    "goal": goal,
    "has_shares": has_shares,
    "meaning": meaning,
}


def page(report: Report, language: str = LANGUAGES[0]) -> str:
    """Return the page of a report, which opens in a language and holds both."""
    voices = [Voice(one) for one in LANGUAGES]
    return _rendered(
        "report.html.j2",
        report=report,
        voices=voices,
        chosen=Voice(language),
        drawn={one.language: pictures(report, one) for one in voices},
        glossary=GLOSSARY,
    )


def list_page(reports: Sequence[Listed], language: str = LANGUAGES[0]) -> str:
    """Return the list of reports in one language, in the order given."""
    return _rendered("reports.html.j2", reports=reports, say=Voice(language), languages=LANGUAGES)


def policy(page: str) -> str:
    """Return the content security policy of a page: its own style, and nothing else.

    The first style stands above everything that came with a report.
    """
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return POLICY.format(f"'sha256-{digest}'")


def _rendered(name: str, **values: object) -> str:
    text: str = _templates().get_template(name).render(version=__version__, **READERS, **values)
    return text.replace(POLICY.format("'none'"), policy(text), 1)


@cache
def _templates() -> Environment:
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    status = files("service").joinpath("page", "page.css").read_text(encoding="utf-8")
    environment.globals |= {"status_style": status, "light_colours": status.partition("}")[0] + "}"}
    environment.globals |= {"closed_policy": POLICY.format("'none'")}
    return environment
