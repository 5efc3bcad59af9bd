"""Pictures of step 1: what a column holds, how long groups are, and what a prompt is."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.assess.findings import ColumnFound, Offer
from service.assess.pictures_canvas import WIDTH, Canvas, fitted
from service.assess.pictures_marks import box, line, marks
from service.assess.words import Speaker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINY = (96.0, 22.0)  # pixels of a histogram in a table


def tiny(column: ColumnFound, key: str, say: Speaker) -> str:
    """Return the histogram of a column; empty where it was not counted."""
    if not column.bars or not max(column.bars):
        return ""
    wide, tall = TINY
    canvas = Canvas(key, tall, wide)
    step, most = wide / len(column.bars), max(column.bars)
    gap = step * (0.2 if column.levels else 0.06)
    for place, count in enumerate(column.bars):
        if count:
            size = (step - 2 * gap, max(tall * count / most, 1.0))
            canvas.bar(place * step + gap, tall - size[1], size, "first")
    return canvas.written(say("spread_of", name=column.name), _bars_words(column, say), "tiny")


def _bars_words(column: ColumnFound, say: Speaker) -> str:
    count, total = len(column.bars), sum(column.bars)
    if column.levels:
        parts = (
            say("level_share", level=level or say("other_levels"), share=say.share(n / total))
            for level, n in zip(column.levels, column.bars, strict=False)
        )
        return say("separator").join(parts)
    peak = column.bars.index(max(column.bars))
    if column.low is None or column.high is None:
        return ""
    step = (column.high - column.low) / count
    ends = (column.low + step * peak, column.low + step * (peak + 1))
    low, high = (say.measure(end, column.unit if column.kind == "number" else "") for end in ends)
    return say("peak", low=low, high=high, share=say.share(column.bars[peak] / total))


def lengths(offer: Offer, key: str, say: Speaker) -> str:
    """Return how many groups have how many rows."""
    bars = offer.length_bars
    if not bars:
        return ""
    canvas = Canvas(key, 150)
    axes = canvas.axes((6, 22, WIDTH - 12, 96), (0, len(bars)), (0, max(n for _, n in bars)))
    every = max(1, math.ceil(len(bars) / 8))
    for place, (rows, count) in enumerate(bars):
        box(axes, (place + 0.06, place + 0.94), (0, count), "first")
        if count and len(bars) <= 16:
            canvas.text(axes, (place + 0.5, count), say.count(count), "value middle", (0, -4))
        if place % every == 0:
            canvas.text(axes, (place + 0.06, 0), say.count(rows), "tick", (0, 14))
    line(axes, (0, len(bars)), (0, 0), "line")
    canvas.text(None, (WIDTH, 147), say("rows_at_least"), "tick end")
    parts = (say("length_bar", rows=say.count(r), groups=say.count(n)) for r, n in bars if n)
    return canvas.written(say("lengths"), say("clause").join(parts))


def prompt(offer: Offer, key: str, say: Speaker) -> str:
    """Return a prompt as boxes: examples with known answers, a query, and its answer."""
    canvas = Canvas(key, 206)
    axes = canvas.rows((0, WIDTH), 0)
    names = [one.name for one in offer.columns if one.features][:3] or [say("column")]
    wide_box, gap = 58.0, 4.0
    lefts = [n * (wide_box + gap) for n in range(len(names))]
    last = lefts[-1] + wide_box + 12
    canvas.text(None, (0, 13), say("prompt_examples"), "name")
    for left, name in zip((*lefts, last), (*names, offer.target.name), strict=True):
        canvas.text(None, (left, 33), fitted(name, wide_box), "tick")
    for top in (40.0, 62.0, 84.0):
        _boxes(axes, lefts, wide_box, top)
        box(axes, (last, last + wide_box), (top, top + 17), "first")
    more = say("prompt_more", count=say.count(offer.knee)) if offer.knee else "⋮"
    canvas.text(None, (0, 117), more, "tick")
    canvas.text(None, (0, 148), say("prompt_query"), "name")
    _boxes(axes, lefts, wide_box, 158.0)
    box(axes, (last, last + wide_box), (158, 175), "second", True, "dashed")
    canvas.text(None, (last + wide_box / 2, 171), "?", "strong middle")
    arrow = last + wide_box + 8
    line(axes, (arrow, arrow + 14), (166.5, 166.5), "ink", 1.6)
    marks(axes, (arrow + 14,), (166.5,), ">", "ink", 8)
    canvas.text(None, (arrow + 24, 171), say("prompt_answer"), "strong")
    canvas.text(None, (arrow + 24, 187), say("prompt_interval"), "tick")
    return canvas.written(say("prompt_title"), say("prompt_desc"))


def _boxes(axes: "Axes", lefts: Sequence[float], size: float, top: float) -> None:
    for left in lefts:
        box(axes, (left, left + size), (top, top + 17), "line")
