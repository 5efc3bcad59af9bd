"""CSV and Parquet files read by DuckDB into tables; the server never loads it.

Each column of a file becomes two in the table `rows`: its text `t<i>` and its number `v<i>`, null
where the text is none. A CSV column is numeric when all its texts are, a Parquet column by type.
"""

import csv
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from service.table_text import as_utf8, start_of
from service.tables import Array, Column, Kind, Table, TableError

DELIMITERS = ",;\t|"
NO_ROWS = "there is a header but no row below it: save the table with its rows"
NAME_IT = "name it, or delete the lines above the header and the empty columns"
NUMERIC_TYPES = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")

_TO_NUMBER = """coalesce(try_cast({0} AS DOUBLE),
    CASE lower({0}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"""


def read_table(path: Path) -> Table:
    """Read a CSV file (with a header; comma, semicolon, tab or bar) or a Parquet file."""
    is_parquet = start_of(path).startswith(b"PAR1")
    table = Table(str(path), _load_parquet(path) if is_parquet else _load_csv(path))
    if not table.row_count:
        raise TableError(f"{path}: {NO_ROWS}")
    return table


def _load_csv(path: Path) -> dict[str, Column]:
    """Return the columns of a CSV file; the first line names them."""
    with tempfile.TemporaryDirectory(prefix="sonoba-") as folder:
        return _load_text(path, as_utf8(path, Path(folder)).path)


def _load_text(path: Path, text: Path) -> dict[str, Column]:
    """Return the columns of a CSV file from its text in UTF-8."""
    delimiter, names = header_of(text, path)
    texts = {f"t{i}": "VARCHAR" for i in range(len(names))}
    numbers = ", ".join(f"{_TO_NUMBER.format(t)} AS v{t[1:]}" for t in texts)
    query = f"""CREATE TABLE rows AS SELECT *, {numbers} FROM read_csv(
        ?, delim=?, quote='"', escape='"', header=true, auto_detect=false, columns=?)"""
    try:
        return _columns(names, query, [literal(text), delimiter, texts])
    except duckdb.Error as error:
        raise TableError(f"{path}: {reason_of(error)}") from None


def _load_parquet(path: Path) -> dict[str, Column]:
    """Return the columns of a Parquet file; its types say which are numbers."""
    with _connect() as connection:
        try:
            query = "DESCRIBE SELECT * FROM read_parquet(?)"
            described = connection.execute(query, [literal(path)]).fetchall()
        except duckdb.Error as error:
            raise TableError(f"{path}: {reason_of(error)}") from None
    parts = []
    for i, (name, kind, *_) in enumerate(described):
        quoted = '"' + name.replace('"', '""') + '"'
        is_number = any(word in kind for word in NUMERIC_TYPES) and not kind.endswith("]")
        number = f"CAST({quoted} AS DOUBLE)" if is_number else "CAST(NULL AS DOUBLE)"
        parts.append(f"CAST({quoted} AS VARCHAR) AS t{i}, {number} AS v{i}")
    query = f"CREATE TABLE rows AS SELECT {', '.join(parts)} FROM read_parquet(?)"
    return _columns([name for name, *_ in described], query, [literal(path)])


def header_of(text: Path, path: Path) -> tuple[str, list[str]]:
    """Return the delimiter and the column names of a text in UTF-8, read for the file at `path`."""
    try:
        with text.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline()
            delimiter = max(DELIMITERS, key=line.count)
            file.seek(0)
            names = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
    except csv.Error as error:
        raise TableError(f"{path}: the first line is no header: {error}") from None
    _check_names(path, names)
    return delimiter, names


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a header without names, with a name twice, or that is a row of numbers."""
    if not any(names):
        raise TableError(f"{path}: the first line must name the columns; it is empty: delete it")
    for position, name in enumerate(names, start=1):
        if not name:
            raise TableError(f"{path}: column {position} has no name in the header: {NAME_IT}")
        if names.index(name) + 1 < position:
            raise TableError(f"{path}: the header has the column {name!r} twice: rename one")
    if all(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", name) for name in names):
        raise TableError(f"{path}: the first line must name the columns; it holds numbers: add it")


def _connect() -> duckdb.DuckDBPyConnection:
    """Return a database in memory that fetches nothing from the network."""
    return duckdb.connect(config={"autoinstall_known_extensions": "false"})


def _columns(names: Sequence[str], query: str, parameters: list[object]) -> dict[str, Column]:
    """Run the query that makes `rows`, and return its columns by name."""
    each = range(len(names))
    with _connect() as connection:
        connection.execute(query, parameters)
        texts = connection.execute(f"SELECT {_list('t{}', each)} FROM rows").fetchall()
        numbers = connection.execute(f"SELECT {_list('v{}', each)} FROM rows").fetchnumpy()
        dated = (
            "count(coalesce(try_cast(t{0} AS TIMESTAMP)::VARCHAR, try_cast(t{0} AS TIME)::VARCHAR))"
        )
        counts = "count(t{0}), count(v{0}), " + dated
        counted = connection.execute(f"SELECT {_list(counts, each)} FROM rows").fetchone() or ()
    columns = list(zip(*texts, strict=True)) or [()] * len(names)
    return {
        name: Column(_kind(*counted[3 * i : 3 * i + 3]), columns[i], _values(numbers[f"v{i}"]))
        for i, name in enumerate(names)
    }


def _list(template: str, each: range) -> str:
    return ", ".join(template.format(i) for i in each)


def _kind(present: int, numbers: int, dates: int) -> Kind:
    if not present:
        return Kind.EMPTY
    if numbers == present:
        return Kind.NUMBER
    return Kind.DATE if dates == present else Kind.TEXT


def _values(numbers: object) -> Array:
    """Return a column of numbers (n,) with NaN for null, which DuckDB masks."""
    values: Array = np.ma.masked_array(numbers, dtype=np.float64).filled(np.nan)  # (n,)
    return values


def literal(path: Path) -> str:
    """Return the path so that DuckDB takes its stars and brackets as they are."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))


def reason_of(error: duckdb.Error) -> str:
    """Return what DuckDB has against a file, without its advice to its own callers."""
    message = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f"line {line[1]}: " if line else ""
    width = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if width:
        got = f"expected {width[1]} values, as the header names, got {width[2]}"
        return f"{where}{got}: correct this line; a text with the delimiter in it needs quotes"
    if "unterminated quote" in message:
        return f"{where}a quote is never closed: close it, or take it out"
    return where + message.split("\n")[0].removeprefix("Invalid Input Error: ")
