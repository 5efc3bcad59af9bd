"""A history given as sums of each group, which another engine computed (docs/pretrain.md).

One row a group, as the query of `sonoba.Summary.sql(..., group=...)` returns it. Rows with the very
same sums are drawn for what learns from rows: whatever depends on means and second moments alone is
kept, whatever does not (the shape of the noise, an order in time) is not known.
"""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.features import Number
from model.history import Group, History
from model.moments import Moments, Sums
from model.refusal import Refusal
from service.history_reader import MOST_GROUPS, SHORTEST_GROUP
from service.history_sums import MOST_SAMPLED, SAMPLED_ROWS, HistoryRead
from service.table_files import read_table
from service.tables import Table, TableError

Array = NDArray[np.float64]

COUNT, GROUP = "example_count", "entity"


def read_statistics(path: Path, features: Sequence[Number], seed: int = 0) -> HistoryRead:
    """Return the history behind the sums in a CSV or Parquet file; features name x1, x2, …"""
    table = read_table(path)
    names = _group_names(table)
    matrix = table.matrix(_columns(len(features)))  # (groups, 3 + 2d + d(d+1)/2)
    rng = np.random.default_rng(seed)
    kept, notices = _choose(path, matrix[:, 0], rng)
    sums = tuple(_sums(matrix[i], len(features)) for i in kept)
    most = max(min(SAMPLED_ROWS // len(kept), MOST_SAMPLED), len(features) + 2)
    groups = []
    for i, one in zip(kept, sums, strict=True):
        moments = _centred(path, names[i], one)
        groups.append(Group(names[i], *rows_with(moments, min(one.count, most), rng)))
    unknown = np.full(len(features) + 1, math.nan)  # (d + 1,)
    return HistoryRead(
        history=History(tuple(groups), is_ordered=False),
        sums=sums,
        sources=tuple(features),
        missing={},
        low=unknown,
        high=unknown,
        row_count=int(matrix[:, 0].sum()),
        used_row_count=sum(one.count for one in sums),
        notices=notices,
        is_simulated=True,
    )


def _choose(
    path: Path, counts: Array, rng: np.random.Generator
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return which groups are learnt from, by their counts (G,), and what is to be said of it."""
    kept = np.flatnonzero(counts >= SHORTEST_GROUP)  # (kept,)
    notices = []
    if not len(kept):
        wanted = f"expected groups of at least {SHORTEST_GROUP} rows"
        raise TableError(f"{path}: {wanted}, got {len(counts):,} groups that are all shorter")
    if short := len(counts) - len(kept):
        why = f"with fewer than {SHORTEST_GROUP} rows"
        notices.append(f"left out: {short:,} of {len(counts):,} groups, {why}")
    if len(kept) > MOST_GROUPS:
        notices.append(f"learnt from {MOST_GROUPS:,} of {len(kept):,} groups, drawn at random")
        kept = np.sort(rng.choice(kept, MOST_GROUPS, replace=False))
    return kept, tuple(notices)


def rows_with(moments: Moments, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return Gaussian rows x (n, d), y (n,) whose mean and covariance are exactly those given.

    With all the rows that the moments are of, the sums are theirs; fewer rows have sums in
    proportion. n must exceed the rank of the covariance, which holds where n is their count.
    """
    assert moments.scatter is not None
    label = moments.products[0][:, None]  # (d, 1)
    joint = np.block([[moments.scatter[0], label], [label.T, moments.label_scatter[0]]])
    unit = np.sqrt(np.maximum(np.diag(joint), np.finfo(float).tiny))  # (d + 1,)
    values, vectors = np.linalg.eigh(joint / np.outer(unit, unit))  # (d + 1,), (d + 1, d + 1)
    rank = min(len(values), count - 1)
    values, vectors = np.maximum(values[-rank:], 0.0), vectors[:, -rank:]  # (k,), (d + 1, k)
    draw = rng.standard_normal((count, rank))  # (n, k)
    directions, _ = np.linalg.qr(draw - draw.mean(axis=0))  # (n, k) orthonormal, of mean 0
    spread = math.sqrt(count / moments.count)
    rows = directions * (spread * np.sqrt(values)) @ (vectors * unit[:, None]).T  # (n, d + 1)
    return moments.mean[0] + rows[:, :-1], moments.label_mean[0] + rows[:, -1]


def _columns(d: int) -> list[str]:
    """Return the columns of the query's result, in its order."""
    x = [f"x{j + 1}" for j in range(d)]
    pairs = combinations_with_replacement(x, 2)
    return [
        *(COUNT, "label_sum", "label_square_sum"),
        *(f"sum_{a}" for a in x),
        *(f"product_{a}" for a in x),
        *(f"moment_{a}_{b}" for a, b in pairs),
    ]


def _group_names(table: Table) -> list[str]:
    """Return the names of the groups; refuse columns that are not the query's."""
    names = [str(text) for text in table.column(GROUP).text]
    if len(set(names)) < len(names):
        raise TableError(f"{table.source}: expected one row a group, got a group twice")
    table.column(COUNT)
    return names


def _sums(row: Array, d: int) -> Sums:
    """Return a row (3 + 2d + d(d+1)/2,) as sums measured from 0."""
    square = np.zeros((d, d))  # (d, d)
    square[np.triu_indices(d)] = row[3 + 2 * d :]
    return Sums(
        count=int(row[0]),
        origin=np.zeros(d),
        label_origin=0.0,
        feature_sums=row[3 : 3 + d],
        second_moments=square + np.triu(square, 1).T,
        label_products=row[3 + d : 3 + 2 * d],
        label_sum=float(row[1]),
        label_square_sum=float(row[2]),
    )


def _centred(path: Path, name: str, sums: Sums) -> Moments:
    try:
        return sums.centred()
    except Refusal as refusal:
        raise TableError(f"{path}: group {name!r}: {refusal.sentence}") from None
