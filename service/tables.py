"""CSV and Parquet files as named columns, for the command line; whatever is wrong is one sentence.

Rows are counted from 1, the header left out. Every column keeps its text as written, so that a file
of predictions repeats the caller's own rows.
"""

import csv
import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PREDICTION = "prediction"


class TableError(Exception):
    """A file that cannot be used as it is: one sentence that names file, column and row."""


class Kind(Enum):
    """What a column holds; only numbers (booleans count as 0 and 1) can be features or labels."""

    NUMBER = "numbers"
    DATE = "dates"
    TEXT = "text"
    EMPTY = "no values"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its text as written, and its numbers, NaN where a text is none or missing."""

    kind: Kind
    text: tuple[str | None, ...]
    values: Array  # (n,)

    def first_that_is_no_number(self) -> tuple[int, str] | None:
        """Return row and text of the first value that is not a number; None when all are."""
        for row, (text, value) in enumerate(zip(self.text, self.values, strict=True), start=1):
            if text is not None and not np.isfinite(value):
                return row, text
        return None

    @property
    def is_mostly_numbers(self) -> bool:
        """Whether more than half of the values are numbers: then the others are mistakes."""
        present = sum(text is not None for text in self.text)
        return 2 * int(np.isfinite(self.values).sum()) > present


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns by name, in the file's order."""

    source: str
    columns: Mapping[str, Column]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(self.columns)

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())).text)

    def column(self, name: str) -> Column:
        """Return a column; refuse a name that the file does not have."""
        if name in self.columns:
            return self.columns[name]
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        has = ", ".join(self.names)
        raise TableError(f"{self.source}: there is no column {name!r}; {hint}the file has: {has}")

    def numbers(self, name: str) -> Array:
        """Return the numbers (n,) of a column; refuse text, dates, missing or infinite values."""
        column = self.column(name)
        where = f"{self.source}: column {name!r}"
        if column.kind is Kind.EMPTY:
            raise TableError(f"{where} has no values")
        odd = column.first_that_is_no_number()
        if odd is not None:
            raise TableError(f"{where} {_complaint(column, *odd)}")
        missing = np.isnan(column.values)  # (n,)
        if missing.any():
            raise TableError(f"{where}: row {int(missing.argmax()) + 1} has no value")
        return column.values

    def matrix(self, names: Sequence[str]) -> Array:
        """Return the numbers (n, d) of several columns, in the order asked for."""
        return np.column_stack([self.numbers(name) for name in names])  # (n, d)


def _complaint(column: Column, row: int, text: str) -> str:
    if column.kind is Kind.DATE:
        example = f"row {row}: {text!r}" if row > 1 else repr(text)
        return f"holds dates ({example}): make numbers of them first, such as the hour of the day"
    if column.kind is Kind.NUMBER:
        return f"must be finite: row {row} holds {text!r}"
    comma = text.replace(",", ".", 1)
    hint = "; write decimals with a point" if comma != text and _is_float(comma) else ""
    return f"holds text, not numbers: row {row} holds {text!r}{hint}"


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_predictions(
    table: Table, predictions: Iterable[float], stream: TextIO, out: Path | None = None
) -> None:
    """Write every column of the table and the predictions as CSV, to out at once or to the stream.

    A reader of `out` sees the old file or the new one, never half of it.
    """
    if PREDICTION in table.columns:
        raise TableError(f"{table.source}: rename the column {PREDICTION!r}, it is for the answers")
    texts = [column.text for column in table.columns.values()]
    rows = zip(*texts, (repr(float(value)) for value in predictions), strict=True)
    header = [*table.names, PREDICTION]
    if out is None:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        return
    try:
        _replace(out, [header, *rows])
    except OSError as error:
        raise TableError(f"{out}: {(error.strerror or 'cannot be written').lower()}") from None


def _replace(out: Path, rows: Iterable[Sequence[str | None]]) -> None:
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        Path(name).chmod(0o644)  # a temporary file is its owner's alone
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
