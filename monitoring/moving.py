"""The twenty-seven moving statistics of COMBO, on averages of what prompts say of the covariates.

Four exponentially weighted averages, fast to slow, of s = z̄/sd(z̄), q = (C - C₀)/sd(C) on the upper
triangle and t = (tail share - 1 %)/sd. With k = (2 - λ)/λ,
    T2 = (kΣs²)^⅓   Tmax = √k·max|s|   Q2 = (kΣq²)^⅓   Qdiag = (kΣq² of the diagonal)^⅓
    Qmax = √k·max|q|   tail = √k·|t|   GLR = (tr C̄ - r - log det(C̄ - z̄z̄ᵀ + 1e-6 I))^⅓
The cube roots are nearly normal (Wilson-Hilferty), so one line suits all. A single prompt counts
for no more than `BOUND` deviations.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitoring.covariates import TAIL_SHARE, Normal, upper

Array = NDArray[np.float64]

WEIGHTS = (0.5, 0.15, 0.05, 0.015)  # λ: half of the newest prompt, down to the last hundred
GLR_WEIGHTS = 3  # the slowest: the fastest average has too few rows for a determinant
BOUND = 6.0  # deviations one prompt may lie from the reference: a wild one is soon forgotten
TRACE_BOUND = 4.0  # times the reference's variance, the same for the determinant
RIDGE = 1e-6


def signal_width(normal: Normal) -> int:
    """Return K, how many numbers of a prompt are averaged."""
    return 2 * len(normal.mean_between) + 2 * len(normal.second_moment) + 1


def prompt_signals(
    normal: Normal, means: Array, second_moments: Array, tail_shares: Array, count: float
) -> Array:
    """Return what is averaged of prompts of M = count rows, (B, K): s, q, z̄, C - I and t.

    Rows of NaN for a prompt that is not finite; t alone is NaN for one without tail share.
    """
    r = means.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        trace = np.trace(second_moments, axis1=1, axis2=2)  # (B,)
        shrink = np.minimum(1.0, TRACE_BOUND * r / np.maximum(trace, 1.0))  # (B,)
        moments = upper(second_moments)  # (B, t)
        s = means / normal.mean_deviation(count)  # (B, r)
        q = (moments - normal.second_moment) / normal.moment_deviation(count)  # (B, t)
        centre = means * np.sqrt(shrink)[:, None]  # (B, r)
        spread = moments * shrink[:, None] - upper(np.eye(r))  # (B, t)
        t = (tail_shares - TAIL_SHARE) / normal.tail_deviation(count)  # (B,)
    s, q, t = (part.clip(-BOUND, BOUND) for part in (s, q, t[:, None]))
    signals = np.concatenate([s, q, centre, spread, t], axis=1)  # (B, K)
    signals[~np.isfinite(trace + means.sum(axis=1) + moments.sum(axis=1))] = np.nan
    return signals


def statistics(state: Array, normal: Normal) -> Array:
    """Return the 27 statistics (..., 27) of averages (..., 4, K)."""
    r, t = len(normal.mean_between), len(normal.second_moment)
    weights = np.array(WEIGHTS)  # (4,)
    k = (2.0 - weights) / weights  # (4,) inverse variance of an average of independent prompts
    s, q = state[..., :r], state[..., r : r + t]  # (..., 4, r), (..., 4, t)
    squares = q * q  # (..., 4, t)
    diagonal = squares[..., _diagonal(r)].sum(axis=-1)  # (..., 4)
    found = [
        np.cbrt(k * np.einsum("...r,...r->...", s, s)),
        np.sqrt(k) * np.abs(s).max(axis=-1),
        np.cbrt(k * squares.sum(axis=-1)),
        np.cbrt(k * diagonal),
        np.sqrt(k * squares.max(axis=-1)),
        np.sqrt(k) * np.abs(state[..., -1]),
        _likelihood_ratio(state[..., -GLR_WEIGHTS:, r + t : -1], r),
    ]
    return np.concatenate(found, axis=-1)


def _likelihood_ratio(state: Array, r: int) -> Array:
    """Return the GLR (..., 3) of averages (..., 3, r + t) of z̄ and C - I."""
    mean, triangle = state[..., :r], state[..., r:]  # (..., 3, r), (..., 3, t)
    spread = np.take(triangle, _square(r), axis=-1)  # (..., 3, r, r) C̄ - I
    trace = np.einsum("...ii->...", spread)  # (..., 3) tr C̄ - r
    about = spread - mean[..., :, None] * mean[..., None, :] + (1.0 + RIDGE) * np.eye(r)
    log_determinant = np.linalg.slogdet(about)[1]  # (..., 3)
    ratio: Array = np.cbrt(np.maximum(trace - log_determinant, 0.0))
    return ratio


@lru_cache(maxsize=64)
def _square(r: int) -> NDArray[np.intp]:
    """Return the places (r, r) of a symmetric matrix in its upper triangle."""
    rows, columns = np.triu_indices(r)
    places = np.empty((r, r), np.intp)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    places.flags.writeable = False  # shared by all who ask
    return places


@lru_cache(maxsize=64)
def _diagonal(r: int) -> NDArray[np.intp]:
    """Return the places (r,) of the diagonal in the upper triangle."""
    places = np.diagonal(_square(r)).copy()
    places.flags.writeable = False  # shared by all who ask
    return places


def averaged(state: Array, signals: Array) -> Array:
    """Return the averages (4, K) after signals (B, K), the oldest first."""
    ages = np.arange(len(signals))[::-1]  # (B,)
    kept = 1.0 - np.array(WEIGHTS)[:, None]  # (4, 1)
    shares = (1.0 - kept) * kept**ages  # (4, B)
    averages: Array = kept ** len(signals) * state + shares @ signals
    return averages
