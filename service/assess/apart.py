"""One answer taken apart into what its features add, exactly.

A served answer lies on a plane (`model.explain`, docs/intervals.md, section 1):

    ŷ = β_0 + βᵀx_q = (β_0 + βᵀx̄) + Σ_j β_j (x_qj - x̄_j),

with x̄ the means of the prompt's examples: the base is what an average example would be answered,
and every feature adds what makes the query differ from it. Nothing is approximated or sampled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import Category, Date, Number
from model.profile import ProfileModel
from model.prompt import Block, Examples
from model.support import Wanted
from service.assess.findings import Share
from service.history_columns import Source

Array = NDArray[np.float64]

SHARES = 8
UNNAMED = "?"  # a level that the history did not name


class Apart(NamedTuple):
    """A base and shares that sum to an answer."""

    answer: float
    base: float
    shares: tuple[Share, ...]


def take_apart(
    model: ProfileModel, sources: Sequence[Source], x: Array, y: Array, query: Array
) -> Apart:
    """Return the answer to one query (d,) of examples x (M, d), y (M,) as base and shares.

    Features of one category or date are summed to their column. A category's share is named by the
    query's level, value 1, and is usual in the share of examples with that level; a date's value is
    in days since its origin. Of more than 8 shares the smallest are summed to one named "".
    """
    block = Block(Examples(x[None], y[None]), query[None, None])
    found = model.support(block, Wanted(explanation=True))
    answer, plane = float(found.answer.predictions[0, 0]), found.explanation
    if plane is None or not np.isfinite(answer):
        return Apart(answer, answer, ())
    middle, slopes = x.mean(axis=0), plane.coefficients[0]  # (d,), (d,)
    base = float(plane.intercepts[0] + slopes @ middle)
    adds = slopes * (query - middle)  # (d,)
    shares, first = [], 0
    for source in sources:
        own = slice(first, first + len(source.columns()))
        first = own.stop
        shares.append(_share(source, x[:, own], query[own], float(adds[own].sum())))
    return Apart(answer, base, shortened(shares))


def _share(source: Source, examples: Array, query: Array, adds: float) -> Share:
    """Return the share of one column from its features: examples (M, k), query (k,)."""
    match source:
        case Number() | Date():
            return Share(source.name, float(query[0]), float(examples[:, 0].mean()), adds)
        case Category():
            alike = (examples == query).all(axis=1).mean()  # of the examples
            return Share(f"{source.name} = {_level(source, query)}", 1.0, float(alike), adds)


def _level(source: Category, query: Array) -> str:
    for level, held in zip(source.levels, query, strict=True):
        if held == 1.0:
            return level
    return UNNAMED if source.base is None or query.any() else source.base


def shortened(shares: Sequence[Share]) -> tuple[Share, ...]:
    """Return the largest shares, the largest first, and the sum of the rest as one named ""."""
    ordered = sorted(shares, key=lambda share: -abs(share.adds))
    kept, rest = ordered[:SHARES], ordered[SHARES:]
    if rest:
        kept.append(Share("", 0.0, 0.0, sum(share.adds for share in rest)))
    return tuple(kept)
