"""What a monitor needs of a model: the served estimator, and the prior its error is judged by.

A prompt's expected error and its leave-one-out error follow from these alone, whatever the model
(docs/monitoring.md, "h and leave-one-out").
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from model.explain import Smoother
from model.prompt import Block

Array = NDArray[np.float64]


class Estimator(NamedTuple):
    """The served estimator of B prompts: labels r = Uw + ε, w ~ N(m, T), ε ~ N(0, σ²).

    Everything is in the smoother's working units: natural ones of `paper`, a prompt's own standard
    deviations of `foundation`, those of its coordinates for a profile. label_unit scales neither
    σ² nor T.
    """

    smoother: Smoother  # m is its prior mean
    noise_variance: float  # σ², may be 0
    task_covariance: Array  # (p, p) T, or (B, p, p) where it is the prompt's own
    inverts: bool  # P approximates (G + σ²T⁻¹)⁻¹; else it is one layer's A over its terms


@runtime_checkable
class Estimating(Protocol):
    """A model whose answers are those of an `Estimator`."""

    def estimator(self, block: Block) -> Estimator:
        """Return what answers a block; a summary must hold its second moments."""
