"""Faults that the sums of the groups tell, of every row and without another look at the file.

Correlations are within groups, as a prompt sees them: of two columns by the pooled scatter
Σ_g (x - x̄_g)(x - x̄_g)ᵀ, with the target the middle one of the groups' own, for a copy may have a
rate of its own in each.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.history import History
from service.assess.findings import QualityFinding
from service.assess.sample import Looked
from service.assess.suspects import shown, weighed
from service.history_columns import Source
from service.history_sums import HistoryRead

Array = NDArray[np.float64]

HEALTHY_GROUPS = 8
SAME, COPY, NEARLY = 0.999, 0.999, 0.99
ADDS_UP = 0.9999  # of the target's variance within groups
FEWEST_SHARE = 0.5  # of the groups
CONSTANT_REPAIR = 0.2


class Scatters(NamedTuple):
    """Centred second moments of features and label of every group."""

    features: Array  # (G, d, d)
    products: Array  # (G, d)
    label: Array  # (G,)
    counts: NDArray[np.int64]  # (G,)
    names: tuple[str, ...]  # (d,) the column that each feature came of
    groups: tuple[str, ...]


def scatters(read: HistoryRead) -> Scatters:
    """Return the scatters of a history's groups."""
    found = [sums.centred() for sums in read.sums]
    names = [source.name for source in read.sources for _ in source.columns()]
    return Scatters(
        np.stack([m.scatter[0] for m in found if m.scatter is not None]),
        np.stack([m.products[0] for m in found]),
        np.concatenate([m.label_scatter for m in found]),
        np.array([m.count for m in found]),
        tuple(names),
        tuple(group.name for group in read.history.groups),
    )


def group_findings(looked: Looked, read: HistoryRead) -> Iterator[QualityFinding]:
    """Yield what the groups' sums show."""
    found, roles = scatters(read), looked.roles
    yield from _few(found, roles.group)
    yield from _constant_labels(found, roles.target)
    yield from _constant_features(found, read.sources)
    leaks = list(_leaks(found, read.history, roles.target))
    yield from leaks or _sums(found, roles.target)
    for first, second, correlation in pairs(found):
        same = _is_identical(looked, first, second)
        detail = {"correlation": correlation, "is_identical": int(same)}
        yield QualityFinding("same_column", "know", (first, second), 0, (), detail)


def _few(found: Scatters, group: str) -> Iterator[QualityFinding]:
    rows, d = int(np.median(found.counts)), len(found.names)
    if (groups := len(found.counts)) < HEALTHY_GROUPS:
        detail = {"groups": groups, "wanted": HEALTHY_GROUPS}
        yield QualityFinding("few_groups", "repair", (group,), 0, (), detail)
    if d > rows:
        detail = {"features": d, "rows": rows}
        yield QualityFinding("wide", "repair", (), 0, (), detail)


def _constant_labels(found: Scatters, target: str) -> Iterator[QualityFinding]:
    same = found.label <= 0  # (G,)
    if count := int(same.sum()):
        names = [name for name, is_same in zip(found.groups, same, strict=True) if is_same]
        weight = weighed(count / len(same), CONSTANT_REPAIR)
        detail = {"groups": count, "group_count": len(same)}
        rows = int(found.counts[same].sum())
        yield QualityFinding("constant_label", weight, (target,), rows, shown(names), detail)


def _constant_features(found: Scatters, sources: tuple[Source, ...]) -> Iterator[QualityFinding]:
    """Yield the columns none of whose features varies within most groups."""
    varies = np.einsum("gjj->gj", found.features) > 0  # (G, d)
    for source in sources:
        of = np.array([name == source.name for name in found.names])  # (d,)
        count = int((~varies[:, of].any(axis=1)).sum())
        if count >= FEWEST_SHARE * len(varies):
            detail = {"groups": count, "group_count": len(varies), "share": count / len(varies)}
            yield QualityFinding("constant_in_groups", "know", (source.name,), 0, (), detail)


