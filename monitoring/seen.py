"""Answered prompts as a monitor takes them, of one shape a batch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.harm import Served

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """The covariates of B prompts that came as sums."""

    mean: Array  # (B, d)
    scatter: Array  # (B, d, d) about the prompt's mean


class Seen(NamedTuple):
    """B prompts of one shape that the model itself answered."""

    served: Served
    covariates: Array | Summary  # (B, M, d) natural units

    @property
    def feature_count(self) -> int:
        """d."""
        x = self.covariates.mean if isinstance(self.covariates, Summary) else self.covariates
        return int(x.shape[-1])

    def take(self, prompts: NDArray[np.intp]) -> "Seen":
        """Return the chosen prompts."""
        x = self.covariates
        part = Summary(*(a[prompts] for a in x)) if isinstance(x, Summary) else x[prompts]
        return Seen(self.served.take(prompts), part)
