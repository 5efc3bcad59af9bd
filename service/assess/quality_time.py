"""Faults of the order in time: ties, dates that go back, no order told, a scale that changes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import Date
from service.assess.findings import QualityFinding
from service.assess.quality_values import Values, usual
from service.assess.sample import SAMPLED_ROWS, Looked
from service.assess.suspects import HEADER_ROWS, Detail, shown, weighed
from service.history_columns import Source
from service.history_scan import time_of

Array = NDArray[np.float64]

TIES_REPAIR = 0.05  # share of the rows
STEPS = 20  # pieces of the time
FEWEST_IN_PIECE, FEWEST_DISTINCT = 10, 8
FACTOR, LEVEL_SHARE = 2.5, 0.5  # of a step; each side varies by at most half of its logarithm
RISING = 0.8  # of the groups, for a date to look like their order


def tie_findings(looked: Looked) -> Iterator[QualityFinding]:
    """Yield how many rows share their place in time with another row of their group."""
    roles, (group, _, order, _) = looked.roles, looked.keys
    if roles.order is None:
        return
    text = f"t{looked.whole.index(roles.order)}"
    ties = (
        f"SELECT {group} AS g, count(*) AS n, min(r) AS r, any_value({text}) AS t "
        f"FROM {looked.whole.rows} GROUP BY g, {order} HAVING n > 1"
    )
    rows, groups, first, texts = looked.whole.row(
        f"SELECT coalesce(sum(n), 0), count(DISTINCT g), min(r), arg_min(t, r, 5) FROM ({ties})"
    )
    if count := int(str(rows)):
        share = count / looked.whole_count
        examples = shown([str(t) for t in texts]) if isinstance(texts, list) else ()
        detail = {"share": share, "groups": int(str(groups)), "row": int(str(first)) + HEADER_ROWS}
        weight = weighed(share, TIES_REPAIR)
        yield QualityFinding("order_ties", weight, (roles.order,), count, examples, detail)


def date_findings(looked: Looked, sources: tuple[Source, ...]) -> Iterator[QualityFinding]:
    """Yield dates that contradict the order of the file, or that tell one nobody named."""
    roles = looked.roles
    for source in sources:
        if roles.order is not None or not isinstance(source, Date):
            continue
        groups, rising, back, forward, names = _steps(looked, source.name)
        of = (source.name,)
        if roles.is_in_order and back:
            share = back / (back + forward)
            detail = {"groups": len(names), "group_count": groups, "share": share}
            yield QualityFinding("not_in_order", "repair", of, back, shown(names), detail)
        if not roles.is_in_order and groups and rising >= RISING * groups:
            detail = {"groups": rising, "group_count": groups}
            yield QualityFinding("order_not_told", "know", of, 0, (), detail)


def _steps(looked: Looked, name: str) -> tuple[int, int, int, int, list[str]]:
    """Return groups whose date moves, groups that only rise, steps back and forth, who goes back.

    Of a large file whole groups are drawn.
    """
    time = time_of(f"t{looked.whole.index(name)}")
    drawn = ""
    if not looked.is_complete:
        times = looked.whole_count // SAMPLED_ROWS + 1
        drawn = f"WHERE hash({looked.keys.group}) % {times} = 0"
    inner = (
        f"SELECT {looked.keys.group} AS g, r, epoch({time}) - lag(epoch({time})) OVER "
        f"(PARTITION BY {looked.keys.group} ORDER BY r) AS s FROM {looked.whole.rows} {drawn}"
    )
    each = (
        "SELECT g, count(*) FILTER (s < 0) AS back, count(*) FILTER (s > 0) AS forward "
        f"FROM ({inner}) GROUP BY g HAVING back + forward > 0 ORDER BY back DESC, g"
    )
    found = [(str(g), int(str(b)), int(str(f))) for g, b, f in looked.list(each)]
    names = [g for g, back, _ in found if back]
    back, forward = sum(b for _, b, _ in found), sum(f for _, _, f in found)
    return len(found), len(found) - len(names), back, forward, names


class Change(NamedTuple):
    """A step in time: the middle values before and after, and the order from where."""

    before: float
    after: float
    at: float


def scale_findings(looked: Looked, values: Values) -> Iterator[QualityFinding]:
    """Yield a column whose scale is another from some time on."""
    order = looked.keys.order
    if looked.roles.order is None or values.origin is not None:
        return
    query = f"SELECT {order} AS o, {values.sql} AS v FROM {looked.rows.rows}"
    times, numbers = looked.numbers(query, ("o", "v"))  # (n,), (n,)
    kept = np.isfinite(numbers) & np.isin(numbers, usual(values))  # (n,)
    if change := scale_change(times[kept], numbers[kept]):
        text = f"t{looked.rows.index(looked.roles.order)}"
        later = f"count(*) FILTER (WHERE {order} >= {change.at!r})"
        first = f"arg_min({text}, {order}) FILTER (WHERE {order} >= {change.at!r})"
        rows, at = looked.whole.row(f"SELECT {later}, {first} FROM {looked.whole.rows}")
        ratio = change.after / change.before
        detail: Detail = {
            "factor": max(ratio, 1 / ratio),
            "before": change.before,
            "after": change.after,
            "at": str(at),
        }
        yield QualityFinding("scale_in_time", "repair", (values.name,), int(str(rows)), (), detail)


def scale_change(times: Array, numbers: Array) -> Change | None:
    """Return the step from which numbers (n,) at times (n,) are larger or smaller by a factor.

    The time is cut into pieces; on either side of the step the pieces' medians stay at their level,
    and nine in ten numbers of one side are beyond the middle of the other.
    """
    if len(numbers) < STEPS * FEWEST_IN_PIECE or numbers.min() <= 0:
        return None
    edges = np.unique(np.quantile(times, np.linspace(0, 1, STEPS + 1)[1:-1]))  # (k - 1,)
    piece = np.searchsorted(edges, times, side="right")  # (n,)
    present = np.unique(piece)  # (k,)
    middles = np.array([np.median(np.log(numbers[piece == p])) for p in present])  # (k,)
    if len(present) < 6:
        return None
    sides = range(2, len(present) - 1)
    jumps = np.array([abs(np.median(middles[:k]) - np.median(middles[k:])) for k in sides])
    spreads = np.array([max(np.ptp(middles[:k]), np.ptp(middles[k:])) for k in sides])
    best = int(np.argmax(jumps - spreads))
    k = sides[best]
    if jumps[best] < np.log(FACTOR) or spreads[best] > LEVEL_SHARE * jumps[best]:
        return None
    at = float(edges[present[k] - 1])
    early, late = numbers[times < at], numbers[times >= at]  # (a,), (b,)
    low, high = sorted((early, late), key=np.median)
    apart = np.quantile(low, 0.9) < np.median(high) and np.median(low) < np.quantile(high, 0.1)
    distinct = min(len(np.unique(early)), len(np.unique(late)))
    if not apart or distinct < FEWEST_DISTINCT:
        return None
    return Change(float(np.median(early)), float(np.median(late)), at)