def _leaks(found: Scatters, history: History, target: str) -> Iterator[QualityFinding]:
    """Yield the columns that are the target again, or nearly, in most groups.

    Where rows have an order, their steps must agree as well: two that grow are not one.
    """
    power = np.einsum("gjj->gj", found.features) * found.label[:, None]  # (G, d)
    told = (power > 0) & (found.counts[:, None] > 3)  # (G, d)
    correlation = np.abs(found.products) / np.sqrt(np.where(told, power, 1.0))  # (G, d)
    for j, name in enumerate(found.names):
        in_groups = correlation[told[:, j], j]  # (some,)
        if len(in_groups) < max(FEWEST_SHARE * len(told), 1):
            continue
        middle = min(float(np.median(in_groups)), 1.0)
        if middle >= NEARLY and history.is_ordered:
            middle = min(middle, _of_steps(history, j))
        if middle >= NEARLY:
            copy = middle >= COPY
            detail = {"correlation": middle, "is_copy": int(copy)}
            weight = weighed(middle, COPY)
            yield QualityFinding("leak", weight, (name, target), 0, (), detail)


def _of_steps(history: History, j: int) -> float:
    """Return the middle correlation in groups of the steps of a feature with those of the label."""
    found = [0.0]
    for group in history.groups:
        x, y = np.diff(group.x[:, j]), np.diff(group.y)  # (n - 1,) each
        x, y = x - x.mean(), y - y.mean()  # (n - 1,) each
        if (power := float((x @ x) * (y @ y))) > 0:
            found.append(abs(float(x @ y)) / float(np.sqrt(power)))
    return float(np.median(found[1:] or found))


def _sums(found: Scatters, target: str) -> Iterator[QualityFinding]:
    """Yield the few columns whose weighted sum is the target, the weights those of all groups."""
    scatter, products = found.features.sum(axis=0), found.products.sum(axis=0)  # (d, d), (d,)
    label = float(found.label.sum())
    used: list[int] = []
    while label > 0 and len(used) < min(len(products), 12):
        gains = [_explained(scatter, products, [*used, j]) for j in range(len(products))]
        used.append(int(np.argmax(gains)))
        if max(gains) >= ADDS_UP * label:
            used = _needed(scatter, products, used, ADDS_UP * label)
            explained = _explained(scatter, products, used) / label
            columns = tuple(dict.fromkeys(found.names[j] for j in used))
            of = (*columns, target)
            yield QualityFinding(
                *("leak_together", "repair", of, 0, ()), {"explained": min(explained, 1.0)}
            )
            return


def _needed(scatter: Array, products: Array, used: list[int], least: float) -> list[int]:
    """Return the features without which less is explained."""
    for j in list(used):
        others = [i for i in used if i != j]
        if others and _explained(scatter, products, others) >= least:
            used = others
    return used


def _explained(scatter: Array, products: Array, used: list[int]) -> float:
    """Return how much of the label's scatter some features explain."""
    if len(set(used)) < len(used):
        return 0.0
    part, of = scatter[np.ix_(used, used)], products[used]  # (k, k), (k,)
    return float(of @ (np.linalg.pinv(part, rcond=1e-10, hermitian=True) @ of))


def pairs(found: Scatters) -> Iterator[tuple[str, str, float]]:
    """Yield columns that say the same, the first pair of a column only."""
    within = found.features.sum(axis=0)  # (d, d)
    power = np.diag(within)  # (d,)
    size = np.sqrt(np.where(power > 0, power, 1.0))  # (d,)
    correlation = np.abs(within) / np.outer(size, size)  # (d, d)
    seen: set[tuple[str, str]] = set()
    for i, j in zip(*np.nonzero(np.triu(correlation >= SAME, 1)), strict=True):
        pair = found.names[i], found.names[j]
        if pair[0] != pair[1] and not any(pair[1] == later for _, later in seen):
            seen.add(pair)
            yield *pair, min(float(correlation[i, j]), 1.0)


def _is_identical(looked: Looked, first: str, second: str) -> bool:
    a, b = (f"t{looked.whole.index(name)}" for name in (first, second))
    differ = f"SELECT count(*) FROM {looked.whole.rows} WHERE {a} IS DISTINCT FROM {b}"
    return looked.whole.row(differ) == (0,)
