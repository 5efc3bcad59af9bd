"""The pictures of a report: SVG whose widths are percent and whose heights are pixels.

So text keeps its size from a phone to paper. Colours come from the page's style, shapes and words
say the same without them; every text is escaped by ElementTree.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree as Xml

EDGE = 2.5  # percent left free on both sides, so that marks stay inside
NAME_PIXELS = 250  # of a row's label; the whole name is in the table
SHARE_LEFT = 68.0  # percent, where the bars of shares begin
SPAN_MIN, SPAN_MAX = 2.5, 6.0  # of the columns' axis, reference deviations
ROW, HEAD, FOOT = 46, 6, 24  # pixels
MOVED_ROW, MOVED_HEAD = 64, 24

Bounds = tuple[float, float, float]  # mean, lower, upper


class Line(NamedTuple):
    """A vertical line beside the marks of all rows."""

    value: float
    style: str  # "normal", "alarm", "zero" or "goal"


class Row(NamedTuple):
    """One interval with its words."""

    label: str
    value: str
    bounds: Bounds | None
    is_new: bool = False  # of the new version: a diamond, not a circle
    is_hollow: bool = False
    limit: float | None = None


class Axis(NamedTuple):
    """What the rows share; words stand at both ends below."""

    low: float
    high: float
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    left: str = ""
    right: str = ""


class Moved(NamedTuple):
    """One column; the window in reference deviations from the reference's mean."""

    name: str
    detail: str
    share_words: str
    share: float | None
    centre: float | None
    spread: float
    words: str  # for who cannot see


def intervals(key: str, title: str, rows: Sequence[Row], axis: Axis) -> str:
    """Return one row for each interval above a common axis; `key` makes ids unique."""
    height = HEAD + ROW * len(rows) + FOOT
    words = "; ".join(f"{row.label}: {row.value}" for row in rows)
    svg = _canvas(key, title, words, height)
    bottom = height - FOOT
    for place, row in enumerate(rows):
        top = HEAD + ROW * place
        for line in axis.lines:  # beside the marks only: a line through words is hard to read
            _line(svg, _at(line.value, axis), (top + 19, top + 39), f"rule {line.style}")
        _interval(svg, row, axis, top)
    _line(svg, (0.0, 100.0), bottom, "axis")
    for value, label in axis.ticks:
        _text(svg, label, _at(value, axis), bottom + 16, "tick middle")
    _text(svg, axis.left, 0.0, bottom + 16, "tick")
    _text(svg, axis.right, 100.0, bottom + 16, "tick end")
    return _written(svg)


def moved(key: str, title: str, heading: str, columns: Sequence[Moved]) -> str:
    """Return one row for each column: where it lies, where it lay, its share of the harm."""
    height = MOVED_HEAD + MOVED_ROW * len(columns)
    svg = _canvas(key, title, "; ".join(one.words for one in columns), height)
    _text(svg, heading, 100.0, 14, "tick end")
    reached = [abs(one.centre) + one.spread for one in columns if one.centre is not None]
    span = min(max([SPAN_MIN, *reached]), SPAN_MAX)
    for place, one in enumerate(columns):
        _moved(svg, one, span, MOVED_HEAD + MOVED_ROW * place)
    return _written(svg)


def ticks(high: float, step: float) -> list[tuple[float, str]]:
    """Return an axis's values and labels from 0 on.

    >>> ticks(2.4, 1.0)
    [(0.0, '0'), (1.0, '1'), (2.0, '2')]
    """
    return [(n * step, f"{n * step:g}") for n in range(int(high / step) + 1)]


def shortened(text: str, pixels: float = NAME_PIXELS) -> str:
    """Return a text that fits, with an ellipsis where it was cut.

    >>> shortened("temperature"), shortened("a" * 40, 60), shortened("気温" * 9, 60)
    ('temperature', 'aaaaaaa…', '気温気…')
    """
    room = pixels
    for place, letter in enumerate(text):
        room -= 15 if unicodedata.east_asian_width(letter) in "WF" else 7.5
        if room < 0:
            return text[: max(1, place - 1)] + "…"
    return text


