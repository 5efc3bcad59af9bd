"""What the columns of a history hold, and the features declared of them.

One scan counts numbers, dates and missing values; texts are counted by level in a second one. What
a model cannot use well is refused or left out, each with a sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from model.features import CYCLE_DAYS, Category, Cycle, Date, Number, columns
from model.schema import Column
from service.history_scan import Scan, is_missing, quoted, time_of
from service.tables import TableError
from service.written_numbers import advice_on, mark_of

Source = Number | Category | Date
Kind = Literal["number", "date", "text", "empty", "constant"]

MOST_FEATURES = 128
MOST_LEVELS = 12
RARE_SHARE = 0.01  # of the rows: a rarer level is "any other"
ONE_AT_LEAST = "add one that varies; the others are excluded, empty or the same in every row"
LARGEST = 1e100
MOST_DISTINCT = 10_000  # more different texts than this are names, not categories


class Look(NamedTuple):
    """What one scan finds in a column, over the rows that are used."""

    rows: int
    present: int
    numbers: int
    tokens: int
    dates: int
    timed: int
    distinct: int
    mean: float | None
    low: float | None
    high: float | None
    first: datetime | None
    last: datetime | None
    odd_number: str | None
    last_odd_number: str | None
    odd_date: str | None

    @property
    def kind(self) -> Kind:
        """What the column holds; a number among dates or texts makes it no date."""
        values = self.present - self.tokens
        if not values:
            return "empty"
        if values == self.rows and (
            (self.numbers == values and self.low == self.high)
            or (not self.numbers and self.odd_number == self.last_odd_number)
        ):
            return "constant"
        if self.numbers == values:
            return "number"
        return "date" if self.dates == values else "text"


@dataclass(frozen=True, slots=True)
class Declared:
    """The features of a history, and what was left out of them."""

    sources: tuple[Source, ...]
    looks: Mapping[str, Look]
    notices: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The features (d) in order."""
        return columns(self.sources)


_LOOK = """count(*), count({t}), count({v}), count({t}) FILTER ({missing} AND {v} IS NULL),
    count(CASE WHEN {v} IS NULL THEN {time} END),
    count(CASE WHEN {v} IS NULL AND CAST({time} AS TIME) <> TIME '00:00:00' THEN 1 END),
    approx_count_distinct(CASE WHEN {v} IS NULL THEN {t} END),
    avg({v}), min({v}), max({v}),
    min(CASE WHEN {v} IS NULL THEN {time} END), max(CASE WHEN {v} IS NULL THEN {time} END),
    min(CASE WHEN {v} IS NULL AND NOT {missing} THEN {t} END),
    max(CASE WHEN {v} IS NULL AND NOT {missing} THEN {t} END),
    min(CASE WHEN {v} IS NULL AND NOT {missing} AND {time} IS NULL THEN {t} END)"""


def look(scan: Scan, names: Sequence[str], where: str) -> dict[str, Look]:
    """Return what every named column holds in the rows that `where` keeps."""
    parts = []
    for name in names:
        t, v = (f"{letter}{scan.index(name)}" for letter in "tv")
        parts.append(_LOOK.format(t=t, v=v, time=time_of(t), missing=is_missing(t)))
    cells = scan.row(f"SELECT {', '.join(parts)} FROM {scan.rows} {where}")
    width = len(Look._fields)
    chunks = [cells[i : i + width] for i in range(0, len(cells), width)]
    return {
        name: Look(*chunk)  # type: ignore[arg-type]
        for name, chunk in zip(names, chunks, strict=True)
    }


def declare(
    scan: Scan,
    names: Sequence[str],
    where: str,
    categories: Sequence[str],
    units: Mapping[str, str],
) -> Declared:
    """Return the features that the named columns become, in the file's order."""
    looks = look(scan, names, where) if names else {}
    used, notices = [], []
    for name in names:
        kind = looks[name].kind
        if kind in ("empty", "constant"):
            why = "has no values" if kind == "empty" else "holds the same value in every row"
            notices.append(f"left out: {name!r} {why}")
        else:
            check_size(scan, name, looks[name])
            used.append(name)
    texts = [name for name in used if name in categories or looks[name].kind == "text"]
    for name in texts:
        _check_text(scan, name, looks[name], name in categories)
    levels = _levels(scan, texts, where)
    sources: list[Source] = []
    for name in used:
        if name in texts:
            sources.append(_category(scan, name, looks[name], levels[name]))
        elif looks[name].kind == "date":
            sources.append(_date(name, looks[name]))
        else:
            sources.append(Number(name=name, unit=units.get(name, "")))
    _check_width(scan, sources)
    return Declared(tuple(sources), looks, tuple(notices))


def _check_text(scan: Scan, name: str, found: Look, is_asked: bool) -> None:
    """Refuse slips among numbers or dates, and texts that are names rather than categories."""
    where = f"{scan.source}: column {name!r}"
    values = found.present - found.tokens
    how = {
        odd: advice_on(odd) or "correct these rows" for odd in (found.odd_number, found.odd_date)
    }
    leave = f"or leave the column out with --exclude {name}"
    if not is_asked and 2 * found.numbers > values:
        count = values - found.numbers
        raise TableError(
            f"{where} holds numbers, but not in {count:,} rows ({found.odd_number!r}): "
            f"{how[found.odd_number]}, {leave}"
        )
    if not is_asked and 2 * found.dates > values:
        count = values - found.dates
        raise TableError(
            f"{where} holds dates, but not in {count:,} rows ({found.odd_date!r}): "
            f"{how[found.odd_date]}, {leave}"
        )
    if found.distinct > MOST_DISTINCT:
        raise TableError(f"{where} {_names(name, f'about {found.distinct:,}', found)}")


