"""What the pictures of a report are made of: lines, marks, boxes, and rows of intervals.

Shapes say what colours say: ours is a circle, others are hollow; a mark beyond the axis is an
arrow at its edge.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from service.assess.findings import Bounds
from service.assess.pictures_canvas import WIDTH, Canvas, colour, fitted, wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, HEAD, FOOT, NOTE = 42.0, 4.0, 20.0, 16.0  # pixels
INSET = 12.0  # pixels left free on both sides of an axis, so that marks stay inside
DASHES = {"": "-", "dashed": (0, (4, 3)), "dotted": (0, (1.5, 2.5)), "mixed": (0, (6, 2, 1.5, 2))}


class Scale(NamedTuple):
    """An axis that rows share."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def held(self, value: float) -> float:
        """Return a value, or the edge that it lies beyond."""
        return min(max(value, self.low), self.high)


class Row(NamedTuple):
    """One interval with its words, and what it is held against."""

    label: str
    value: str
    bounds: Bounds | None
    shape: str = "o"
    tone: str = "first"
    is_hollow: bool = False
    lines: Sequence[tuple[float, str]] = ()  # (value, tone)
    words: str = ""  # in place of the value, for who cannot see


def line(
    axes: "Axes",
    xs: Sequence[float],
    ys: Sequence[float],
    tone: str,
    width: float = 1.2,
    dash: str = "",
    share: float = 1.0,
) -> None:
    """Draw a line; `share` is how far it covers what lies below."""
    axes.plot(
        *(xs, ys),
        color=colour(tone),
        linewidth=width,
        linestyle=DASHES[dash],
        alpha=None if share == 1.0 else share,
        solid_capstyle="round",
        clip_on=False,
    )


def marks(
    axes: "Axes",
    xs: Sequence[float],
    ys: Sequence[float],
    shape: str,
    tone: str,
    size: float = 9.0,
    is_hollow: bool = False,
) -> None:
    """Draw marks of a fixed size in pixels, filled with an edge of the card, or hollow."""
    axes.plot(
        *(xs, ys),
        linestyle="none",
        marker=shape,
        markersize=size,
        markerfacecolor=colour("card" if is_hollow else tone),
        markeredgecolor=colour(tone if is_hollow else "card"),
        markeredgewidth=2.0 if is_hollow else 1.0,
        clip_on=False,
    )


def box(
    axes: "Axes",
    x: tuple[float, float],
    y: tuple[float, float],
    tone: str,
    is_hollow: bool = False,
    dash: str = "",
) -> None:
    """Draw a box between two places of either axis."""
    from matplotlib.patches import Rectangle

    made = Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], clip_on=False)
    if is_hollow:
        made.set(fill=False, edgecolor=colour(tone), linewidth=1.3, linestyle=DASHES[dash])
    else:
        made.set(facecolor=colour(tone), linewidth=0.0)
    axes.add_patch(made)


def intervals(canvas: Canvas, rows: Sequence[Row], scale: Scale, ends: str = "") -> None:
    """Draw a row for each interval above a common axis; `ends` says what the axis is."""
    kind = "log" if scale.is_log else "linear"
    axes = canvas.rows((scale.low, scale.high), INSET, kind)
    bottom = HEAD + ROW * len(rows)
    for place, row in enumerate(rows):
        _interval(canvas, axes, row, scale, HEAD + ROW * place)
    line(axes, (scale.low, scale.high), (bottom, bottom), "line", 1.0)
    for value, words in scale.ticks:
        canvas.tick(axes, (value, bottom), words)
    canvas.text(None, (0, bottom + 14 + NOTE), ends, "tick")


def height(count: int) -> float:
    """Return the height of a picture of so many rows, pixels."""
    return HEAD + ROW * count + FOOT + NOTE


def _interval(canvas: Canvas, axes: "Axes", row: Row, scale: Scale, top: float) -> None:
    canvas.text(None, (0, top + 13), fitted(row.label, WIDTH - wide(row.value) - 14), "name")
    canvas.text(None, (WIDTH, top + 13), row.value, "value end")
    middle = top + 28
    for value, tone in row.lines:
        line(axes, (value, value), (middle - 8, middle + 8), tone, 1.5, "dashed")
    bounds = row.bounds
    if bounds is None or not math.isfinite(bounds.value):
        return
    value = scale.held(bounds.value)
    low, high = (
        scale.held(end) if math.isfinite(end) else value for end in (bounds.low, bounds.high)
    )
    line(axes, (low, high), (middle, middle), row.tone, 5.0, share=0.4)
    shape = row.shape
    if value != bounds.value:
        shape = ">" if bounds.value > value else "<"
    marks(axes, (value,), (middle,), shape, row.tone, is_hollow=row.is_hollow)


def ticks(low: float, high: float) -> list[float]:
    """Return round values within a span, at least two.

    >>> ticks(0.0, 1.3), ticks(0.0, 0.4), ticks(0.36, 0.47), ticks(0.0, 70.0)
    ([0.0, 0.5, 1.0], [0.0, 0.2, 0.4], [0.4, 0.45], [0.0, 20.0, 40.0, 60.0])
    """
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(s * power for s in (5, 2, 1, 0.5, 0.2) if (high - low) / (s * power) >= 2)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.10g}") for n in range(first, last + 1)]
