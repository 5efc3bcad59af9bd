"""The columns that a history is predicted from: range, missing values, features, how they lie.

The range and the missing share are those of all rows, as the reader found them; the middle and the
bars are those of the sample, the bars by the whole's number of rows.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.features import Category, Date
from service.assess.findings import ColumnFound, ColumnKind
from service.assess.sample import Looked
from service.history_columns import Source, sql
from service.history_scan import quoted
from service.history_sums import HistoryRead

Array = NDArray[np.float64]

BARS = 16
REST = ""
"""The last level of a category that has any other: all that has no feature, nothing included."""


def target_column(looked: Looked, read: HistoryRead) -> ColumnFound:
    """Return what the target holds."""
    name = looked.roles.target
    unit = looked.roles.units.get(name) or unit_in(name)
    values = numbers_of(looked, looked.keys.target)  # (n,)
    return _numbers(looked, name, unit, values, (float(read.low[-1]), float(read.high[-1])), 0.0)


def feature_columns(looked: Looked, read: HistoryRead) -> Iterator[ColumnFound]:
    """Yield what every column holds that is predicted from, in the file's order."""
    place = 0
    for source in read.sources:
        named = tuple(column.name for column in source.columns())
        bounds = float(read.low[place]), float(read.high[place])
        place += len(named)
        missing = read.missing.get(source.name, 0.0)
        if isinstance(source, Category):
            yield _category(looked, source, named, missing)
            continue
        values = numbers_of(looked, feature_sql(looked, source))  # (n,)
        unit = source.unit if not isinstance(source, Date) else f"days since {source.origin}"
        unit = unit or unit_in(source.name)
        yield _numbers(looked, source.name, unit, values, bounds, missing, named, source.kind)


def feature_sql(looked: Looked, source: Source) -> str:
    """Return the SQL of a column's first feature: its number, or days of a date."""
    return sql(source, looked.rows.index(source.name))[0]


def numbers_of(looked: Looked, feature: str) -> Array:
    """Return the numbers (n,) of the sampled rows, those that are missing left out."""
    (values,) = looked.numbers(f"SELECT {feature} AS v FROM {looked.rows.rows}")  # (n,)
    return values[np.isfinite(values)]


def unit_in(name: str) -> str:
    """Return the unit that a heading ends in, in brackets; empty without one.

    >>> unit_in("気温（℃）"), unit_in("price [JPY]"), unit_in("temp")
    ('℃', 'JPY', '')
    """
    found = re.fullmatch(r".+[\[(（［]\s*([^\[\]()（）［］]{1,20}?)\s*[\])）］]", name)
    return found[1] if found else ""


def _numbers(
    looked: Looked,
    name: str,
    unit: str,
    values: Array,
    bounds: tuple[float, float],
    missing: float,
    features: tuple[str, ...] = (),
    kind: ColumnKind = "number",
) -> ColumnFound:
    low, high = bounds
    middle = float(np.median(values)) if len(values) else low
    bars: tuple[int, ...] = ()
    if len(values) and low < high:
        counts, _ = np.histogram(np.clip(values, low, high), BARS, (low, high))  # (BARS,)
        bars = _as_whole(looked, counts)
    return ColumnFound(name, kind, unit, low, middle, high, missing, features, bars)


def _category(
    looked: Looked, source: Category, features: tuple[str, ...], missing: float
) -> ColumnFound:
    text = f"t{looked.rows.index(source.name)}"
    levels = ((source.base,) if source.base is not None else ()) + source.levels
    counts = ", ".join(f"count(*) FILTER ({text} = {quoted(level)})" for level in levels)
    found = [int(str(n)) for n in looked.rows.row(f"SELECT {counts} FROM {looked.rows.rows}")]
    if rest := looked.row_count - sum(found):
        levels, found = (*levels, REST), [*found, rest]
    bars = _as_whole(looked, np.array(found))
    return ColumnFound(
        *(source.name, "category", "", None, None, None, missing, features), bars, levels
    )


def _as_whole(looked: Looked, counts: NDArray[np.int64]) -> tuple[int, ...]:
    """Return how many rows of the whole lie where these of the sample do."""
    times = looked.whole_count / max(looked.row_count, 1)
    return tuple(round(count * times) for count in counts.tolist())
