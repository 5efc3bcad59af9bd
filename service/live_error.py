"""The live error of a promoted version, over the normal of the version that was in force before.

In the shadow both versions were judged over one normal, N(M) of the version in force then: its
reference's leave-one-out error at the prompt's length M, in the label's own unit. After the
promotion replicas judge by the new reference, so the sums of each length go back by

    u_before = u κ N_new(M)/N_before(M),   N(M) = LOO₀(M) · natural(M)/h₀(M)

κ being the normaliser of the clip (`monitoring.reference`).
"""

import numpy as np
from numpy.typing import NDArray

from monitoring.evidence import Evidence
from monitoring.levels import Z95
from monitoring.paired import Bounds
from monitoring.reference import Reference
from monitoring.snapshot import CHANNELS
from monitoring.state import State

LOO = CHANNELS.index("loo")


def live_error(state: State, now: Reference, before: Reference) -> Bounds | None:
    """Return the mean leave-one-out error over the normal of `before`; None where it is unknown."""
    known = [part for part in state.parts if part.channel_prompts[LOO] > 0.0]
    if not known:
        return None
    factors = np.array([_factor(part, now, before) for part in known])  # (k,)
    counts, sums, squares = (
        np.array([float(getattr(part, name)[LOO]) for part in known])
        for name in ("channel_prompts", "inflation", "inflation_square")
    )  # (k,) each
    count = counts.sum()
    mean = float(factors @ sums / count)
    variance = max(float(factors**2 @ squares / count) - mean * mean, 0.0)
    half = Z95 * float(np.sqrt(variance / count))
    if not np.isfinite([mean, half]).all():
        return None
    return Bounds(mean, mean - half, mean + half)


def _factor(part: Evidence, now: Reference, before: Reference) -> float:
    """Return what turns a ratio to the new normal into one to the normal before."""
    length = np.array([part.rows / part.prompts])  # (1,)
    normals = [_normal(one, length) for one in (now, before)]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor: NDArray[np.float64] = now.clip_means[LOO] * normals[0] / normals[1]  # (1,)
    return float(factor[0])


def _normal(reference: Reference, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return LOO₀ (P,) at lengths (P,), label units²."""
    base = reference.baselines
    loo, natural, predicted = (base.normal(n, lengths) for n in ("loo", "natural", "predicted"))
    normal: NDArray[np.float64] = loo * natural / predicted
    return normal
