"""Pictures of step 2: errors by method, coverage, steadiness, all groups, and the worst of them."""

import math
from collections.abc import Sequence

from service.assess.findings import Accuracy, Bounds, Coverage, Steadiness
from service.assess.pictures_canvas import WIDTH, Canvas, fitted
from service.assess.pictures_marks import Row, Scale, box, height, intervals, ticks
from service.assess.words import Speaker
from service.held_out import BOOSTING, MEAN, PROFILE, RIDGE

BAR_ROW = 38.0  # pixels
DOT = 8.0  # pixels of a group
STACK = 64.0  # pixels, the largest stack of groups
NAME_ROW = 17.0
WIDEST = 4.0  # times, or standard errors: what lies beyond is an arrow at the edge


def errors(accuracy: Accuracy, key: str, say: Speaker, width: float = WIDTH) -> str:
    """Return our error as a bar beside what else could be done."""
    shown = [one for one in accuracy.methods if one.method in (PROFILE, RIDGE, BOOSTING, MEAN)]
    known = [one.error for one in shown if math.isfinite(one.error)]
    canvas = Canvas(key, BAR_ROW * len(shown) + 4, width)
    axes = canvas.rows((0, 1.02 * max([*known, 1e-9])), 0)
    for place, one in enumerate(shown):
        top, is_ours = BAR_ROW * place, one.method == PROFILE
        value = say.number(one.error)
        style = "name strong" if is_ours else "name"
        canvas.text(None, (0, top + 13), fitted(say.code("method", one.method), width - 50), style)
        canvas.text(None, (width, top + 13), value, "value strong end" if is_ours else "value end")
        if math.isfinite(one.error):
            box(
                axes,
                (0, one.error),
                (top + 19, top + 32),
                "first" if is_ours else "third",
                not is_ours,
            )
    parts = (f"{say.code('method', one.method)} {say.number(one.error)}" for one in shown)
    return canvas.written(say("errors"), say("separator").join(parts))


def ratios(accuracy: Accuracy, key: str, say: Speaker) -> str:
    """Return our error by every other method's, with bounds: left of 1 we are better."""
    rows = [
        Row(
            say.code("method", one.method),
            say.gap_alone(one.ratio),
            one.ratio,
            "o",
            "second" if one.ratio.low > 1 else "first",
            one.ratio.low <= 1 <= one.ratio.high,
            [(1.0, "quiet")],
            say.gap(one.ratio),
        )
        for one in accuracy.methods[1:]
    ]
    if not rows:
        return ""
    return _rows(key, "ratios", rows, times_scale([row.bounds for row in rows]), say, "ratio_ends")


def times_scale(every: Sequence[Bounds | None]) -> Scale:
    """Return a scale of ratios that holds 1 and most of every interval."""
    ends = [
        end for one in every if one for end in (one.low, one.high) if math.isfinite(end) and end > 0
    ]
    low = max(min([0.8, *ends]) * 0.95, 1 / WIDEST)
    high = min(max([1.3, *ends]) * 1.05, WIDEST)
    places = (0.25, 0.5, 1.0, 2.0, 4.0)
    return Scale(low, high, [(x, f"{x:g}") for x in places if low <= x <= high], True)


def coverage(found: Sequence[Coverage], key: str, say: Speaker) -> str:
    """Return how often intervals hold the truth, beside what they promise."""
    rows = [
        Row(
            say("interval_row", level=say.share(one.level), count=say.count(one.example_count)),
            say(
                "within_bounds",
                value=say.share(one.covered.value),
                low=say.share(one.covered.low),
                high=say.share(one.covered.high),
            ),
            one.covered,
            "o",
            "second" if one.covered.high < one.level else "first",
            lines=[(one.level, "ink")],
        )
        for one in found
    ]
    if not rows:
        return ""
    ends = [end for one in found for end in (one.covered.low, one.level) if math.isfinite(end)]
    low = max(0.0, math.floor(10 * min(ends) - 0.5) / 10)
    places = [x / 100 for x in range(0, 101, 10) if x / 100 >= low]
    scale = Scale(low, 1.0, [(x, f"{x:.0%}") for x in places])
    return _rows(key, "coverage", rows, scale, say, "coverage_axis")


def steadiness(found: Sequence[Steadiness], key: str, say: Speaker) -> str:
    """Return how far answers move, by their usual error: the middle, nine of ten, the most."""
    if not found:
        return ""
    rows = [
        Row(
            say.code("steady", one.code),
            say("moved_words", moved=say.share(one.moved), mostly=say.share(one.moved_mostly)),
            Bounds(one.moved, one.moved, one.moved_mostly),
            lines=[(1.0, "quiet")],
        )
        for one in found
    ]
    most = max([one.moved_mostly for one in found if math.isfinite(one.moved_mostly)], default=1.0)
    high = min(max(1.1, 1.05 * most), WIDEST)
    scale = Scale(0.0, high, [(x, f"{x:.0%}") for x in ticks(0.0, high)])
    return _rows(key, "steadiness", rows, scale, say, "steadiness_axis")


def _rows(
    key: str, title: str, rows: Sequence[Row], scale: Scale, say: Speaker, ends: str = ""
) -> str:
    canvas = Canvas(key, height(len(rows)))
    intervals(canvas, rows, scale, say(ends) if ends else "")
    words = say("clause").join(f"{row.label}: {row.words or row.value}" for row in rows)
    return canvas.written(say(title), words)
