"""Faults of rows: those left out, those that stand twice, those that number themselves; and what
the reader did without.
"""

from collections.abc import Iterator

import numpy as np

from service.assess.findings import QualityFinding
from service.assess.quality_values import Values
from service.assess.sample import SAMPLED_ROWS, Looked
from service.assess.suspects import HEADER_ROWS, shown, weighed
from service.history_columns import look
from service.history_reader import SHORTEST_GROUP
from service.history_sums import HistoryRead

REPEATED_REPAIR, LEFT_OUT_REPAIR, SHORT_REPAIR = 0.01, 0.05, 0.2  # shares of the rows
COPIES = 0.8  # of the rows that agree in all but the target, so many agree in it as well
FEWEST_NAMES, SPARSE = 50, 3.0  # numbers of rows: different whole ones, one in three is used


def left_out(looked: Looked, read: HistoryRead) -> Iterator[QualityFinding]:
    """Yield how many rows lack group, target or order."""
    if count := read.row_count - read.used_row_count:
        roles = looked.roles
        columns = (roles.group, roles.target, *([roles.order] if roles.order else []))
        share = count / read.row_count
        weight = weighed(share, LEFT_OUT_REPAIR)
        yield QualityFinding("rows_left_out", weight, columns, count, (), {"share": share})


def short_groups(looked: Looked) -> Iterator[QualityFinding]:
    """Yield the groups that are too short to learn from."""
    counted = f"SELECT {looked.keys.group} AS g, count(*) AS n FROM {looked.whole.rows} GROUP BY g"
    few = f"FILTER (WHERE n < {SHORTEST_GROUP})"
    short, groups, rows, names = looked.whole.row(
        f"SELECT count(*) {few}, count(*), coalesce(sum(n) {few}, 0), arg_min(g, n, 5) {few} "
        f"FROM ({counted})"
    )
    if count := int(str(short)):
        examples = shown([str(name) for name in names]) if isinstance(names, list) else ()
        detail = {"groups": count, "group_count": int(str(groups)), "wanted": SHORTEST_GROUP}
        weight = weighed(int(str(rows)) / looked.whole_count, SHORT_REPAIR)
        of = (looked.roles.group,)
        yield QualityFinding("short_groups", weight, of, int(str(rows)), examples, detail)


def repeated_rows(looked: Looked) -> Iterator[QualityFinding]:
    """Yield how many rows stand in the file once already.

    Where rows that agree in all but the target mostly differ in it, some agree by chance: such
    rows are no copies. Of a large file, every so manyth row by content is looked at.
    """
    scan = looked.whole
    target = scan.index(looked.roles.target)
    cells = [f"coalesce(t{i}, '')" for i in range(len(scan.names))]
    others = ", ".join(cell for i, cell in enumerate(cells) if i != target)
    times = looked.whole_count // SAMPLED_ROWS + 1
    drawn = f"WHERE hash({others}) % {times} = 0" if times > 1 else ""
    hashed = f"SELECT hash({others}) AS h, hash({cells[target]}) AS y, r FROM {scan.rows} {drawn}"
    counted = f"SELECT h, y, count(*) AS n, min(r) AS r FROM ({hashed}) GROUP BY h, y"
    total, distinct, without, row = scan.row(
        "SELECT coalesce(sum(n), 0), count(*), count(DISTINCT h), min(r) FILTER (n > 1) "
        f"FROM ({counted})"
    )
    seen, again = int(str(total)), int(str(total)) - int(str(distinct))
    if again and again >= COPIES * (seen - int(str(without))):
        share = again / seen
        weight = weighed(share, REPEATED_REPAIR)
        texts = ", ".join(f"t{i}" for i in range(len(scan.names)))
        cells_of = scan.row(f"SELECT {texts} FROM {scan.rows} WHERE r = {row}")
        example = ", ".join("" if cell is None else str(cell) for cell in cells_of)
        detail = {"share": share, "row": int(str(row)) + HEADER_ROWS}
        count = round(share * looked.whole_count)
        yield QualityFinding("repeated_rows", weight, (), count, shown([example]), detail)


def name_like(looked: Looked, values: Values) -> Iterator[QualityFinding]:
    """Yield a column of whole numbers, another one in every row: the number of a row."""
    if values.origin is not None or values.name == looked.roles.target:
        return
    order = f"SELECT {values.sql} AS v FROM {looked.rows.rows} WHERE v IS NOT NULL ORDER BY r"
    (numbers,) = looked.numbers(order)  # (n,)
    if len(numbers) < max(FEWEST_NAMES, 0.99 * looked.row_count) or np.any(numbers % 1.0):
        return
    distinct = np.unique(numbers)  # (k,)
    if len(distinct) < len(numbers):
        return
    low, high = float(values.numbers.min()), float(values.numbers.max())
    steps = np.diff(numbers)  # (n - 1,)
    if high - low < SPARSE * looked.whole_count or np.all(steps > 0) or np.all(steps < 0):
        texts = looked.list(f"SELECT {values.text} FROM {looked.rows.rows} ORDER BY r LIMIT 5")
        detail = {"low": low, "high": high, "distinct": looked.whole_count}
        examples = shown([str(text) for (text,) in texts])
        of = (values.name,)
        yield QualityFinding("name_like", "know", of, looked.whole_count, examples, detail)


def unused_columns(looked: Looked, read: HistoryRead) -> Iterator[QualityFinding]:
    """Yield the columns that the reader left out, because they say nothing."""
    roles = looked.roles
    known = {source.name for source in read.sources} | set(roles.exclude)
    known |= {roles.group, roles.target, roles.order or roles.target}
    wanted = looked.rows.names if roles.features is None else roles.features
    names = [name for name in wanted if name not in known]
    for name, found in look(looked.rows, names, "").items() if names else ():
        if found.kind == "empty":
            yield QualityFinding("empty_column", "know", (name,), 0, (), {})
        elif found.kind == "constant":
            text = f"SELECT min(t{looked.rows.index(name)}) FROM {looked.rows.rows}"
            (value,) = looked.rows.row(text)
            detail = {"value": str(value)}
            yield QualityFinding("constant_column", "know", (name,), 0, shown([str(value)]), detail)
