"""A model fitted to a window of prompts by additive sums alone (docs/reevaluation.md)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.paper import PaperModel
from model.profile_parameters import ProfileParameters

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WindowSums:
    """Sums over prompts of one length, in the served model's working coordinates."""

    prompt_count: float
    length: float  # M, harmonic mean


def recalibrated_profile(served: ProfileParameters, windows: list[WindowSums]) -> ProfileParameters:
    """Return a profile for the prompts of the windows, by length."""
    raise NotImplementedError


def recalibrated_paper(served: PaperModel, windows: list[WindowSums]) -> PaperModel:
    """Return the layer with the best weights for the prompts of the windows."""
    raise NotImplementedError
