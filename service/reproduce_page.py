"""The report of `sonoba reproduce`: one HTML file with its pictures inside, nothing fetched."""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from service import __version__
from service.reproduce_report import Panel, Verdict

TEMPLATE = "reproduce.html.j2"


def page(panels: Sequence[Panel], pictures: Mapping[str, bytes], seconds: float) -> str:
    """Return the report; pictures are PNGs by the panels' keys."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    templates.filters |= {"number": number}
    rendered: str = templates.get_template(TEMPLATE).render(
        panels=panels,
        pictures={key: base64.b64encode(raw).decode() for key, raw in pictures.items()},
        counts={str(v): sum(panel.count(v) for panel in panels) for v in Verdict},
        seconds=seconds,
        version=__version__,
    )
    return rendered


def number(value: float) -> str:
    """Return a number as a table shows it.

    >>> [number(v) for v in (0.0, 1.0, 0.275862, 391.174, 5.6e-7, float("nan"))]
    ['0', '1', '0.2759', '391.2', '5.6e-07', '–']
    """
    return f"{value:.4g}" if math.isfinite(value) else "–"
