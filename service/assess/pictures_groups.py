"""All held-out groups as a strip of dots at their errors, the worst of them named."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.assess.findings import Offer, Stability, WorstGroup
from service.assess.pictures_canvas import WIDTH, Canvas, fitted
from service.assess.pictures_marks import line, marks, ticks
from service.assess.words import Speaker, group_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOT = 8.0  # pixels of a group
STACK = 64.0  # pixels, the largest stack of groups
NAME_ROW, LONGEST_NAME = 17.0, 160.0


def strip(found: Stability, offer: Offer, key: str, say: Speaker) -> str:
    """Return the picture; empty where no error was measured."""
    known = [error for error in found.group_errors if math.isfinite(error)]
    if not known:
        return ""
    named = sorted(found.worst, key=lambda one: -one.error)
    foot = NAME_ROW * len(named) + 14 + STACK
    canvas = Canvas(key, foot + 46)
    span = _span([*known, *(one.error for one in named)])
    axes = canvas.rows(span, DOT)
    middle = known[len(known) // 2]
    _dots(axes, _unnamed(known, named), span, foot)
    line(axes, span, (foot, foot), "line")
    line(axes, (middle, middle), (foot - STACK, foot + 4), "quiet", 1.3, "dashed")
    for value in ticks(*span):
        canvas.tick(axes, (value, foot), f"{value:g}")
    _names(canvas, axes, [(group_name(one, offer), one.error) for one in named], span, foot)
    canvas.text(None, (0, foot + 36), say("middle_mark", error=say.number(middle)), "tick")
    return canvas.written(say("strip"), _words(known, named, say))


def _span(errors: Sequence[float]) -> tuple[float, float]:
    """Return where the axis begins and ends; not at 0 where all errors are far from it."""
    least, most = min(errors), max(*errors, 1e-9)
    low = max(0.0, least - 0.5 * (most - least)) if 2 * least > most else 0.0
    return low, most + 0.05 * (most - low) + 1e-9


def _unnamed(errors: Sequence[float], named: Sequence[WorstGroup]) -> list[float]:
    """Return the errors of the groups that have no name in the picture."""
    rest = list(errors)
    for one in named:
        if one.error in rest:
            rest.remove(one.error)
    return rest


def _dots(axes: "Axes", errors: Sequence[float], span: tuple[float, float], foot: float) -> None:
    """Stack the groups whose errors are about the same, lower where stacks are tall."""
    width = (span[1] - span[0]) * (DOT + 0.5) / (WIDTH - 2 * DOT)
    seen: dict[int, int] = {}
    placed = []
    for error in errors:
        place = round(error / width)
        placed.append((place * width, seen.get(place, 0)))
        seen[place] = seen.get(place, 0) + 1
    step = min(DOT + 1, (STACK - DOT) / max(1, max(seen.values(), default=1) - 1))
    heights = [foot - DOT / 2 - 1 - step * below for _, below in placed]
    marks(axes, [x for x, _ in placed], heights, "o", "first", DOT)


def _names(
    canvas: Canvas,
    axes: "Axes",
    named: Sequence[tuple[str, float]],
    span: tuple[float, float],
    foot: float,
) -> None:
    """Name the worst groups above their dots, the worst one highest, so that no line is crossed."""
    for place, (name, error) in enumerate(named):
        y, is_right = NAME_ROW * place + 13, 2 * error > sum(span)
        line(axes, (error, error), (y - 8, foot - DOT - 2), "second", 1.2)
        marks(axes, (error,), (foot - DOT / 2 - 1,), "D", "second", DOT + 1)
        style, shift = ("name end", -6) if is_right else ("name", 6)
        canvas.text(axes, (error, y), fitted(name, LONGEST_NAME), style, (shift, 0))


def _words(known: Sequence[float], named: Sequence[WorstGroup], say: Speaker) -> str:
    ends = {"low": known[0], "middle": known[len(known) // 2], "high": known[-1]}
    numbers = {name: say.number(value) for name, value in ends.items()}
    first = say("strip_desc", count=say.count(len(known)), **numbers)
    return say("clause").join((first, *(f"{one.name} {say.number(one.error)}" for one in named)))
