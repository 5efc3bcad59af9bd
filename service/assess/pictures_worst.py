"""Pictures of a worst group: its answers beside the truths, and its worst answer taken apart.

The shares add up: from the base, one step a feature, to the answer.
"""

import math
from typing import TYPE_CHECKING

from service.assess.findings import Share, WorstGroup
from service.assess.pictures_canvas import WIDTH, Canvas, fitted, wide
from service.assess.pictures_marks import INSET, box, line, marks
from service.assess.words import Speaker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, TOP, SIZE = 46.0, 24.0, 190.0  # pixels of the scatter
FOOT = TOP + SIZE + 33  # where the words below stand
STEP = 32.0  # pixels of a share
LEVEL = " = "  # stands in a share that is a category's level


def scatter(worst: WorstGroup, key: str, unit: str, say: Speaker) -> str:
    """Return answers against truths; on the line an answer is right."""
    pairs = [pair for pair in worst.answers if all(map(math.isfinite, pair))]
    if not pairs:
        return ""
    every = [value for pair in (*pairs, (worst.truth, worst.answer)) for value in pair]
    pad = 0.04 * (max(every) - min(every) or abs(every[0]) or 1.0)
    span = (min(every) - pad, max(every) + pad)
    canvas = Canvas(key, TOP + SIZE + 40)
    axes = canvas.axes((LEFT, TOP, WIDTH - LEFT - 14, SIZE), span, span)
    _frame(canvas, axes, span, pad, say)
    line(axes, span, span, "quiet", 1.4, "dashed")
    truths, answers = zip(*pairs, strict=True)
    marks(axes, truths, answers, "o", "first", 6.0 if len(pairs) < 80 else 4.5)
    marks(axes, (worst.truth,), (worst.answer,), "D", "second", 9.5)
    for name, at, style in (("answer", (0, 12), "tick"), ("truth", (WIDTH, FOOT), "tick end")):
        canvas.text(None, at, f"{say(name)} ({unit})" if unit else say(name), style)
    words = say(
        "scatter_desc",
        count=say.count(len(pairs)),
        truth=say.measure(worst.truth, unit),
        answer=say.measure(worst.answer, unit),
    )
    return canvas.written(say("scatter", name=worst.name), words)


def shares(worst: WorstGroup, key: str, unit: str, say: Speaker) -> str:
    """Return the steps from the base to the answer, and the truth beside it."""
    steps = [(share_name(one, say), one.adds) for one in worst.shares if one.feature or one.adds]
    runs = [worst.base]
    for _, adds in steps:
        runs.append(runs[-1] + adds)
    every = [*runs, worst.answer, worst.truth]
    pad = 0.03 * (max(every) - min(every) or 1.0)
    canvas = Canvas(key, STEP * (len(steps) + 3) + 2)
    axes = canvas.rows((min(every) - pad, max(every) + pad), INSET)
    _mark(canvas, axes, 0, say("base"), worst.base, say.measure(worst.base, unit), "quiet")
    for place, (name, adds) in enumerate(steps, 1):
        top = STEP * place
        _named(canvas, top, name, signed(adds, unit, say), "")
        ends = sorted((runs[place - 1], runs[place]))
        box(axes, (ends[0], ends[1]), (top + 17, top + 28), "first" if adds >= 0 else "second")
        line(axes, (runs[place],) * 2, (top + 28, top + STEP + 17), "line", 1.2)
    last = len(steps) + 1
    line(axes, (worst.base,) * 2, (26, STEP + 17), "line", 1.2)
    _mark(canvas, axes, last, say("answer"), worst.answer, say.measure(worst.answer, unit), "first")
    _mark(canvas, axes, last + 1, say("truth"), worst.truth, say.measure(worst.truth, unit), "ink")
    parts = [f"{say('base')} {say.measure(worst.base, unit)}"]
    parts += [f"{name} {signed(adds, unit, say)}" for name, adds in steps]
    parts += [f"{say('answer')} {say.measure(worst.answer, unit)}"]
    parts += [f"{say('truth')} {say.measure(worst.truth, unit)}"]
    return canvas.written(say("shares", name=worst.name), say("clause").join(parts))


def _frame(
    canvas: Canvas, axes: "Axes", span: tuple[float, float], pad: float, say: Speaker
) -> None:
    for share in (0.0, 0.5, 1.0):
        value = span[0] + pad + share * (span[1] - span[0] - 2 * pad)
        line(axes, span, (value, value), "line", 1.0)
        canvas.text(axes, (span[0], value), say.figure(value), "tick end", (-5, 4))
        canvas.tick(axes, (value, span[0]), say.figure(value))


def share_name(one: Share, say: Speaker) -> str:
    """Return a share's feature with its value in the query and in the examples."""
    if not one.feature:
        return say("all_others")
    if LEVEL in one.feature:
        return one.feature
    values = {"value": say.figure(one.value), "usual": say.figure(one.usual)}
    return say("share_name", feature=one.feature, **values)


def signed(value: float, unit: str, say: Speaker) -> str:
    """Return a number with its sign and unit."""
    text = say.measure(value, unit)
    return text if value < 0 else f"+{text}"


def _named(canvas: Canvas, top: float, name: str, value: str, style: str) -> None:
    room = WIDTH - wide(value) - 14
    canvas.text(None, (0, top + 13), fitted(name, room), f"name {style}".strip())
    canvas.text(None, (WIDTH, top + 13), value, f"value end {style}".strip())


def _mark(
    canvas: Canvas, axes: "Axes", place: int, name: str, value: float, words: str, tone: str
) -> None:
    top = STEP * place
    _named(canvas, top, name, words, "strong")
    marks(axes, (value,), (top + 22.5,), "D" if tone == "ink" else "o", tone, 9)
