"""Two units in one column: its values lie in two heaps, and one is the other times a known factor.

Two heaps alone are nothing unusual. Units are told only where the quantiles of the upper heap are
those of the lower one by the factor, and, of a factor below 20, where the target answers to the
lower heap more steeply by the same factor (within groups): b_lower / b_upper = factor.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FACTORS = (1.609344, 2.20462, 2.54, 3.28084, 10.7639, 24.0, 25.4, 60.0, 100.0, 1000.0, 3600.0, 1e6)
LARGE_FACTOR = 20.0  # from here on quantiles alone are enough
FEWEST, FEWEST_SHARE, FEWEST_DISTINCT = 10, 0.02, 8  # of the rarer heap
ENDS = 0.05
AT = (0.1, 0.25, 0.5, 0.75, 0.9)
NEAR, NEAR_SHARE = 0.04, 0.15  # quantiles agree to within so much, and so much of their range
SLOPE_NEAR = 0.25  # logarithms of slopes


class Mixture(NamedTuple):
    """Two heaps: values from `edge` on are those below it in the other unit."""

    kind: str  # factor, temperature
    factor: float
    edge: float
    small: float  # middle value below the edge
    large: float
    share: float  # of the rarer heap


def mixture(values: Array, labels: Array, groups: NDArray[np.int64]) -> Mixture | None:
    """Return the two units of values (n,) with labels (n,) in groups (n,); None of one unit."""
    edge = _widest_gap(values)
    if edge is None:
        return None
    upper = values >= edge  # (n,)
    lower = np.quantile(values[~upper], AT)  # (5,)
    higher = np.quantile(values[upper], AT)  # (5,)
    slopes = [_slope(values[part], labels[part], groups[part]) for part in (~upper, upper)]
    share = float(min(upper.mean(), 1 - upper.mean()))
    of = (edge, float(lower[2]), float(higher[2]), share)
    if lower[0] > 0:
        apart = np.log(higher) - np.log(lower)  # (5,)
        factor = min(FACTORS, key=lambda known: abs(float(apart.mean()) - np.log(known)))
        same = _agree(np.log(higher) - np.log(factor), np.log(lower))
        if same and (factor >= LARGE_FACTOR or _answers(slopes, factor)):
            return Mixture("factor", factor, *of)
    is_warmth = lower[0] > -60 and lower[-1] < 60
    if is_warmth and _agree((higher - 32) / 1.8, lower) and _answers(slopes, 1.8):
        return Mixture("temperature", 1.8, *of)
    return None


def _widest_gap(values: Array) -> float | None:
    """Return the middle of the widest gap that leaves a heap on either side, in ratios if > 0.

    None where it is not thrice as wide as every gap inside the heaps, their outer ends aside.
    """
    distinct, counts = np.unique(values, return_counts=True)  # (k,), (k,)
    if len(distinct) < 2 * FEWEST_DISTINCT:
        return None
    places = np.log(distinct) if distinct[0] > 0 else distinct  # (k,)
    gaps = np.diff(places)  # (k - 1,)
    below = counts.cumsum()[:-1]  # (k - 1,) rows below each gap
    rarer = np.minimum(below, len(values) - below)  # (k - 1,)
    steps = np.arange(1, len(distinct))  # (k - 1,) different values below each gap
    enough = rarer >= max(FEWEST, FEWEST_SHARE * len(values))  # (k - 1,)
    enough &= np.minimum(steps, len(distinct) - steps) >= FEWEST_DISTINCT
    if not enough.any():
        return None
    widest = int(np.where(enough, gaps, -1.0).argmax())
    inner = _inside(below, widest, len(values))  # (k - 1,)
    if inner.any() and gaps[widest] < 3 * gaps[inner].max():
        return None
    return float((distinct[widest] + distinct[widest + 1]) / 2)


def _inside(below: NDArray[np.int64], widest: int, n: int) -> NDArray[np.bool_]:
    """Return which gaps (k - 1,) lie within a heap, ENDS of its rows on either side."""
    lower = below[widest]
    inner = np.where(below < lower, below / lower, (below - lower) / (n - lower))  # (k - 1,)
    within: NDArray[np.bool_] = (inner > ENDS) & (inner < 1 - ENDS)  # (k - 1,)
    return within


def _agree(one: Array, other: Array) -> bool:
    tolerance = NEAR + NEAR_SHARE * (other[-1] - other[0])
    return bool(np.abs(one - other).max() <= tolerance)


def _slope(values: Array, labels: Array, groups: NDArray[np.int64]) -> float:
    """Return the slope of labels within groups; NaN where they are hardly correlated."""
    _, of = np.unique(groups, return_inverse=True)  # (n,)
    count = np.bincount(of)  # (groups,)
    x = values - (np.bincount(of, values) / count)[of]  # (n,)
    y = labels - (np.bincount(of, labels) / count)[of]  # (n,)
    power = float(np.sqrt((x @ x) * (y @ y)))
    if not power or abs(x @ y) < 0.2 * power:
        return np.nan
    return float(x @ y / (x @ x))


def _answers(slopes: list[float], factor: float) -> bool:
    """Whether the lower heap's slope is the upper one's times the factor."""
    lower, upper = slopes
    if not lower * upper > 0:
        return False
    return bool(abs(np.log(lower / upper) - np.log(factor)) <= SLOPE_NEAR * np.log(factor))
