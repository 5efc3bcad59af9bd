"""Faults of numbers and dates: stand-ins for a missing value, values far from the rest, gaps."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import Category, Date
from service.assess.columns_found import feature_sql, numbers_of
from service.assess.sample import Looked
from service.assess.suspects import NEVER, Detail, Suspect
from service.history_sums import HistoryRead

Array = NDArray[np.float64]

STAND_INS = {-1.0, 32767.0, 65535.0, 2147483647.0, -32768.0, -2147483648.0, 999.9, -999.9, -99.9}
STAND_INS |= {sign * (10.0**n - 1) for sign in (-1, 1) for n in range(2, 10)} | {-9.0}
STAND_IN_DATES = {date(1, 1, 1), date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1)}
STAND_IN_DATES |= {date(1970, 1, 1), date(2099, 12, 31), date(2999, 12, 31), date(9999, 12, 31)}
FEWEST_DISTINCT = 5  # others, for one to be apart from them
MOST_ZEROS = 0.01  # of the rows
FAR, FAR_RATIOS = 15.0, 3.0  # widths of the range that holds 90 % of the values, or their ratios
SLIP = 50.0  # widths: a slip of the keys rather than a large value
MISSING_FROM, MISSING_REPAIR = 0.01, 0.2


class Values(NamedTuple):
    """The numbers of a column: those of the sample, with the smallest and the largest of all."""

    name: str
    text: str  # SQL of a cell as it stands in the file
    sql: str  # SQL of its number
    origin: date | None  # of dates: what their days count from
    numbers: Array  # (n,)


def every_value(looked: Looked, read: HistoryRead) -> Iterator[Values]:
    """Yield the columns of numbers and dates, then the target."""
    place = 0
    for source in read.sources:
        if not isinstance(source, Category):
            text = f"t{looked.rows.index(source.name)}"
            sql = feature_sql(looked, source)
            ends = [read.low[place], read.high[place]]
            origin = source.origin if isinstance(source, Date) else None
            numbers = np.append(numbers_of(looked, sql), ends)  # (n + 2,)
            yield Values(source.name, text, sql, origin, numbers[np.isfinite(numbers)])
        place += len(source.columns())
    name, sql = looked.roles.target, looked.keys.target
    numbers = np.append(numbers_of(looked, sql), [read.low[-1], read.high[-1]])  # (n + 2,)
    yield Values(name, f"t{looked.rows.index(name)}", sql, None, numbers)


def value_suspects(values: Values) -> Iterator[Suspect]:
    """Yield stand-ins and far values of a column."""
    rest = values.numbers
    for stand_in, (low, high) in stand_ins(values):
        detail: Detail = {"value": _written(values, stand_in), "low": low, "high": high}
        condition = f"{values.sql} = {stand_in!r}"
        yield Suspect("sentinel", (values.name,), condition, values.text, detail=detail)
        rest = rest[rest != stand_in]
    if values.origin is None and (ends := zero_apart(rest)):
        zero: Detail = {"value": "0", "low": ends[0], "high": ends[1]}
        condition = f"{values.sql} = 0"
        yield Suspect(
            *("sentinel", (values.name,), condition, values.text), repair_from=NEVER, detail=zero
        )
    yield from _far(values, rest)


def usual(values: Values) -> Array:
    """Return the numbers of a column without stand-ins."""
    found = [stand_in for stand_in, _ in stand_ins(values)]
    return values.numbers[~np.isin(values.numbers, found)]


def stand_ins(values: Values) -> Iterator[tuple[float, tuple[float, float]]]:
    """Yield numbers such as -999 that stand apart from the rest, and the range of the rest.

    Apart is by as much as the rest is wide, or the only one below zero, thrice or more.
    """
    distinct, counts = np.unique(values.numbers, return_counts=True)  # (k,), (k,)
    typical = np.array([_is_typical(values, value) for value in distinct[[0, -1]].tolist()])
    inner = distinct[int(typical[0]) : len(distinct) - int(typical[1] and len(distinct) > 1)]
    if len(inner) < FEWEST_DISTINCT:
        return
    low, high = float(inner[0]), float(inner[-1])
    for place in np.flatnonzero(typical).tolist():
        value = float(distinct[-place])
        gap = low - value if place == 0 else value - high
        only = value < 0 <= low and counts[0] > 3 and not np.any(inner % 1.0)
        if (gap >= high - low and value != -1.0) or (only and place == 0 and not values.origin):
            yield value, (low, high)


def zero_apart(numbers: Array) -> tuple[float, float] | None:
    """Return the range of numbers (n,) above a few zeros with next to nothing near them.

    Zero is then perhaps no measurement; of more than a hundredth of the rows it means something.
    """
    above = numbers[numbers > 0]  # (m,)
    zeros = len(numbers) - len(above)  # the smallest number is there once more than in the rows
    if not 3 < zeros <= MOST_ZEROS * len(numbers) or numbers.min() < 0:
        return None
    low, high = float(above.min()), float(above.max())
    near = int((above < 0.1 * high).sum())
    if low < 0.05 * high or zeros < 5 * near or len(np.unique(above)) < 4 * FEWEST_DISTINCT:
        return None
    return low, high


def _is_typical(values: Values, value: float) -> bool:
    if values.origin is None:
        return value in STAND_INS
    return _day(values.origin, value) in STAND_IN_DATES


def _day(origin: date, days: float) -> date | None:
    try:
        return origin + timedelta(days=days)
    except OverflowError:
        return None


def _written(values: Values, value: float) -> str:
    return f"{value:.15g}" if values.origin is None else str(_day(values.origin, value))


def _far(values: Values, rest: Array) -> Iterator[Suspect]:
    """Yield values far outside the range of nine in ten, with a gap between."""
    for sign in (1.0, -1.0):
        found = far_from(sign * rest)
        if found is None:
            continue
        edge, times = found
        low, high = np.quantile(rest, [0.05, 0.95]).tolist()
        farthest = float(sign * np.max(sign * rest))
        side = ">" if sign > 0 else "<"
        reach: Detail = {"low": low, "high": high, "farthest": farthest, "times": times}
        yield Suspect(
            *("far_values", (values.name,), f"{values.sql} {side} {sign * edge!r}", values.text),
            first=f"{-sign!r} * {values.sql}",
            repair_from=0.0 if times >= SLIP else NEVER,
            detail=reach,
        )


def far_from(numbers: Array) -> tuple[float, float] | None:
    """Return from where on numbers (n,) lie far above the rest, and by how many widths at most.

    Far is `FAR` widths of the range of nine in ten above it, after a gap of half that way; of
    numbers above zero also by `FAR_RATIOS` widths of their logarithms, so that a long tail is none.
    """
    if len(numbers) < 20:
        return None
    low, middle, high = np.quantile(numbers, [0.05, 0.5, 0.95])
    width = high - low
    is_far = numbers > high + FAR * width  # (n,)
    if width <= 0 or not is_far.any():
        return None
    nearest, inner = float(numbers[is_far].min()), float(numbers[~is_far].max())
    if nearest - inner < 0.5 * (nearest - high):
        return None
    if numbers.min() >= 0 and middle > 0:
        lows, highs, top = np.log1p(np.array([low, high, nearest]) / middle).tolist()
        if top - highs < FAR_RATIOS * (highs - lows):
            return None
    return (nearest + inner) / 2, float((numbers.max() - high) / width)


def missing_suspects(looked: Looked, read: HistoryRead) -> Iterator[Suspect]:
    """Yield the columns with missing values."""
    for source in read.sources:
        if read.missing.get(source.name, 0.0) >= MISSING_FROM:
            text = f"t{looked.rows.index(source.name)}"
            absent = text if isinstance(source, Category) else feature_sql(looked, source)
            yield Suspect(
                *("missing", (source.name,), f"({absent}) IS NULL"),
                repair_from=MISSING_REPAIR,
                least=MISSING_FROM / 2,
            )
