"""Sums over prompts of one nominal length and one number of working coordinates.

All are additive float64, in working units unless a field says otherwise; symmetric matrices are
kept whole here and as triangles where they are packed (`packed`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.ridge_sums import RidgeSums

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What some prompts say: d features, p working coordinates, D directions of harm.

    Scalars are sums over all prompts. Matrices leave out what is beyond all measure (the rule of
    `monitoring.watch`), so they have counts of their own: `scene.prompt_count`, and `row_prompts`
    for what needs rows.
    """

    length: float  # nominal M, one of `reference.BUCKETS`; 0 where several are pooled
    prompts: float
    rows: float
    channel_prompts: Array  # (2,) by channel h, loo
    inflation: Array  # (2,) Σu, clipped error over normal
    inflation_square: Array  # (2,) Σu²
    ratios: Array  # (2,) Σ error over normal as it is
    clipped: Array  # (2,) prompts at the clip
    others: Array  # (6,) sums of the ratios of `watch.OTHERS`
    other_prompts: Array  # (6,) prompts that have them
    errors: Array  # (2,) Σ LOO of the served model and of the exact ridge, working units²
    error_prompts: Array  # (2,)
    excess_error: float  # Σ(h - σ²)
    noise: float  # Σσ²
    query_signal: float  # Σ vᵀTv
    task_variance: float  # Σ tr T/p
    direction_excess: Array  # (D,) Σ of h - σ² along the reference's directions, less sampling
    scene: Sums
    ridge: RidgeSums  # what labels say of the tasks, of `scene.prompt_count` prompts with labels
    mean_squares: Array  # (p, p) Σ ūūᵀ
    row_prompts: float  # prompts whose rows were seen
    residual_power: float  # Σ|r - Um|²/M of those
    spread: Array  # (p, p) Σ (1/M)Σ_i‖u_i‖²u_iu_iᵀ of those
    z_means: (
        Array  # (d,) Σ z̄, z = (x - mean)/deviation of the reference (1 or |mean| for constants)
    )
    z_mean_squares: Array  # (d, d) Σ z̄z̄ᵀ
    z_scatters: Array  # (d, d) Σ (1/M)Σ(z - z̄)(z - z̄)ᵀ

    @property
    def coordinate_count(self) -> int:
        """p."""
        return len(self.scene.means)

    def joined(self, other: "Evidence") -> "Evidence":
        """Return the sums of both."""
        raise NotImplementedError
