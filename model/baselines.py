"""What a careful user would run per prompt instead: the label mean, least squares, tuned ridge.

All are batched over B prompts of one shape: x (B, M, d), y (B, M), queries (B, Q, d) -> (B, Q), in
natural units and with an intercept. They see one prompt at a time, as the served models do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PENALTIES = np.logspace(-4.0, 3.0, 22)
"""Ridge penalties per example: λM is added to the Gram matrix of the standardised features."""

CONSTANT_SD = 1e-9  # standard deviations per unit of a column's size; below, it is rounding
RANK_CUTOFF = 1e-10  # singular values below this share of the largest count as zero


def mean(x: Array, y: Array, queries: Array) -> Array:
    """Answer every query with the mean of its prompt's labels."""
    return np.repeat(y.mean(axis=1, keepdims=True), queries.shape[1], axis=1)  # (B, Q)


def ols(x: Array, y: Array, queries: Array) -> Array:
    """Answer by least squares; where M <= d, by the smallest coefficients that fit.

    Equivalent to scikit-learn's StandardScaler, then LinearRegression: "smallest" is meant of
    standardised features, so that the answer does not depend on their units.
    """
    prompts = _standardise(x, y, queries)
    inverse = np.linalg.pinv(prompts.x, rcond=RANK_CUTOFF)  # (B, d, M)
    slopes = inverse @ prompts.y[..., None]  # (B, d, 1)
    return prompts.label_mean + (prompts.queries @ slopes)[..., 0]  # (B, Q)


def ridge_cv(x: Array, y: Array, queries: Array) -> Array:
    """Answer by ridge, each prompt with the penalty of least squared leave-one-out error.

    Equivalent to scikit-learn's StandardScaler, then RidgeCV(alphas=M * PENALTIES). Leaving one out
    is exact: the error of example i without itself is its residual / (1 - its leverage).
    """
    prompts = _standardise(x, y, queries)
    M = x.shape[1]
    U, s, Vt = np.linalg.svd(prompts.x, full_matrices=False)  # (B, M, k), (B, k), (B, k, d)
    along = (U.mT @ prompts.y[..., None])[..., 0]  # (B, k) the labels along every direction

    best = np.full(len(x), np.inf)  # (B,)
    slopes = np.zeros((len(x), x.shape[2], 1))  # (B, d, 1)
    for penalty in PENALTIES * M:
        kept = s**2 / (s**2 + penalty)  # (B, k) share of a direction that survives
        fit = (U @ (kept * along)[..., None])[..., 0]  # (B, M)
        leverage = (U**2 @ kept[..., None])[..., 0] + 1.0 / M  # (B, M) the intercept's is 1/M
        loss = (((prompts.y - fit) / (1.0 - leverage)) ** 2).mean(axis=1)  # (B,)
        better = loss < best  # (B,)
        best[better] = loss[better]
        shrunk = s / (s**2 + penalty) * along  # (B, k)
        slopes[better] = (Vt.mT @ shrunk[..., None])[better]
    return prompts.label_mean + (prompts.queries @ slopes)[..., 0]  # (B, Q)


class _Standardised(NamedTuple):
    """Prompts with mean 0 and deviation 1 in every column that varies; labels only centred."""

    x: Array  # (B, M, d)
    y: Array  # (B, M)
    queries: Array  # (B, Q, d)
    label_mean: Array  # (B, 1)


def _standardise(x: Array, y: Array, queries: Array) -> _Standardised:
    centre = x.mean(axis=1, keepdims=True)  # (B, 1, d)
    size = np.abs(x).max(axis=1, keepdims=True)  # (B, 1, d)
    deviation = x.std(axis=1, keepdims=True)  # (B, 1, d)
    constant = deviation <= CONSTANT_SD * size  # (B, 1, d)
    scale = np.where(constant, 1.0, deviation)  # (B, 1, d)
    label_mean = y.mean(axis=1, keepdims=True)  # (B, 1)
    return _Standardised(
        x=np.where(constant, 0.0, (x - centre) / scale),
        y=y - label_mean,
        queries=(queries - centre) / scale,
        label_mean=label_mean,
    )
