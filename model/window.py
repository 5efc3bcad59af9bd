"""What a window of prompts says of one length, as means over its prompts, for recalibration.

Working coordinates are those of the model that answered. Tasks are told by a weak ridge of every
prompt in a basis W (docs/reevaluation.md, "How a model is recalibrated from sums"): with
S = WᵀUᵀUW/M, g = Wᵀ(Uᵀr - UᵀUm)/M and Q = (S + I)⁻¹, a = Qg has E[a | ω] = (I - Q) W⁻¹ω for
ω = w - m, and noise σ² (Q - QQ)/M; |r - Um - UWa|²/M is the residual.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Means over n prompts of about one length, p working coordinates."""

    length: float  # M, harmonic mean
    prompt_count: float  # n
    row_count: float
    basis: Array  # (p, p) W
    shrinkage: Array  # (p, p) mean Q
    shrinkage_squares: Array  # (p, p) mean QQ
    tasks: Array  # (p,) mean a
    task_squares: Array  # (p, p) mean aaᵀ
    residual_power: float  # mean |r - Um - UWa|²/M
    freedom: float  # mean share of σ² in it
    label_power: float  # mean |r - Um|²/M
    mean: Array  # (p,) mean ū
    mean_squares: Array  # (p, p) mean ūūᵀ
    moments: Array  # (p, p) mean UᵀU/M
    squares: Array  # (p, p) mean (UᵀU/M)²
    spread: Array  # (p, p) mean (1/M)Σ‖u‖²uuᵀ
    feature_mean: Array  # (d,) mean x̄, natural units
    feature_between: Array  # (d, d) covariance of x̄
    feature_within: Array  # (d, d) mean (1/M)Σ(x - x̄)(x - x̄)ᵀ

    @property
    def noise_share(self) -> Array:
        """Cov(a) of a label noise of 1 (p, p)."""
        share: Array = (self.shrinkage - self.shrinkage_squares) / self.length  # (p, p)
        return share
