"""All held-out groups as a strip of dots at their errors, the worst of them named."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.assess.findings import Stability, WorstGroup
from service.assess.pictures_canvas import WIDTH, Canvas, fitted
from service.assess.pictures_marks import line, marks, ticks
from service.assess.words import Speaker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOT = 8.0  # pixels of a group
STACK = 64.0  # pixels, the largest stack of groups
NAME_ROW, LONGEST_NAME = 17.0, 160.0


def strip(found: Stability, key: str, say: Speaker) -> str:
    """Return the picture; empty where no error was measured."""
    known = [error for error in found.group_errors if math.isfinite(error)]
    if not known:
        return ""
    named = sorted(found.worst, key=lambda one: -one.error)
    foot = NAME_ROW * len(named) + 14 + STACK
    canvas = Canvas(key, foot + 46)
    high = 1.05 * max([*known, *(one.error for one in named), 1e-9])
    axes = canvas.rows((0, high), DOT)
    middle = known[len(known) // 2]
    _dots(axes, known, high, foot)
    line(axes, (0, high), (foot, foot), "line")
    line(axes, (middle, middle), (foot - STACK, foot + 4), "quiet", 1.3, "dashed")
    for value in ticks(high):
        canvas.text(axes, (value, foot), f"{value:g}", "tick middle", (0, 15))
    _names(canvas, axes, named, high, foot)
    canvas.text(None, (0, foot + 36), say("middle_mark", error=say.number(middle)), "tick")
    return canvas.written(say("strip"), _words(known, named, say))


def _dots(axes: "Axes", errors: Sequence[float], high: float, foot: float) -> None:
    """Stack the groups whose errors are about the same, lower where stacks are tall."""
    width = high * (DOT + 0.5) / (WIDTH - 2 * DOT)
    seen: dict[int, int] = {}
    placed = []
    for error in errors:
        place = round(error / width)
        placed.append((place * width, seen.get(place, 0)))
        seen[place] = seen.get(place, 0) + 1
    step = min(DOT + 1, (STACK - DOT) / max(1, max(seen.values()) - 1))
    heights = [foot - DOT / 2 - 1 - step * below for _, below in placed]
    marks(axes, [x for x, _ in placed], heights, "o", "first", DOT)


def _names(
    canvas: Canvas, axes: "Axes", named: Sequence[WorstGroup], high: float, foot: float
) -> None:
    """Name the worst groups above their dots, the worst one highest, so that no line is crossed."""
    for place, one in enumerate(named):
        y, is_right = NAME_ROW * place + 13, 2 * one.error > high
        line(axes, (one.error, one.error), (y + 4, foot - DOT - 2), "second", 1.2)
        marks(axes, (one.error,), (foot - DOT / 2 - 1,), "D", "second", DOT + 1)
        style, shift = ("name end", 4) if is_right else ("name", -4)
        canvas.text(axes, (one.error, y), fitted(one.name, LONGEST_NAME), style, (shift, 0))


def _words(known: Sequence[float], named: Sequence[WorstGroup], say: Speaker) -> str:
    ends = {"low": known[0], "middle": known[len(known) // 2], "high": known[-1]}
    numbers = {name: say.number(value) for name, value in ends.items()}
    first = say("strip_desc", count=say.count(len(known)), **numbers)
    return say("clause").join((first, *(f"{one.name} {say.number(one.error)}" for one in named)))
