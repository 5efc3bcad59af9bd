"""What recent prompts were like against the reference: which features, which way, why.

A window's sums are put back to the reference feature by feature (`monitoring.attribution`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import (
    Answering,
    Scene,
    expected_excess,
    fitted,
    harm_shares,
    kind,
)
from monitoring.evidence import Evidence
from monitoring.moves import feature_moves
from monitoring.reference import Reference
from monitoring.snapshot import FeatureMove

Array = NDArray[np.float64]

FEATURES_SHARED_MAX = 64  # beyond, putting every feature back takes seconds: only moves are told
NO_RISE = float("nan")


class Causes(NamedTuple):
    """What a window shows; empty where there is nothing to say."""

    features: tuple[FeatureMove, ...]
    direction_shares: tuple[float, ...]  # of the excess, sum 1
    kind: str
    explained: float  # error by moments and mean task alone, over the reference's; NaN if unknown


NOTHING = Causes((), (), "", float("nan"))


@np.errstate(all="ignore")  # a window of constants tells nothing
def causes_of(
    reference: Reference, answering: Answering, window: Evidence, features: tuple[Array, Array]
) -> Causes:
    """Return what a window in the reference's working coordinates shows; maybe nothing.

    features are the window's means and deviations (d,), natural units.
    """
    try:
        return _told(reference, fitted(answering, reference.scene), window, features)
    except np.linalg.LinAlgError:
        return NOTHING


def _told(
    reference: Reference, answering: Answering, window: Evidence, features: tuple[Array, Array]
) -> Causes:
    before, now = reference.scene.scene, window.scene.scene
    normal = reference.normal
    d = len(normal.mean)
    shares = np.full(d, np.nan)  # (d,)
    if d <= FEATURES_SHARED_MAX:
        shares = harm_shares(answering, before, now)[-d:]  # (d,) without an intercept
    excess = reference.baselines.mean("predicted") - reference.noise_variance
    risen = window.excess_error / window.scene.prompt_count
    found = kind(answering, before, now, risen / excess if excess > 0.0 else NO_RISE)
    total = window.direction_excess.sum()
    directions = window.direction_excess / total if total > 0.0 else np.zeros(0)
    moves = feature_moves((normal.mean, normal.deviation), features, shares)
    explained = _explained(answering, before, now)
    return Causes(moves, tuple(directions.tolist()), found.name, explained)


def _explained(answering: Answering, before: Scene, now: Scene) -> float:
    """Return the error that moments and mean task lead to, over that of the reference."""
    noise = answering.noise_variance
    return (noise + expected_excess(answering, now)) / (noise + expected_excess(answering, before))
