"""What labels say of the tasks of a window, in sums from which a prior can be learnt anew.

Of a prompt in working coordinates, rows U, labels r = Uw + ε, ω = w - m, the sums of g and ggᵀ
would need fourth moments of U to tell the law of ω. So each prompt is first solved by a ridge of
fixed weights t²: with S = UᵀU/M over ttᵀ, g = (Uᵀr - UᵀUm)/M over t and Q = (S + I)⁻¹,

    a = Qg,   E[a | ω, S] = (I - Q) tω,   Cov(a | ω, S) = σ² (Q - QQ)/M

and I - Q varies little from prompt to prompt, so that its mean will do (docs/reevaluation.md, "How
a model is recalibrated from sums"). The residual |r - Um - Ua|²/M tells σ².
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.harm import Served

Array = NDArray[np.float64]

WEIGHT = 0.25  # of the reference's second moment of a coordinate: M/4 rows' worth of shrinkage
SMALLEST_SHARE = 1e-6  # of the mean second moment, for coordinates that never varied


class RidgeSums(NamedTuple):
    """Sums over prompts, coordinates divided by t; of two windows they add."""

    prompt_count: float
    inverse_lengths: float  # Σ 1/M
    shrinkage: Array  # (p, p) Σ Q
    shrinkage_squares: Array  # (p, p) Σ QQ
    tasks: Array  # (p,) Σ a
    task_squares: Array  # (p, p) Σ aaᵀ
    residual_power: float  # Σ |r - Um - Ua|²/M
    freedom: float  # Σ of the share of σ² that the residual holds

    def joined(self, other: "RidgeSums") -> "RidgeSums":
        """Return the sums of both."""
        return RidgeSums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def ridge_scale(reference: Sums, coordinate_count: int) -> Array:
    """Return t (p,): by the reference's examples, or √WEIGHT where it has other coordinates."""
    if coordinate_count != len(reference.means):
        return np.full(coordinate_count, np.sqrt(WEIGHT))
    power = np.diagonal(reference.moments) / reference.prompt_count  # (p,)
    floor = max(SMALLEST_SHARE * float(power.mean()), 1e-300)
    scale: Array = np.sqrt(WEIGHT * np.maximum(power, floor))  # (p,)
    return scale


@np.errstate(all="ignore")  # what overflows is found in the numbers
def ridge_sums(served: Served, label_power: Array, scale: Array) -> RidgeSums:
    """Return the sums of B prompts; label_power (B,) is rᵀr/M, scale (p,) is t.

    Rows are not needed. Nothing of a prompt that is not finite may be among them.
    """
    M, m = served.count, served.prior_mean  # (), (p,)
    G = served.gram / M  # (B, p, p)
    gaps = served.products / M - G @ m  # (B, p)
    S = G / np.outer(scale, scale)  # (B, p, p)
    g = gaps / scale  # (B, p)
    eye = np.eye(len(m))  # (p, p)
    Q = np.linalg.inv(S + eye)  # (B, p, p)
    a = (Q @ g[..., None])[..., 0]  # (B, p)
    left = label_power - (gaps + served.products / M) @ m  # (B,) |r - Um|²/M
    fitted = ((S @ a[..., None])[..., 0] * a).sum(axis=1)  # (B,)
    residual = left - 2.0 * (a * g).sum(axis=1) + fitted  # (B,)
    QQ = Q @ Q  # (B, p, p)
    used = np.trace(eye - QQ, axis1=1, axis2=2)  # (B,) 2 tr(I - Q) - tr(I - Q)²
    return RidgeSums(
        prompt_count=float(len(a)),
        inverse_lengths=len(a) / M,
        shrinkage=Q.sum(axis=0),
        shrinkage_squares=QQ.sum(axis=0),
        tasks=a.sum(axis=0),
        task_squares=a.T @ a,
        residual_power=float(np.maximum(residual, 0.0).sum()),
        freedom=float((1.0 - served.centred / M - used / M).sum()),
    )
