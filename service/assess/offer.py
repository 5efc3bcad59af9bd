"""Step 1 of an assessment: what the data offers, and how many examples a prompt needs."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from model.history import QUERIES
from model.profile_fit import Tick
from service.assess.columns_found import feature_columns, target_column
from service.assess.curve import learning_curve
from service.assess.findings import ColumnFound, CurvePoint, Offer, QualityFinding
from service.assess.material import Material
from service.assess.quality import quality
from service.assess.sample import looking
from service.history_reader import SHORTEST_GROUP, Roles


def offer(path: Path, roles: Roles, material: Material, tick: Tick) -> Offer:
    """Look at the file again, for its columns and its faults, and ask for the learning curve.

    `TableError` where the file changed since it was read.
    """
    read = material.found
    tick("looking at the columns", 0.0)
    with looking(path, roles, read.used_row_count, material.seed) as looked:
        target = target_column(looked, read)
        columns = tuple(feature_columns(looked, read))
        tick("looking for faults", 0.2)
        faults = quality(looked, read)
    points, knee = learning_curve(material, lambda stage, share: tick(stage, 0.5 + share / 2))
    return _offer(path.name, roles, material, target, columns, faults, points, knee)


def _offer(
    source: str,
    roles: Roles,
    material: Material,
    target: ColumnFound,
    columns: tuple[ColumnFound, ...],
    faults: tuple[QualityFinding, ...],
    points: tuple[CurvePoint, ...],
    knee: int,
) -> Offer:
    read = material.found
    rows = np.array([sums.count for sums in read.sums])  # (groups,)
    return Offer(
        *(source, roles.group, target, columns, read.row_count, read.used_row_count),
        group_count=len(rows),
        lengths=(int(rows.min()), int(np.median(rows)), int(rows.max())),
        length_bars=length_bars(rows.tolist()),
        is_ordered=read.history.is_ordered,
        learnt_groups=len(material.known.groups),
        held_out_groups=len(material.unseen.groups),
        queries=QUERIES,
        quality=faults,
        curve=points,
        knee=knee,
        notices=read.notices,
    )


def length_bars(rows: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (rows at least, groups) in steps of about the square root of 2.

    >>> length_bars([11, 12, 24, 70])
    ((11, 2), (16, 0), (24, 1), (32, 0), (48, 0), (64, 1))
    """
    edges = [SHORTEST_GROUP]
    while edges[-1] <= max(rows):
        power = 2 ** (edges[-1].bit_length() - 1)
        edges.append(2 * power if edges[-1] >= 3 * power // 2 else max(3 * power // 2, 16))
    steps = list(pairwise(edges))
    bars = [(low, sum(low <= count < high for count in rows)) for low, high in steps]
    while bars and not bars[0][1]:
        bars.pop(0)
    return tuple(bars)