def check_size(scan: Scan, name: str, found: Look) -> None:
    """Refuse numbers whose squares no sum can hold."""
    largest = max((found.low or 0.0, found.high or 0.0), key=abs)
    if abs(largest) > LARGEST:
        sentence = f"expected numbers up to {LARGEST:g}, got {largest:g}: correct this cell"
        raise TableError(f"{scan.source}: column {name!r}: {sentence}")


def _names(name: str, count: str, found: Look) -> str:
    """Return why texts are no category: numbers or dates that are written so, or names."""
    leave = f"leave it out with --exclude {name}"
    if found.odd_number and mark_of(found.odd_number) and mark_of(found.last_odd_number or ""):
        example = f"numbers that are written as texts ({found.odd_number!r})"
        return f"holds {example}: {advice_on(found.odd_number)}, or {leave}"
    much = f"holds {count} different texts, too many for a category"
    return f"{much}: {leave}, or group its values first"


def _levels(scan: Scan, texts: Sequence[str], where: str) -> dict[str, list[tuple[str, int]]]:
    """Return every text and its number of rows, the frequent first, for each column of texts."""
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in texts}
    if not texts:
        return found
    columns = [f"t{scan.index(name)}" for name in texts]
    sets = ", ".join(f"({column})" for column in columns)
    which = " ".join(f"WHEN grouping({t}) = 0 THEN {i}" for i, t in enumerate(columns))
    cells = scan.select(
        f"SELECT CASE {which} END AS place, coalesce({', '.join(columns)}) AS level, "
        f"count(*) AS rows FROM {scan.rows} {where} GROUP BY GROUPING SETS ({sets}) "
        "HAVING level IS NOT NULL"
    )
    for place, level, rows in zip(cells["place"], cells["level"], cells["rows"], strict=True):
        found[texts[int(place)]].append((str(level), int(rows)))
    return {
        name: sorted(pairs, key=lambda pair: (-pair[1], pair[0])) for name, pairs in found.items()
    }


def _category(scan: Scan, name: str, found: Look, levels: Sequence[tuple[str, int]]) -> Category:
    """Return the 0/1 features of the frequent levels; refuse texts without frequent ones."""
    kept = [
        (level, rows)
        for level, rows in levels[:MOST_LEVELS]
        if rows >= RARE_SHARE * found.rows and len(level) <= 200
    ]
    covered = sum(rows for _, rows in kept)
    if 2 * covered < found.present or not kept:
        raise TableError(
            f"{scan.source}: column {name!r} {_names(name, f'{len(levels):,}', found)}"
        )
    texts = tuple(level for level, _ in kept)
    if covered == found.rows and len(texts) > 1:  # the base follows from the others
        return Category(name=name, levels=texts[1:], base=texts[0])
    return Category(name=name, levels=texts)


def _date(name: str, found: Look) -> Date:
    """Return a date's features; a cycle is declared where the history holds it twice."""
    assert found.first is not None and found.last is not None
    span = found.last - found.first
    cycles: list[Cycle] = []
    for cycle, days in CYCLE_DAYS.items():
        if span >= timedelta(days=2 * days) and (cycle != "day" or found.timed):
            cycles.append(cycle)
    return Date(name=name, origin=found.first.date(), cycles=tuple(cycles))


def _check_width(scan: Scan, sources: Sequence[Source]) -> None:
    """Refuse a history without a usable column or with too many features."""
    if not sources:
        raise TableError(f"{scan.source}: there is no column left to predict from: {ONE_AT_LEAST}")
    widths = {source.name: len(source.columns()) for source in sources}
    if (d := sum(widths.values())) > MOST_FEATURES:
        wide = sorted(widths, key=lambda name: -widths[name])[:3]
        largest = ", ".join(f"{name} makes {widths[name]}" for name in wide)
        raise TableError(
            f"{scan.source}: expected at most {MOST_FEATURES} features, got {d} ({largest}): "
            "leave columns out with --exclude, or name the good ones with --features"
        )


def sql(source: Source, position: int) -> list[str]:
    """Return the SQL of a column's features, equal to `model.features.encode`; null is missing."""
    t, v = f"t{position}", f"v{position}"
    if isinstance(source, Number):
        return [v]
    if isinstance(source, Category):
        return [
            f"CAST(coalesce({t} = {quoted(level)}, false) AS DOUBLE)" for level in source.levels
        ]
    seconds = f"epoch({time_of(t)})"
    days = f"({seconds} - epoch(TIMESTAMP '{source.origin.isoformat()}')) / 86400"
    passed = f"({seconds} - epoch(TIMESTAMP '2000-01-03')) / 86400"
    turns = [f"{passed} / {CYCLE_DAYS[cycle]}" for cycle in source.cycles]
    angles = [f"2 * pi() * ({turn} - floor({turn}))" for turn in turns]
    return [days, *(f"{wave}({angle})" for angle in angles for wave in ("sin", "cos"))]
