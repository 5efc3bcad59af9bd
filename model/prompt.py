"""Prompts of one shape, as every model takes them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.moments import Moments

Array = NDArray[np.float64]


class Examples(NamedTuple):
    """Labelled examples of B prompts in natural units, every number finite."""

    x: Array  # (B, M, d)
    y: Array  # (B, M)


class Block(NamedTuple):
    """B prompts of one shape: their contexts, and the queries to answer.

    `names` are the features as the caller knows them, for sentences only; empty means positions.
    """

    context: Examples | Moments
    queries: Array  # (B, Q, d)
    names: tuple[str, ...] = ()

    @property
    def example_count(self) -> int:
        """M, the number of examples of every prompt."""
        if isinstance(self.context, Moments):
            return self.context.count
        return int(self.context.x.shape[1])

    def feature_name(self, column: int) -> str:
        """Return the name of a column as a sentence should give it."""
        return f"'{self.names[column]}'" if self.names else f"column {column}"
