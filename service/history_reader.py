"""A history file read for pretraining: which rows and groups count, and what their columns are.

A few short scans look at the columns, one makes the sums (`service/history_sums.py`);
docs/pretrain.md says what happens to dates, categories and missing values.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from service.history_columns import Kind, check_size, declare, look
from service.history_scan import Scan, scanning, time_of
from service.history_sums import HistoryRead, Plan
from service.table_files import NO_ROWS
from service.tables import TableError
from service.written_numbers import advice_on

SHORTEST_GROUP = 11
"""Rows of a group: 8 examples and 3 rows to test the answer on."""
MOST_GROUPS = 2000
CHOOSE_NUMBERS = "choose a column of numbers with --target"
COARSER = "gather more rows, or choose with --group a coarser column"


@dataclass(frozen=True, slots=True)
class Roles:
    """What the caller says of the columns; `features` None means all others that hold values."""

    group: str
    target: str
    order: str | None = None
    is_in_order: bool = False
    features: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)


class Keys(NamedTuple):
    """SQL of the group, the target and the order, and of the rows that have them."""

    group: str
    target: str
    order: str | None
    where: str


def read_history(path: Path, roles: Roles, seed: int = 0) -> HistoryRead:
    """Read a CSV or Parquet history; raise `TableError` with a sentence for what cannot be used."""
    with (
        tempfile.TemporaryDirectory(prefix="sonoba-") as spill,
        scanning(path, Path(spill)) as scan,
    ):
        names = _feature_names(scan, roles)
        group, target, order, where = keys(scan, roles)
        total, dropped = _check_label(scan, roles, where)
        declared = declare(scan, names, where, roles.categories, roles.units)
        group_count, skipped = _choose_groups(scan, roles.group, where, seed)
        saved = (f"read as {scan.encoding}, not as UTF-8",) if scan.encoding else ()
        notices = (*saved, *dropped, *skipped, *declared.notices)
        plan = Plan(scan, declared, group, target, order, where, seed)
        return plan.read(total, group_count, notices)


def keys(scan: Scan, roles: Roles) -> Keys:
    """Return the SQL of what makes a row an example; refuse names that the file does not have."""
    order = _order(scan, roles)
    group, target = f"t{scan.index(roles.group)}", f"v{scan.index(roles.target)}"
    known = [group, target, *([order] if roles.order and order else [])]
    return Keys(
        group, target, order, f"WHERE {' AND '.join(f'{sql} IS NOT NULL' for sql in known)}"
    )


def _feature_names(scan: Scan, roles: Roles) -> list[str]:
    """Return the columns to predict from, in the file's order; refuse a name that is not there."""
    taken = {roles.group, roles.target, *([roles.order] if roles.order else [])}
    for name in (*sorted(taken), *roles.exclude, *roles.categories, *roles.units):
        scan.index(name)
    if roles.group == roles.target:
        raise TableError(f"--group and --target: expected two columns, got {roles.group!r} twice")
    if roles.features is None:
        return [name for name in scan.names if name not in taken | set(roles.exclude)]
    for name in roles.features:
        scan.index(name)
        if name in taken or roles.features.count(name) > 1:
            fault = "is the group, the target or the order" if name in taken else "is named twice"
            raise TableError(f"--features: {name!r} {fault}")
    return [name for name in scan.names if name in roles.features]


def _order(scan: Scan, roles: Roles) -> str | None:
    """Return the SQL of what rows are ordered by; None where their order means nothing."""
    if roles.order is None:
        return "CAST(r AS DOUBLE)" if roles.is_in_order else None
    place = scan.index(roles.order)
    kind = look(scan, [roles.order], "")[roles.order].kind
    if kind == "number":
        return f"v{place}"
    if kind == "date":
        return f"epoch({time_of(f't{place}')})"
    others: dict[Kind, str] = {"empty": "no values", "constant": "one value only"}
    got = others.get(kind, "text")
    sentence = f"--order: expected numbers or dates in {roles.order!r}, got {got}"
    advice = "write dates as 2024-03-31, or name another column"
    raise TableError(f"{scan.source}: {sentence}: {advice}")


def _check_label(scan: Scan, roles: Roles, where: str) -> tuple[int, tuple[str, ...]]:
    """Return the number of rows and a notice of those left out; refuse a target of no numbers."""
    found = look(scan, [roles.target], "")[roles.target]
    total = found.rows
    column = f"{scan.source}: the target {roles.target!r}"
    if not total:
        raise TableError(f"{scan.source}: {NO_ROWS}")
    if found.kind in ("empty", "constant"):
        got = "no values" if found.kind == "empty" else "the same value in every row"
        raise TableError(f"{column} has {got}: choose another column with --target")
    if slips := found.present - found.tokens - found.numbers:
        other = f"{slips:,} of {total:,} rows hold something else, such as {found.odd_number!r}"
        advice = advice_on(found.odd_number) or (
            "correct these cells or empty them" if found.numbers else CHOOSE_NUMBERS
        )
        raise TableError(f"{column} must hold numbers: {other}: {advice}")
    check_size(scan, roles.target, found)
    (used,) = scan.row(f"SELECT count(*) FROM {scan.rows} {where}")
    dropped = total - int(str(used))
    kinds = "group, target or order" if roles.order else "group or target"
    if dropped == total:
        raise TableError(f"{scan.source}: every row is without {kinds}: fill these columns")
    return total, (f"left out: {dropped:,} of {total:,} rows, without {kinds}",) if dropped else ()


def _choose_groups(scan: Scan, column: str, where: str, seed: int) -> tuple[int, tuple[str, ...]]:
    """Make the table `chosen` of the groups to learn from; return their number, and notices."""
    group = f"t{scan.index(column)}"
    scan.run(
        f"CREATE TEMP TABLE counted AS SELECT {group} AS g, count(*) AS n FROM {scan.rows} {where} "
        "GROUP BY g"
    )
    counts = scan.row(f"SELECT count(*), count(*) FILTER (n >= {SHORTEST_GROUP}) FROM counted")
    total, long = (int(str(count)) for count in counts)
    if not long:
        wanted = f"expected groups of at least {SHORTEST_GROUP} rows"
        got = f"got {total:,} groups that are all shorter"
        raise TableError(f"{scan.source}: {wanted}, {got}: {COARSER} than {column!r}")
    scan.run(
        f"CREATE TEMP TABLE chosen AS SELECT g FROM counted WHERE n >= {SHORTEST_GROUP} "
        f"ORDER BY hash(g, {int(seed)}), g LIMIT {MOST_GROUPS}"
    )
    notices = []
    if short := total - long:
        why = f"with fewer than {SHORTEST_GROUP} rows"
        notices.append(f"left out: {short:,} of {total:,} groups, {why}")
    if long > MOST_GROUPS:
        notices.append(f"learnt from {MOST_GROUPS:,} of {long:,} groups, drawn at random")
    return min(long, MOST_GROUPS), tuple(notices)
