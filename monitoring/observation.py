"""What the monitor keeps of every prompt: a handful of numbers, never a row (monitoring.harm)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums, scene_sums
from monitoring.harm import (
    Served,
    best_error,
    exact_of,
    label_power,
    leave_one_out,
    predicted_error,
    query_signal,
    ridge_leave_one_out,
)

Array = NDArray[np.float64]


class Observations(NamedTuple):
    """Numbers of P prompts, working units squared; NaN where a prompt cannot tell."""

    counts: Array  # (P,) M
    predicted: Array  # (P,) h, mean over the queries
    loo: Array  # (P,) mean squared leave-one-out error of the served model
    ridge: Array  # (P,) of the exact solve with the same prior
    label_power: Array  # (P,) mean squared label
    query_signal: Array  # (P,) mean xᵀTx of the queries
    best: Array  # (P,) h of the best possible method

    def take(self, prompts: NDArray[np.intp] | NDArray[np.bool_]) -> "Observations":
        """Return the chosen prompts."""
        return Observations(*(column[prompts] for column in self))

    @classmethod
    def joined(cls, parts: list["Observations"]) -> "Observations":
        """Return the prompts of several batches as one."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@np.errstate(all="ignore")  # what overflows is found in the numbers
def observe(
    served: Served, query_weights: Array | None = None, ridge_every: int = 1
) -> Observations:
    """Return the numbers of a batch; ridge on every n-th prompt, NaN on the others.

    query_weights (B, Q) are 0 for queries that are not there.
    """
    h = predicted_error(served)  # (B, Q)
    B = len(h)
    if query_weights is None:
        predicted = h.mean(axis=1)  # (B,)
    else:
        there = np.where(query_weights > 0.0, h, 0.0)  # (B, Q)
        predicted = there.sum(axis=1) / (query_weights > 0.0).sum(axis=1)  # (B,)
    ridge, exact = np.full(B, np.nan), exact_of(served)  # (B,)
    if served.rows is not None:
        ridge[::ridge_every] = ridge_leave_one_out(served.take(np.arange(0, B, ridge_every)))
    return Observations(
        counts=np.full(B, float(served.count)),
        predicted=predicted,
        loo=leave_one_out(served, exact),
        ridge=ridge,
        label_power=label_power(served),
        query_signal=query_signal(served),
        best=best_error(served, exact),
    )


def sums_of(served: Served) -> Sums:
    """Return the moments of a batch's examples and queries."""
    means, gaps = row_means(served), label_gaps(served)  # (B, p) each
    return scene_sums(served.count, means, served.gram, served.queries, gaps)


def row_means(served: Served) -> Array:
    """Return the mean row ū (B, p) of each prompt, 0 where centred.

    An uncentred summary has no rows: its mean is the intercept's column of the Gram matrix, if any.
    """
    if served.rows is not None:
        means: Array = np.full(served.count, 1.0 / served.count) @ served.rows  # (B, p)
        return means
    if served.centred:
        return np.zeros(served.products.shape)
    first: Array = served.gram[:, 0] / served.count  # (B, p)
    return first


def label_gaps(served: Served) -> Array:
    """Return Uᵀr - Gm (B, p), what the labels say beyond the prior mean."""
    gaps: Array = served.products - served.gram @ served.prior_mean  # (B, p)
    return gaps
