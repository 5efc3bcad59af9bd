"""The one scan that makes of a history the sums of each group and a bounded sample of its rows.

Sums are measured from an origin near the mean, so that a large mean costs no digits. The sample of
a group is drawn at random, or is its last rows where rows have an order: windows of it are real.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from model.features import Date, Number
from model.history import Group, History
from model.moments import Sums
from service.history_columns import Declared, Source, sql
from service.history_scan import Scan

Array = NDArray[np.float64]

SAMPLED_ROWS = 120_000
SAMPLED_NUMBERS = 8_000_000  # 64 MB
FEWEST_SAMPLED, MOST_SAMPLED = 80, 1024  # rows of one group: at least 64 examples and 16 queries


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """Everything pretraining needs of a history; its size does not depend on the file's."""

    history: History
    sums: tuple[Sums, ...]  # of every row of each group
    sources: tuple[Source, ...]
    missing: Mapping[str, float]  # share of rows in which a column has no value
    low: Array  # (d + 1,) smallest value of every feature, then of the label; NaN if not known
    high: Array  # (d + 1,)
    row_count: int
    used_row_count: int
    notices: tuple[str, ...]
    is_simulated: bool = False  # the rows were drawn from sums given in their place


@dataclass(frozen=True, slots=True)
class Plan:
    """What to scan for: SQL of the group, the target and the order, and which rows count."""

    scan: Scan
    declared: Declared
    group: str
    target: str
    order: str | None
    where: str
    seed: int

    def read(self, row_count: int, group_count: int, notices: tuple[str, ...]) -> HistoryRead:
        """Return the history of the groups in the table `chosen`."""
        origin = self._origin()  # (d + 1,)
        cells = self.scan.select(self._query(origin, self._most_rows(group_count)))
        sources = self.declared.sources
        (used,) = self.scan.row(f"SELECT count(*) FROM {self.scan.rows} {self.where}")
        missing = {source.name: self._missing(source) for source in sources}
        return HistoryRead(
            history=_history(cells, len(origin) - 1, self.order is not None),
            sums=_all_sums(cells, origin),
            sources=sources,
            missing=missing,
            low=np.stack(list(cells["low"])).min(axis=0),
            high=np.stack(list(cells["high"])).max(axis=0),
            row_count=row_count,
            used_row_count=int(str(used)),
            notices=notices,
        )

    def _missing(self, source: Source) -> float:
        """Return the share of rows in which a column has no value."""
        found = self.declared.looks[source.name]
        tokens = found.tokens if isinstance(source, Number | Date) else 0
        return (found.rows - found.present + tokens) / found.rows

    def _origin(self) -> Array:
        """Return the point (d + 1,) that features and label are measured from."""
        origin: list[float] = []
        for source in self.declared.sources:
            found = self.declared.looks[source.name]
            centre = found.mean or 0.0
            if isinstance(source, Date) and found.last:
                centre = 0.5 * (found.last.date() - source.origin).days
            rest = [0.0] * (len(source.columns()) - 1)
            origin += [centre if isinstance(source, Number | Date) else 0.0, *rest]
        (label,) = self.scan.row(f"SELECT avg({self.target}) FROM {self.scan.rows} {self.where}")
        return np.array([*origin, float(str(label))])  # (d + 1,)

    def _most_rows(self, group_count: int) -> int:
        """Return how many rows of a group are kept, so that all groups fit the bounds."""
        width = len(self.declared.columns) + 1
        budget = min(SAMPLED_ROWS, SAMPLED_NUMBERS // width) // group_count
        return min(max(budget, FEWEST_SAMPLED), MOST_SAMPLED)

    def _query(self, origin: Array, most_rows: int) -> str:
        """Return the query whose rows are the groups."""
        each = range(len(origin) - 1)
        points = [f"({float(point)!r})" for point in origin]
        measured = [f"f{j} - {points[j]} AS x{j}" for j in each]
        means = [f"avg(f{j}) AS m{j}" for j in each]
        fills = [f"coalesce(f{j}, m{j}, {points[j]}) AS f{j}" for j in each]
        has_missing = any(self._missing(source) for source in self.declared.sources)
        filled = f"SELECT r, g, o, y, {', '.join(fills)} FROM raw JOIN means USING (g)"
        return f"""WITH
            raw AS NOT MATERIALIZED ({self._raw()}),
            means AS (SELECT g, {", ".join(means)} FROM raw GROUP BY g),
            filled AS NOT MATERIALIZED ({filled if has_missing else "SELECT * FROM raw"}),
            measured AS NOT MATERIALIZED (
                SELECT *, {", ".join(measured)}, y - {points[-1]} AS z FROM filled)
            SELECT {_totals(len(each))}, {self._sample(len(each), most_rows)} AS sample
            FROM measured GROUP BY g ORDER BY g"""

    def _raw(self) -> str:
        """Return the SQL of the features f0, f1, … of rows in a chosen group; null is missing."""
        features = [
            feature
            for source in self.declared.sources
            for feature in sql(source, self.scan.index(source.name))
        ]
        named = ", ".join(f"{feature} AS f{j}" for j, feature in enumerate(features))
        return (
            f"SELECT r, {self.group} AS g, {self.order or '0.0'} AS o, {self.target} AS y, {named} "
            f"FROM {self.scan.rows} {self.where} AND {self.group} IN (SELECT g FROM chosen)"
        )

    def _sample(self, d: int, most_rows: int) -> str:
        """Return the SQL of a group's sampled rows, one after the other: features, y, order, r."""
        kept = f"[{', '.join(f'f{j}' for j in range(d))}, y, o, CAST(r AS DOUBLE)]"
        if self.order:
            return f"flatten(arg_max({kept}, row(o, r), {most_rows}))"
        return f"flatten(arg_min({kept}, hash(r, {int(self.seed)}), {most_rows}))"


def _totals(d: int) -> str:
    """Return the SQL of a group's sums, in the order that `Sums` has them."""
    x = [f"x{j}" for j in range(d)]
    values = [*(f"f{j}" for j in range(d)), "y"]
    lists = {
        "feature_sums": [f"sum({a})" for a in x],
        "second_moments": [f"sum({a} * {b})" for a, b in combinations_with_replacement(x, 2)],
        "label_products": [f"sum({a} * z)" for a in x],
        "low": [f"min({value})" for value in values],
        "high": [f"max({value})" for value in values],
    }
    parts = [f"[{', '.join(terms)}] AS {name}" for name, terms in lists.items()]
    return f"g, count(*) AS n, sum(z) AS z, sum(z * z) AS zz, {', '.join(parts)}"


def _history(cells: Mapping[str, NDArray[np.generic]], d: int, is_ordered: bool) -> History:
    """Return the sampled groups, their rows in order."""
    groups = []
    for name, sample in zip(cells["g"], cells["sample"], strict=True):
        rows = np.asarray(sample, np.float64).reshape(-1, d + 3)  # (n, d + 3)
        rows = rows[np.lexsort((rows[:, -1], rows[:, -2]))]  # (n, d + 3) by order, then row number
        groups.append(Group(str(name), rows[:, :d].copy(), rows[:, d].copy()))
    return History(tuple(groups), is_ordered)


def _all_sums(cells: Mapping[str, NDArray[np.generic]], origin: Array) -> tuple[Sums, ...]:
    """Return the sums of every group, measured from the origin (d + 1,)."""
    d = len(origin) - 1
    upper = np.triu_indices(d)
    found = []
    for i in range(len(cells["n"])):
        square = np.zeros((d, d))  # (d, d)
        square[upper] = cells["second_moments"][i]
        square = square + np.triu(square, 1).T  # (d, d)
        feature_sums, products = cells["feature_sums"][i], cells["label_products"][i]  # (d,), (d,)
        label_sum, label_squares = float(cells["z"][i]), float(cells["zz"][i])
        found.append(
            Sums(
                count=int(cells["n"][i]),
                origin=origin[:-1],
                label_origin=float(origin[-1]),
                feature_sums=np.asarray(feature_sums, np.float64),
                second_moments=square,
                label_products=np.asarray(products, np.float64),
                label_sum=label_sum,
                label_square_sum=label_squares,
            )
        )
    return tuple(found)
