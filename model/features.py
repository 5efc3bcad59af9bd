"""Columns of a business's rows as the numbers a model takes, declared with the model.

A column of numbers stays one feature. A category becomes one 0/1 feature for each frequent level, a
date becomes days and the sine and cosine of its cycles. What is declared here is all that serving
needs, so that rows are encoded alike in pretraining and later (docs/pretrain.md).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from model.document import Document
from model.schema import Column

Array = NDArray[np.float64]
Value: TypeAlias = str | float | bool | date | None
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Cycle = Literal["day", "week", "year"]

CYCLE_DAYS: dict[Cycle, float] = {"day": 1.0, "week": 7.0, "year": 365.2425}
CYCLE_EPOCH = datetime(2000, 1, 3)  # a Monday at midnight: where every cycle starts


class Number(Document, kw_only=True, tag_field="kind", tag="number"):
    """A column of numbers; booleans count as 0 and 1.

    >>> Number(name="temp").encode([12, "7.5", None]).tolist()
    [[12.0], [7.5], [nan]]
    """

    kind: ClassVar[Literal["number"]] = "number"
    name: Name
    unit: Annotated[str, Meta(max_length=200)] = ""

    def columns(self) -> tuple[Column, ...]:
        """Return the features this column becomes."""
        return (Column(self.name, self.unit),)

    def encode(self, values: Sequence[Value]) -> Array:
        """Return the features (n, 1); NaN where a value is missing."""
        return np.array([[_number(value)] for value in values], np.float64)  # (n, 1)


class Category(Document, kw_only=True, tag_field="kind", tag="category"):
    """A column of texts; `base` is the level that all zeros mean, None for any other or none.

    >>> Category(name="city", levels=("Oslo", "Rome"), base=None).encode(["Rome", "Bonn"]).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    kind: ClassVar[Literal["category"]] = "category"
    name: Name
    levels: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(min_length=1)]
    base: str | None = None

    def columns(self) -> tuple[Column, ...]:
        """Return the features this column becomes."""
        rest = "any other value or none" if self.base is None else f"'{self.base}'"
        meaning = f"1 where {self.name} is '{{}}'; all 0: {rest}"
        return tuple(
            Column(f"{self.name}={level}", "0 or 1", meaning.format(level)) for level in self.levels
        )

    def encode(self, values: Sequence[Value]) -> Array:
        """Return the features (n, k), 0 or 1; an unknown or missing level is all zeros."""
        texts = ["" if value is None else str(value).strip() for value in values]
        return np.array(
            [[float(text == level) for level in self.levels] for text in texts]
        )  # (n, k)


class Date(Document, kw_only=True, tag_field="kind", tag="date"):
    """A column of dates or times: days since `origin`, and a sine and cosine for every cycle.

    >>> Date(name="day", origin=date(2024, 1, 1), cycles=("week",)).encode(["2024-01-08"]).tolist()
    [[7.0, 0.0, 1.0]]
    """

    kind: ClassVar[Literal["date"]] = "date"
    name: Name
    origin: date
    cycles: tuple[Cycle, ...] = ()

    def columns(self) -> tuple[Column, ...]:
        """Return the features this column becomes."""
        waves = [
            Column(
                f"{self.name}.{cycle}_{wave}", "-1 to 1", f"{meaning} of the place in the {cycle}"
            )
            for cycle in self.cycles
            for wave, meaning in (("sin", "sine"), ("cos", "cosine"))
        ]
        return (Column(f"{self.name}.days", f"days since {self.origin.isoformat()}"), *waves)

    def encode(self, values: Sequence[Value]) -> Array:
        """Return the features (n, 1 + 2 cycles); NaN where a value is missing."""
        start = datetime(self.origin.year, self.origin.month, self.origin.day)
        times = [_time(value) for value in values]
        return np.array([self._row(start, time) for time in times], np.float64)  # (n, k)

    def _row(self, start: datetime, time: datetime | None) -> list[float]:
        if time is None:
            return [math.nan] * (1 + 2 * len(self.cycles))
        row = [(time - start).total_seconds() / 86_400]
        passed = (time - CYCLE_EPOCH).total_seconds() / 86_400
        for cycle in self.cycles:
            angle = 2.0 * math.pi * (passed / CYCLE_DAYS[cycle] % 1.0)
            row += [math.sin(angle), math.cos(angle)]
        return row


Source: TypeAlias = Number | Category | Date


def columns(sources: Sequence[Source]) -> tuple[Column, ...]:
    """Return the features of all columns, in order."""
    return tuple(column for source in sources for column in source.columns())


def encode(sources: Sequence[Source], rows: Mapping[str, Sequence[Value]]) -> Array:
    """Return the features (n, d) of rows given by column; NaN where a number is missing."""
    return np.hstack([source.encode(rows[source.name]) for source in sources])  # (n, d)


def _number(value: Value) -> float:
    """Return a value as a number, NaN where it is missing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    if isinstance(value, date):
        raise ValueError(f"expected a number, got the date {value}")
    return float(value)


def _time(value: Value) -> datetime | None:
    """Return a value as a time, None where it is missing; a zone is left out, the clock stands."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    raise ValueError(f"expected a date, got {value}")
