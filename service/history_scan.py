"""A history file as DuckDB sees it: every column as text and as number, scanned, never loaded.

Scans run out of core: what does not fit the memory limit goes to a temporary folder.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from service.table_files import NUMERIC_TYPES, header_of, literal, reason_of
from service.table_text import Text, as_utf8, start_of
from service.tables import TableError

MEMORY_LIMIT = "768MB"
LONGEST_NAME = 200
MISSING = ("na", "n/a", "nan", "null", "none", "?", "-")
"""Texts that stand for a missing value in a column of numbers or dates, in any case."""

Cells = Mapping[str, NDArray[np.generic]]
"""Columns of a result; a list of numbers is one array of an object array."""

_NUMBER_OF_TEXT = """CASE WHEN lower({0}) = 'true' THEN 1 WHEN lower({0}) = 'false' THEN 0
    WHEN isfinite(try_cast({0} AS DOUBLE)) THEN try_cast({0} AS DOUBLE) END"""


@dataclass(slots=True)
class Scan:
    """One file to scan: the SQL `rows` has r (row number), t<i> (text) and v<i> (number)."""

    source: str
    names: tuple[str, ...]
    rows: str
    connection: duckdb.DuckDBPyConnection = field(repr=False)
    encoding: str = ""  # what the file was saved in, where not UTF-8

    def index(self, name: str) -> int:
        """Return the position of a column; refuse a name that the file does not have."""
        if name in self.names:
            return self.names.index(name)
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        has = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        raise TableError(f"{self.source}: there is no column {name!r}; {hint}the file has: {has}")

    def select(self, query: str) -> Cells:
        """Return the columns of a query's result as arrays; select no null."""
        try:
            return {
                name: np.asarray(cells)
                for name, cells in self.connection.execute(query).fetchnumpy().items()
            }
        except duckdb.Error as error:
            raise TableError(f"{self.source}: {reason_of(error)}") from None

    def run(self, query: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement without a result."""
        self.connection.execute(query, parameters)

    def row(self, query: str) -> tuple[object, ...]:
        """Return the only row of a query's result."""
        try:
            return self.connection.execute(query).fetchone() or ()
        except duckdb.Error as error:
            raise TableError(f"{self.source}: {reason_of(error)}") from None


@contextmanager
def scanning(path: Path, spill_folder: Path) -> Iterator[Scan]:
    """Open a CSV (header in the first line) or a Parquet file; larger than memory is fine."""
    is_parquet = start_of(path).startswith(b"PAR1")
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(spill_folder),
    }
    with duckdb.connect(config=config) as connection:
        if is_parquet:
            yield _parquet(path, connection)
        else:
            yield _csv(path, as_utf8(path, spill_folder), connection)


def _csv(path: Path, text: Text, connection: duckdb.DuckDBPyConnection) -> Scan:
    delimiter, names = header_of(text.path, path)
    texts = "{" + ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names))) + "}"
    relation = (
        f"read_csv({quoted(literal(text.path))}, delim={quoted(delimiter)}, quote='\"', "
        f"escape='\"', header=true, auto_detect=false, columns={texts})"
    )
    cells = [(f"c{i}", None) for i in range(len(names))]
    rows = _rows(relation, cells)
    return Scan(str(path), _checked(path, names), rows, connection, text.encoding)


def _parquet(path: Path, connection: duckdb.DuckDBPyConnection) -> Scan:
    relation = f"read_parquet({quoted(literal(path))})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise TableError(f"{path}: {reason_of(error)}") from None
    cells = []
    for name, kind, *_ in described:
        column = '"' + name.replace('"', '""') + '"'
        is_number = any(word in kind for word in NUMERIC_TYPES) and not kind.endswith("]")
        cells.append((column, f"CAST({column} AS DOUBLE)" if is_number else None))
    names = [name for name, *_ in described]
    return Scan(str(path), _checked(path, names), _rows(relation, cells), connection)


def _rows(relation: str, cells: Sequence[tuple[str, str | None]]) -> str:
    """Return the subquery of texts and numbers; cells are columns, each with its number if any."""
    parts = ["row_number() OVER () AS r"]
    for i, (column, number) in enumerate(cells):
        text = f"nullif(trim(CAST({column} AS VARCHAR)), '')"
        value = f"CASE WHEN isfinite({number}) THEN {number} END" if number else None
        parts.append(f"{text} AS t{i}, {value or _NUMBER_OF_TEXT.format(text)} AS v{i}")
    return f"(SELECT {', '.join(parts)} FROM {relation}) AS rows"


def _checked(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if len(name) > LONGEST_NAME:
            most = f"expected column names of at most {LONGEST_NAME} characters"
            raise TableError(f"{path}: {most}, got one that starts with {name[:40]!r}")
    return tuple(names)


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def time_of(text: str) -> str:
    """Return the SQL of a text's time, null where it is none."""
    time = f"try_cast({text} AS TIMESTAMP)"
    return f"CASE WHEN isfinite({time}) THEN {time} END"


def is_missing(text: str) -> str:
    """Return the SQL that tells whether a text stands for a missing value."""
    return f"(lower({text}) IN ({', '.join(map(quoted, MISSING))}))"
