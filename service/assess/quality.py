"""What a person should know of the data or repair: every fault by its code, true of the rows seen.

A code has columns, rows, examples as they stand in the file, and what its sentence names:

- number_as_text: kind, mark, share, row. Numbers in a category, all with the same thing in the way.
- spelling: first, second, count, row. Texts that differ in upper case, spaces or full width only.
- total_rows: word, row. Sums such as "Total" or "合計" among the rows.
- missing_word: word, share, row. "unknown" or "不明" in a category.
- rare_levels: levels, kept, share, row. Rows of a category whose text has no feature.
- sentinel: value, low, high, share, row. A stand-in such as -999, apart from all others.
- far_values: low, high (nine in ten lie between), farthest, times (widths of that range), row.
- mixed_units: kind (factor, temperature), factor, small, large, share, row.
- missing: share, row.
- rows_left_out: share. Rows without group, target or order.
- empty_column; constant_column: value.
- constant_in_groups: groups, group_count, share. Does not vary within most groups.
- same_column: correlation, is_identical. Two columns that say the same.
- leak: correlation, is_copy. The target again; leak_together: explained. Columns that add up to it.
- name_like: low, high, distinct. The number of a row or of a receipt.
- repeated_rows: share, row.
- short_groups: groups, group_count, wanted; constant_label: groups, group_count.
- order_ties: share, groups, row; not_in_order: groups, group_count, share; order_not_told: groups,
  group_count; scale_in_time: factor, before, after, at.
- few_groups: groups, wanted; wide: features, rows.
- capped_target: value, share, row; long_tailed_target: middle, high, times.
- read_as: encoding.

"Repair" is what makes answers worse or their proof untrue, "know" the rest.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.assess.findings import QualityFinding
from service.assess.mixed_units import mixture
from service.assess.quality_groups import group_findings
from service.assess.quality_rows import (
    left_out,
    name_like,
    repeated_rows,
    short_groups,
    unused_columns,
)
from service.assess.quality_texts import text_suspects
from service.assess.quality_time import date_findings, scale_findings, tie_findings
from service.assess.quality_values import (
    Values,
    every_value,
    missing_suspects,
    usual,
    value_suspects,
)
from service.assess.sample import Looked
from service.assess.suspects import NEVER, Detail, Suspect, confirmed
from service.history_sums import HistoryRead

Array = NDArray[np.float64]

MOST_FINDINGS = 40
CAPPED_FROM, FEWEST_CAPPED = 0.02, 5  # share of the rows, rows
FEWEST_DISTINCT = 20  # labels, for one to be a limit of many
LONG_TAIL = 5.0  # width of the upper part by that of the lower


def quality(looked: Looked, read: HistoryRead) -> tuple[QualityFinding, ...]:
    """Return the faults of a history, the weightiest first, at most `MOST_FINDINGS`."""
    columns = list(every_value(looked, read))
    found = [
        *confirmed(looked, list(_suspects(looked, read, columns))),
        *_encoding(looked),
        *left_out(looked, read),
        *unused_columns(looked, read),
        *short_groups(looked),
        *group_findings(looked, read),
        *repeated_rows(looked),
        *tie_findings(looked),
        *date_findings(looked, read.sources),
        *(finding for values in columns for finding in name_like(looked, values)),
        *(finding for values in columns for finding in scale_findings(looked, values)),
        *_long_tail(looked, columns[-1]),
    ]
    found.sort(key=lambda finding: (finding.weight == "know", -finding.row_count))
    return tuple(found[:MOST_FINDINGS])


def _suspects(looked: Looked, read: HistoryRead, columns: list[Values]) -> Iterator[Suspect]:
    yield from text_suspects(looked, read.sources)
    yield from missing_suspects(looked, read)
    for values in columns:
        yield from value_suspects(values)
        yield from _units(looked, values)
    yield from _cap(columns[-1])


def _units(looked: Looked, values: Values) -> Iterator[Suspect]:
    """Yield two units in a column of numbers."""
    if values.origin is not None or values.name == looked.roles.target:
        return
    group = f"CAST(hash({looked.keys.group}) % 9007199254740881 AS DOUBLE)"
    query = f"SELECT {values.sql} AS v, {looked.keys.target} AS y, {group} AS g "
    v, y, g = looked.numbers(f"{query} FROM {looked.rows.rows}", ("v", "y", "g"))  # (n,) each
    kept = np.isfinite(v) & np.isin(v, usual(values))  # (n,)
    if found := mixture(v[kept], y[kept], g[kept].astype(np.int64)):
        few = ">=" if (v[kept] >= found.edge).mean() <= 0.5 else "<"
        condition = f"{values.sql} {few} {found.edge!r}"
        middles = {"small": found.small, "large": found.large}
        detail: Detail = {"kind": found.kind, "factor": found.factor, **middles}
        yield Suspect("mixed_units", (values.name,), condition, values.text, detail=detail)


def _cap(target: Values) -> Iterator[Suspect]:
    """Yield a largest label that many rows have: stock or places that ran out."""
    high = float(target.numbers.max())
    is_shared = (target.numbers == high).sum() > FEWEST_CAPPED
    if is_shared and len(np.unique(target.numbers)) >= FEWEST_DISTINCT:
        yield Suspect(
            *("capped_target", (target.name,), f"{target.sql} = {high!r}", target.text),
            repair_from=NEVER,
            least=CAPPED_FROM,
            detail={"value": high},
        )


def _encoding(looked: Looked) -> Iterator[QualityFinding]:
    if encoding := looked.rows.encoding:
        yield QualityFinding("read_as", "know", (), 0, (), {"encoding": encoding})


def _long_tail(looked: Looked, target: Values) -> Iterator[QualityFinding]:
    """Yield labels above zero whose upper part is far wider than the lower: take logarithms."""
    low, middle, high = np.quantile(usual(target), [0.05, 0.5, 0.95]).tolist()
    if low > 0 and high - middle > LONG_TAIL * (middle - low) > 0:
        times = (high - middle) / (middle - low)
        detail = {"middle": middle, "high": high, "times": times}
        yield QualityFinding("long_tailed_target", "know", (target.name,), 0, (), detail)
