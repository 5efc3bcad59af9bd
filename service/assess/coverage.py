"""How often intervals hold the truth: a share of queries, its bounds from whole groups drawn again.

Queries of a prompt share its error and prompts of a group its kind, so that a binomial bound would
promise too much. With k_g of n_g queries of group g covered and drawn w_g times,

    coverage = Σ w_g k_g / Σ w_g n_g,  w = 1 as found, multinomial of G groups for the bounds.

Where another model answered a prompt, the interval is that model's, as the service would give it.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from service.assess.asking import LEVELS, Asked
from service.assess.findings import Bounds, Coverage

Array = NDArray[np.float64]

RESAMPLES = 2000


def coverage(asked: Iterable[Asked], seed: int) -> tuple[Coverage, ...]:
    """Return every level of every length; a length without any interval is left out."""
    found = []
    for one in asked:
        for place, level in enumerate(LEVELS):
            half = np.where(np.isfinite(one.misses), one.half_widths[..., place], np.nan)  # (P, Q)
            if np.isfinite(half).any():
                found.append(_of_level(one, level, half, seed))
    return tuple(found)


def _of_level(asked: Asked, level: float, half: Array, seed: int) -> Coverage:
    given = np.isfinite(half)  # (P, Q)
    held = given & (np.abs(asked.misses) <= half)  # (P, Q)
    covered = share(held.sum(axis=1), given.sum(axis=1), asked.prompts.groups, seed)
    return Coverage(level, asked.example_count, covered, float(np.median(half[given])))


def share(
    held: NDArray[np.int64], asked: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> Bounds:
    """Return the share of queries held, from counts (P,) a prompt and its group (P,).

    Of one group only, prompts are drawn again in its place: the bounds then speak of that group.
    """
    _, place = np.unique(groups, return_inverse=True)  # (P,)
    if place.max() == 0:
        place = np.arange(len(groups))
    k = np.bincount(place, held).astype(np.float64)  # (G,)
    n = np.bincount(place, asked).astype(np.float64)  # (G,)
    k, n = k[n > 0.0], n[n > 0.0]
    drawn = np.random.default_rng(seed).multinomial(len(n), np.full(len(n), 1 / len(n)), RESAMPLES)
    low, high = np.quantile((drawn @ k) / (drawn @ n), [0.025, 0.975])  # of (RESAMPLES,)
    return Bounds(float(k.sum() / n.sum()), float(low), float(high))