def _interval(svg: Xml.Element, row: Row, axis: Axis, top: int) -> None:
    _text(svg, shortened(row.label), 0.0, top + 14, "name")
    _text(svg, row.value, 100.0, top + 14, "value end")
    if row.bounds is None:
        return
    mean, lower, upper = (_at(value, axis) for value in row.bounds)
    middle = top + 29
    tone = "new" if row.is_new else "old"
    _line(svg, (lower, upper), middle, f"interval {tone}")
    if row.limit is not None:
        _line(svg, _at(row.limit, axis), (top + 20, top + 38), "limit")
    shape = "M0-8 8 0 0 8-8 0Z" if row.is_new else "M-6.5 0a6.5 6.5 0 1 1 13 0a6.5 6.5 0 1 1-13 0Z"
    if not axis.low <= row.bounds[0] <= axis.high:  # an arrow at the edge: it goes on
        shape = "M-5-7 6 0-5 7Z" if row.bounds[0] > axis.high else "M5-7-6 0 5 7Z"
    _mark(svg, shape, mean, middle, f"mark {tone}{' hollow' if row.is_hollow else ''}")


def _moved(svg: Xml.Element, one: Moved, span: float, top: int) -> None:
    track = Axis(-span, span, (), ())
    narrow = (SHARE_LEFT - 6) / 100  # the track leaves room for the bars
    _text(svg, shortened(one.name), 0.0, top + 14, "name strong")
    _text(svg, one.share_words, 100.0, top + 14, "value end")
    _text(svg, one.detail, 0.0, top + 31, "tick")
    middle = top + 47
    band = _at(-1.0, track) * narrow, _at(1.0, track) * narrow
    _box(svg, 0.0, (SHARE_LEFT - 6), middle - 1, 2, "track")
    _box(svg, band[0], band[1] - band[0], middle - 8, 16, "band")
    if one.centre is not None:
        ends = (one.centre - one.spread, one.centre + one.spread)
        lower, upper, mean = (_at(value, track) * narrow for value in (*ends, one.centre))
        _line(svg, (lower, upper), middle, "interval new")
        shape = "M0-8 8 0 0 8-8 0Z"
        if abs(one.centre) > span:
            shape = "M-5-7 6 0-5 7Z" if one.centre > 0 else "M5-7-6 0 5 7Z"
        _mark(svg, shape, mean, middle, "mark new")
    if one.share is not None:
        width = 100 - SHARE_LEFT
        _box(svg, SHARE_LEFT, width, middle - 5, 10, "track")
        _box(svg, SHARE_LEFT, width * min(max(one.share, 0.0), 1.0), middle - 5, 10, "share")


def _at(value: float, axis: Axis) -> float:
    """Return where a value lies, percent; one beyond the axis at its edge."""
    share = (min(max(value, axis.low), axis.high) - axis.low) / (axis.high - axis.low)
    return EDGE + share * (100 - 2 * EDGE)


def _canvas(key: str, title: str, words: str, height: int) -> Xml.Element:
    names = f"{key}-title {key}-desc"
    size = {"width": "100%", "height": str(height)}
    svg = Xml.Element("svg", {"class": "plot", "role": "img", "aria-labelledby": names, **size})
    Xml.SubElement(svg, "title", {"id": f"{key}-title"}).text = title
    Xml.SubElement(svg, "desc", {"id": f"{key}-desc"}).text = words
    return svg


def _line(
    svg: Xml.Element,
    x: float | tuple[float, float],
    y: float | tuple[float, float],
    style: str,
) -> None:
    """Add a line; one number stands for both of its ends."""
    (left, right), (top, bottom) = (v if isinstance(v, tuple) else (v, v) for v in (x, y))
    ends = {"x1": f"{left:.2f}%", "x2": f"{right:.2f}%", "y1": f"{top:g}", "y2": f"{bottom:g}"}
    Xml.SubElement(svg, "line", {"class": style, **ends})


def _box(
    svg: Xml.Element, left: float, width: float, top: float, height: float, style: str
) -> None:
    place = {
        "x": f"{left:.2f}%",
        "width": f"{width:.2f}%",
        "y": f"{top:g}",
        "height": f"{height:g}",
    }
    Xml.SubElement(svg, "rect", {"class": style, "rx": "2", **place})


def _mark(svg: Xml.Element, shape: str, x: float, y: float, style: str) -> None:
    """Add a shape of fixed size at a place in percent."""
    place = {"x": f"{x:.2f}%", "y": f"{y:g}", "overflow": "visible"}
    Xml.SubElement(Xml.SubElement(svg, "svg", place), "path", {"class": style, "d": shape})


def _text(svg: Xml.Element, words: str, x: float, y: float, style: str) -> None:
    if words:
        place = {"x": f"{x:.2f}%", "y": f"{y:g}"}
        Xml.SubElement(svg, "text", {"class": style, **place}).text = words


def _written(svg: Xml.Element) -> str:
    return Xml.tostring(svg, encoding="unicode")
