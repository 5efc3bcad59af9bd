"""Gradient boosting over the pooled rows of a history, what a careful user would try first.

scikit-learn is needed for it and for nothing else; without it the comparison is left out, visibly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.history import Group

Array = NDArray[np.float64]

MOST_ROWS = 60_000  # more change little and take seconds
ABSENT = (
    "boosting is not compared: it needs scikit-learn (pip install -c constraints.txt scikit-learn)"
)


class _Regressor(Protocol):
    def predict(self, x: Array) -> Array: ...


@dataclass(frozen=True, slots=True)
class Boosting:
    """One fit for all groups; a prompt's own examples move its answers by their mean residual."""

    regressor: _Regressor

    def answer(self, x: Array, y: Array, queries: Array) -> Array:
        """Answer queries (B, Q, d) from examples x (B, M, d) and y (B, M)."""
        offset = (y - self._predict(x)).mean(axis=1, keepdims=True)  # (B, 1)
        answers: Array = self._predict(queries) + offset  # (B, Q)
        return answers

    def _predict(self, rows: Array) -> Array:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1, user_api="openmp"):  # as `fit_boosting` does
            flat: Array = self.regressor.predict(rows.reshape(-1, rows.shape[-1]))  # (B n,)
        return flat.reshape(rows.shape[:-1])  # (B, n)


def is_present() -> bool:
    """Whether scikit-learn is installed."""
    return find_spec("sklearn") is not None


def fit_boosting(groups: Sequence[Group], seed: int) -> Boosting:
    """Fit the pooled rows of groups, at most `MOST_ROWS` of them."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    x = np.concatenate([group.x for group in groups])  # (n, d)
    y = np.concatenate([group.y for group in groups])  # (n,)
    if len(y) > MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(len(y), MOST_ROWS, replace=False)
        x, y = x[drawn], y[drawn]
    regressor = HistGradientBoostingRegressor(random_state=seed, max_iter=100)
    with threadpool_limits(limits=1, user_api="openmp"):  # its threads wait by spinning: beside any
        regressor.fit(x, y)  # other work, two of them are fifty times slower than one
    return Boosting(regressor)
