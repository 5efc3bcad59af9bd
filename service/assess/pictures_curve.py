"""The learning curve: the error against the number of examples in a prompt, and its knee."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.assess.findings import CurvePoint
from service.assess.pictures_canvas import WIDTH, Canvas, colour, fitted
from service.assess.pictures_marks import line, marks, ticks
from service.assess.words import Speaker
from service.held_out import BOOSTING, EXACT, MEAN, OLS, PROFILE, RIDGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, TOP, FOOT = 34.0, 36.0, 206.0  # pixels of the plot
NAMES = 34.0  # pixels from its foot to the names of the methods
CLOSEST = 26.0  # pixels between two numbers of examples
LARGEST = 1.5  # errors beyond it, of methods that know nothing, are not worth the room
STYLES = {  # shape, tone and dash of a method
    PROFILE: ("o", "first", ""),
    RIDGE: ("s", "second", "dashed"),
    BOOSTING: ("D", "watch", "mixed"),
    MEAN: ("^", "third", "dotted"),
    OLS: ("v", "no", "dotted"),
    EXACT: ("o", "first", "dotted"),
}


def curve(
    points: Sequence[CurvePoint],
    knee: int,
    others: Sequence[str],
    key: str,
    say: Speaker,
    width: float = WIDTH,
) -> str:
    """Return ours with its bounds beside some other methods; empty where there is no point."""
    if not points:
        return ""
    named = [PROFILE, *(name for name in others if any(name in p.others for p in points))]
    lines = math.ceil(len(named) / (2 if width >= WIDTH else 1))
    canvas = Canvas(key, FOOT + NAMES + 20 * lines - 4, width)
    sizes = [float(point.example_count) for point in points]
    top = _top(points, named)
    span = (sizes[0] / 1.1, max(sizes[-1], 1.5 * sizes[0]) * 1.1)
    box = (LEFT, TOP, width - LEFT - 8, FOOT - TOP)
    axes = canvas.axes(box, span, (0, top), ("log", "linear"))
    _frame(canvas, axes, sizes, span, top, say)
    if knee in sizes:
        line(axes, (knee, knee), (0, top), "yes", 1.6, "dashed")
        side = "end" if knee > math.sqrt(span[0] * span[1]) else ""
        canvas.text(axes, (knee, top), say("knee_mark"), f"tick {side}", (4 if side else -4, -5))
    low, high = ([min(end, top) for end in ends] for ends in _bounds(points))
    axes.fill_between(
        sizes, low, high, color=colour("first"), alpha=0.18, linewidth=0, clip_on=False
    )
    for name in reversed(named):
        _course(axes, sizes, [_error(point, name) for point in points], top, name)
    _keys(canvas, named, say)
    return canvas.written(say("curve"), _words(points, knee, named, say))


def _error(point: CurvePoint, name: str) -> float:
    return point.ours.value if name == PROFILE else point.others.get(name, math.nan)


def _bounds(points: Sequence[CurvePoint]) -> tuple[list[float], list[float]]:
    """Return both ends of our error; the error itself where an end is not known."""
    known = [
        [end if math.isfinite(end) else p.ours.value for end in (p.ours.low, p.ours.high)]
        for p in points
    ]
    return [low for low, _ in known], [high for _, high in known]


def _top(points: Sequence[CurvePoint], named: Sequence[str]) -> float:
    """Return where the axis ends: above every error, but not far above a mean's."""
    ours = [end for ends in _bounds(points) for end in ends if math.isfinite(end)]
    every = [e for p in points for name in named if math.isfinite(e := _error(p, name))]
    largest = max(ours, default=1.0)
    return 1.12 * max(largest, min(max(every, default=1.0), LARGEST))


def _frame(
    canvas: Canvas,
    axes: "Axes",
    sizes: Sequence[float],
    span: tuple[float, float],
    top: float,
    say: Speaker,
) -> None:
    canvas.text(None, (0, 12), say("error_axis"), "tick")
    for value in ticks(0.0, top):
        line(axes, span, (value, value), "line", 1.0)
        canvas.text(axes, (span[0], value), f"{value:g}", "tick end", (-5, 4))
    last = math.inf
    for size in reversed(sizes):  # the largest is always named
        x = float(axes.transData.transform((size, 0))[0])
        if last - x >= CLOSEST:
            canvas.tick(axes, (size, 0), f"{size:g}")
            last = x
    canvas.text(None, (canvas.width, FOOT + 29), say("examples_axis"), "tick end")


def _course(
    axes: "Axes", sizes: Sequence[float], errors: Sequence[float], top: float, name: str
) -> None:
    """Draw a method's errors; what lies above the axis is left out."""
    shape, tone, dash = STYLES.get(name, ("s", "third", "dotted"))
    shown = [error if error <= top else math.nan for error in errors]
    line(axes, sizes, shown, tone, 2.2 if name == PROFILE else 1.5, dash)
    kept = [(size, e) for size, e in zip(sizes, shown, strict=True) if math.isfinite(e)]
    if kept:
        at, values = zip(*kept, strict=True)
        marks(axes, at, values, shape, tone, 7.5 if name == PROFILE else 6.5)


def _keys(canvas: Canvas, named: Sequence[str], say: Speaker) -> None:
    axes = canvas.rows((0, canvas.width), 0)
    side_by_side = 2 if canvas.width >= WIDTH else 1
    for place, name in enumerate(named):
        shape, tone, dash = STYLES.get(name, ("s", "third", "dotted"))
        left = canvas.width / side_by_side * (place % side_by_side)
        y = FOOT + NAMES + 12 + 20 * (place // side_by_side)
        line(axes, (left + 2, left + 26), (y - 4, y - 4), tone, 1.8, dash)
        marks(axes, (left + 14,), (y - 4,), shape, tone, 7)
        canvas.text(
            None,
            (left + 33, y),
            fitted(say.code("method", name), (canvas.width / side_by_side - 34) * 1.08),
            "tick",
        )


def _words(points: Sequence[CurvePoint], knee: int, named: Sequence[str], say: Speaker) -> str:
    parts = [
        say(
            "curve_point",
            count=say.count(point.example_count),
            errors=say("separator").join(
                f"{say.code('method', name)} {say.number(_error(point, name))}" for name in named
            ),
        )
        for point in points
    ]
    return say("clause").join((*parts, say("knee_desc", count=say.count(knee))))
