"""What labels say of the tasks of a window, in sums from which a prior can be learnt anew.

Of a prompt in working coordinates, rows U, labels r = Uw + ε, ω = w - m, the sums of g and ggᵀ
would need fourth moments of U to tell the law of ω. So each prompt is first solved by a weak ridge
in a basis W that whitens the reference: S = WᵀUᵀUW/M, g = Wᵀ(Uᵀr - UᵀUm)/M and Q = (S + I)⁻¹,

    a = Qg,   E[a | ω, S] = (I - Q) W⁻¹ω,   Cov(a | ω, S) = σ² (Q - QQ)/M

and I - Q varies little from prompt to prompt, so that its mean will do (docs/reevaluation.md, "How
a model is recalibrated from sums"). The residual |r - Um - UWa|²/M tells σ².
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.harm import Served

Array = NDArray[np.float64]

WEIGHT = 0.05  # of the reference's second moment: M/20 rows' worth of shrinkage
SMALLEST_SHARE = 1e-6  # of the mean second moment, for coordinates that never varied


class RidgeSums(NamedTuple):
    """Sums over prompts, coordinates of W; of two windows they add."""

    prompt_count: float
    inverse_lengths: float  # Σ 1/M
    shrinkage: Array  # (p, p) Σ Q
    shrinkage_squares: Array  # (p, p) Σ QQ
    tasks: Array  # (p,) Σ a
    task_squares: Array  # (p, p) Σ aaᵀ
    residual_power: float  # Σ |r - Um - UWa|²/M
    freedom: float  # Σ of the share of σ² that the residual holds


def ridge_basis(reference: Sums, coordinate_count: int) -> Array:
    """Return W (p, p): the reference's examples have second moment I/WEIGHT in it.

    I/√WEIGHT where the reference has other coordinates. Features are brought to one unit first, so
    that none decides which directions are too small to tell; then the root is symmetric, so that
    no two processes turn it another way and their sums add.
    """
    if coordinate_count != len(reference.means):
        other: Array = np.eye(coordinate_count) / np.sqrt(WEIGHT)  # (p, p)
        return other
    moments = reference.moments / reference.prompt_count  # (p, p)
    power = np.diagonal(moments)  # (p,)
    floor = max(SMALLEST_SHARE * float(power.mean()), 1e-300)
    unit = np.sqrt(np.maximum(power, floor))  # (p,)
    values, vectors = np.linalg.eigh(moments / np.outer(unit, unit))  # (p,), (p, p)
    spread = np.sqrt(WEIGHT * np.maximum(values, SMALLEST_SHARE))  # (p,)
    basis: Array = (vectors / spread) @ vectors.T / unit[:, None]  # (p, p)
    return basis


class RidgeFits(NamedTuple):
    """Each of B prompts solved by the weak ridge."""

    shrinkage: Array  # (B, p, p) Q, symmetric
    tasks: Array  # (B, p) a
    residual_power: Array  # (B,)
    freedom: Array  # (B,)


@np.errstate(all="ignore")  # what overflows is found in the numbers
def ridge_fits(served: Served, label_power: Array, basis: Array) -> RidgeFits:
    """Return each of B prompts solved; label_power (B,) is rᵀr/M, basis (p, p) is W.

    Rows are not needed. A prompt that is not finite would fail the others.
    """
    M, m = served.count, served.prior_mean  # (), (p,)
    products = served.products / M  # (B, p)
    gaps = products - served.gram @ (m / M)  # (B, p)
    S = basis.T @ served.gram @ basis / M  # (B, p, p)
    g = gaps @ basis  # (B, p)
    Q = np.asarray(np.linalg.inv(S + np.eye(len(m))), np.float64)  # (B, p, p)
    a = (Q @ g[..., None])[..., 0]  # (B, p)
    left = label_power - (gaps + products) @ m  # (B,) |r - Um|²/M
    fitted = ((S @ a[..., None])[..., 0] * a).sum(axis=1)  # (B,)
    residual = left - 2.0 * (a * g).sum(axis=1) + fitted  # (B,)
    used = len(m) - np.einsum("bij,bij->b", Q, Q)  # (B,) 2 tr(I - Q) - tr(I - Q)²
    freedom: Array = 1.0 - served.centred / M - used / M  # (B,)
    return RidgeFits(Q, a, np.maximum(residual, 0.0), freedom)
