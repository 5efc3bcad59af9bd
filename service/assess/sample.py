"""The rows that step 1 looks at: all of a small file, of a large one a sample drawn by row number.

One scan makes a table of them in DuckDB, so that every look after it is short. What is rare, such
as the smallest and the largest value or a row that stands there twice, is asked of the whole file.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.history_reader import Keys, Roles, keys
from service.history_scan import Scan, scanning

Array = NDArray[np.float64]

SAMPLED_ROWS, SAMPLED_CELLS = 120_000, 4_000_000
"""Most rows and most cells of the sample; a smaller file is looked at whole."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows that have group, target and order: `rows` some of them, `whole` all."""

    rows: Scan
    whole: Scan
    keys: Keys
    roles: Roles
    row_count: int  # of `rows`
    whole_count: int

    @property
    def is_complete(self) -> bool:
        """Whether the sample is the whole."""
        return self.row_count == self.whole_count

    def numbers(self, sql: str, names: tuple[str, ...] = ("v",)) -> list[Array]:
        """Return columns (n,) of a query of `rows`, NaN where null."""
        cells = self.rows.connection.execute(sql).fetchnumpy()
        return [np.ma.masked_array(cells[n], dtype=np.float64).filled(np.nan) for n in names]

    def list(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows of a query's result."""
        return self.rows.connection.execute(sql).fetchall()


@contextmanager
def looking(path: Path, roles: Roles, used_count: int, seed: int) -> Iterator[Looked]:
    """Open a history that was read before, of `used_count` rows."""
    with (
        tempfile.TemporaryDirectory(prefix="sonoba-") as spill,
        scanning(path, Path(spill)) as scan,
    ):
        found = keys(scan, roles)
        most = min(SAMPLED_ROWS, SAMPLED_CELLS // len(scan.names))
        is_complete = used_count <= most
        drawn = "" if is_complete else f"AND hash(r, {seed}) % {used_count} < {most}"
        scan.run(f"CREATE TEMP TABLE looked AS SELECT * FROM {scan.rows} {found.where} {drawn}")
        rows = replace(scan, rows="looked")
        (count,) = rows.row("SELECT count(*) FROM looked")
        chosen = f"(SELECT * FROM {scan.rows} {found.where}) AS chosen_rows"
        whole = rows if is_complete else replace(scan, rows=chosen)
        yield Looked(rows, whole, found, roles, int(str(count)), used_count)
