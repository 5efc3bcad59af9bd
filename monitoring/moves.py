"""How the features of recent prompts compare with the reference, in the caller's units."""

import numpy as np
from numpy.typing import NDArray

from monitoring.snapshot import FeatureMove

Array = NDArray[np.float64]


def feature_moves(
    reference: tuple[Array, Array], now: tuple[Array, Array], shares: Array
) -> tuple[FeatureMove, ...]:
    """Return every feature's move, the most harmful first, then the most moved.

    reference and now are means and deviations (d,), natural units; shares (d,) of the harm.
    """
    rows = list(zip(*reference, *now, shares, strict=True))
    moves = [_move(place, *(float(value) for value in row)) for place, row in enumerate(rows)]
    return tuple(sorted(moves, key=_importance, reverse=True))


def pooled(counts: Array, means: Array, scatters: Array) -> tuple[Array, Array]:
    """Return mean and deviation (d,) of all rows of prompts of counts (n,), means (n, d).

    scatters (n, d) are each prompt's sums of squares about its own mean.
    """
    total = counts.sum()
    mean = counts @ means / total  # (d,)
    between = counts @ (means - mean) ** 2  # (d,)
    return mean, np.sqrt((scatters.sum(axis=0) + between) / total)


def _move(
    place: int, reference_mean: float, reference_deviation: float, *rest: float
) -> FeatureMove:
    mean, deviation, share = rest
    moved = mean - reference_mean
    if reference_deviation > 0.0:
        score = moved / reference_deviation
    else:
        score = float(np.copysign(np.inf, moved)) if moved else 0.0
    return FeatureMove(place, score, mean, deviation, reference_mean, reference_deviation, share)


def _importance(move: FeatureMove) -> tuple[float, float]:
    """Return harm first, then the larger of the moves of mean and logarithm of the deviation."""
    tiny = 1e-300
    grown = np.log(max(move.deviation, tiny) / max(move.reference_deviation, tiny))
    share = 0.0 if np.isnan(move.harm_share) else move.harm_share
    return share, max(abs(move.score), abs(float(grown)))
