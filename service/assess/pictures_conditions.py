"""Pictures of step 3: which changes are borne, and what each of them does to the error.

A circle is borne, a triangle does harm that is noticed (an alert fires, or replies refuse or warn),
a cross does harm in silence; a hollow circle is neither surely borne nor surely harmful.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.assess.answered import TOLERATED
from service.assess.evidence import harms, is_seen
from service.assess.findings import Change, Conditions
from service.assess.pictures_canvas import WIDTH, Canvas, fitted
from service.assess.pictures_marks import Row, height, intervals, marks
from service.assess.pictures_stability import times_scale
from service.assess.words import Speaker, change_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_KINDS = 9  # in the summary
MOST_MARKS = 5  # of a kind
KIND_ROW, MARK = 24.0, 17.0  # pixels
LEGEND = 18.0  # pixels a line
SHAPES = {  # of a state: its mark, its colour, whether it is hollow
    "borne": ("o", "yes", False),
    "noticed": ("^", "watch", False),
    "unsure": ("o", "third", True),
    "silent": ("X", "no", False),
}


def state(change: Change) -> str:
    """Return whether a change is borne, noticed, unsure or does silent harm."""
    if change.is_tolerated:
        return "borne"
    if is_seen(change):
        return "noticed"
    return "silent" if harms(change) else "unsure"


def kinds(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Return the changes of every kind, in the order they were tried."""
    found: dict[str, list[Change]] = {}
    for one in changes:
        found.setdefault(one.code, []).append(one)
    return found


def _harm(change: Change) -> tuple[int, float]:
    """Return what sorts changes from those that are borne to those that do most harm."""
    size = change.ratio.value if math.isfinite(change.ratio.value) else math.inf
    return list(SHAPES).index(state(change)), size


def summary_kinds(conditions: Conditions) -> list[tuple[str, list[Change]]]:
    """Return the kinds of the summary, the mildest of each first.

    Where there are too many kinds, those that do harm stay.
    """
    known = kinds(conditions.changes).items()
    found = [(code, sorted(every, key=_harm)) for code, every in known]
    if len(found) <= MOST_KINDS:
        return found
    kept = sorted(found, key=lambda it: all(one.is_tolerated for one in it[1]))[:MOST_KINDS]
    return [one for one in found if one in kept]


def hidden(conditions: Conditions) -> bool:
    """Return whether some kinds have no room in the summary."""
    return len(summary_kinds(conditions)) < len(kinds(conditions.changes))


def tolerated(conditions: Conditions, key: str, say: Speaker, width: float = WIDTH) -> str:
    """Return a row for each kind of change, a mark for each strength tried."""
    found = summary_kinds(conditions)
    if not found:
        return ""
    states = {state(one) for _, every in found for one in every}
    named = [name for name in SHAPES if name in states]
    foot = KIND_ROW * len(found)
    canvas = Canvas(key, foot + LEGEND * len(named) + 8, width)
    axes = canvas.rows((0, width), 0)
    for place, (code, every) in enumerate(found):
        _kind(canvas, axes, code, every, KIND_ROW * place + 12, say)
    for place, name in enumerate(named):
        y, (shape, tone, is_hollow) = foot + LEGEND * (place + 1), SHAPES[name]
        marks(axes, (7,), (y - 4,), shape, tone, 9 if is_hollow else 10, is_hollow)
        canvas.text(None, (20, y), say(f"state_{name}"), "tick")
    words = say("clause").join(_kind_words(code, every, say) for code, every in found)
    return canvas.written(say("tolerated"), words)


def _kind(
    canvas: Canvas, axes: "Axes", code: str, every: list[Change], middle: float, say: Speaker
) -> None:
    shown = every if len(every) <= MOST_MARKS else _thinned(every)
    room = canvas.width - MARK * len(shown) - 10
    canvas.text(None, (0, middle + 4.5), fitted(say.code("change", code), room), "name")
    for place, one in enumerate(shown):
        x = canvas.width - MARK * (len(shown) - place - 0.5)
        shape, tone, is_hollow = SHAPES[state(one)]
        marks(axes, (x,), (middle,), shape, tone, 10 if is_hollow else 11, is_hollow)


def _thinned(every: list[Change]) -> list[Change]:
    """Return as many of a kind as have room, the mildest and the worst among them."""
    last = len(every) - 1
    return [every[round(n * last / (MOST_MARKS - 1))] for n in range(MOST_MARKS)]


def _kind_words(code: str, every: Sequence[Change], say: Speaker) -> str:
    parts = (
        f"{change_words(one, say)[1]} {say(f'is_{state(one)}')} ({say.times(one.ratio)})"
        for one in every
    )
    return f"{say.code('change', code)}: {say('separator').join(parts)}"


def changes(every: Sequence[Change], key: str, title: str, say: Speaker) -> str:
    """Return what the changes of one kind do to the error: 1 is as before."""
    rows = [
        Row(
            change_words(one, say)[1],
            say.times(one.ratio),
            one.ratio,
            *SHAPES[state(one)],
            lines=[(1.0, "quiet"), (TOLERATED, "no")],
        )
        for one in every
    ]
    canvas = Canvas(key, height(len(rows)))
    intervals(canvas, rows, times_scale([row.bounds for row in rows]), say("times_axis"))
    words = say("clause").join(f"{row.label}: {row.value}" for row in rows)
    return canvas.written(title, words)
