"""What recent prompts were like, kept as sums in a few blocks: which features, which way, why.

Blocks are as long as a quarter of the gate's window; four whole ones and the one that fills make
the window that `monitoring.attribution` puts back feature by feature. No row is kept.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import (
    Answering,
    Scene,
    Sums,
    expected_excess,
    fitted,
    harm_shares,
    kind,
)
from monitoring.harm import Served
from monitoring.moves import feature_moves, pooled
from monitoring.observation import sums_of
from monitoring.reference import Reference
from monitoring.snapshot import FeatureMove

Array = NDArray[np.float64]

BLOCKS = 4
FEATURES_SHARED_MAX = 64  # beyond, putting every feature back takes seconds: only moves are told
NO_RISE = float("nan")


class Causes(NamedTuple):
    """What a window shows; empty where there is nothing to say."""

    features: tuple[FeatureMove, ...]
    direction_shares: tuple[float, ...]  # of the excess, sum 1
    kind: str
    explained: float  # error by moments and mean task alone, over the reference's; NaN if unknown


NOTHING = Causes((), (), "", float("nan"))


@dataclass(slots=True)
class _Block:
    """Sums over some prompts."""

    scene: Sums
    prompts: float
    counts: Array  # (n,) M
    means: Array  # (n, d) natural units
    scatters: Array  # (n, d)
    excess: Array  # (D,) by direction
    excess_error: float  # Σ(h - σ²)

    def joined(self, other: "_Block") -> "_Block":
        """Return both as one."""
        return _Block(
            self.scene.joined(other.scene),
            self.prompts + other.prompts,
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.means, other.means]),
            np.concatenate([self.scatters, other.scatters]),
            self.excess + other.excess,
            self.excess_error + other.excess_error,
        )

    def condensed(self) -> "_Block":
        """Return the same with its prompts' features pooled, as one long prompt."""
        mean, deviation = pooled(self.counts, self.means, self.scatters)  # (d,), (d,)
        total = self.counts.sum()
        scatter = deviation * deviation * total  # (d,)
        return _Block(
            self.scene,
            self.prompts,
            np.array([total]),
            mean[None],
            scatter[None],
            self.excess,
            self.excess_error,
        )


class RecentCauses:
    """The last prompts of one model against its reference."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._size = max(reference.window_prompts // BLOCKS, 1)
        self._whole: deque[_Block] = deque(maxlen=BLOCKS)
        self._filling: _Block | None = None
        self._answering: Answering | None = None

    def add(
        self, served: Served, means: Array, scatters: Array, excess: Array, predicted: Array
    ) -> None:
        """Take B prompts: feature means and sums of squares about them (B, d), natural units.

        excess (B, D) is h - σ² along the directions, predicted (B,) h.
        """
        if served.gram.shape[1] != len(self._reference.scene.means):
            return  # a length in other coordinates than most
        self._answering = _answering(served)
        for start in range(self._first(len(means)), len(means), self._size):
            some = np.arange(start, min(start + self._size, len(means)))
            part = means[some], scatters[some], excess[some], predicted[some]
            self._add_some(served.take(some), *part)

    def _first(self, count: int) -> int:
        """Return where the prompts begin that are still remembered after all of them.

        A block is no longer than the size, whatever comes: of more than four full ones the first
        would be forgotten at once.
        """
        forgotten = count // self._size - BLOCKS
        if forgotten <= 0:
            return 0
        self._filling = None
        return forgotten * self._size

    def _add_some(
        self, served: Served, means: Array, scatters: Array, excess: Array, predicted: Array
    ) -> None:
        B, noise = len(means), served.noise_variance
        new = _Block(
            sums_of(served),
            float(B),
            np.full(B, float(served.count)),
            means,
            scatters,
            excess.sum(axis=0),
            float((predicted - noise).sum()),
        )
        joined = new if self._filling is None else self._filling.joined(new)
        self._filling = joined.condensed()
        if self._filling.prompts >= self._size:
            self._whole.append(self._filling)
            self._filling = None

    @np.errstate(all="ignore")  # a window of constants tells nothing
    def causes(self) -> Causes:
        """Return what moved and what hurts; nothing until a window is whole."""
        answering, blocks = self._answering, [*self._whole]
        if self._filling is not None:
            blocks.append(self._filling)
        if answering is None or len(self._whole) < BLOCKS:
            return NOTHING
        window = blocks[0]
        for block in blocks[1:]:
            window = window.joined(block)
        try:
            return self._told(fitted(answering, self._reference.scene), window)
        except np.linalg.LinAlgError:
            return NOTHING

    def _told(self, answering: Answering, window: _Block) -> Causes:
        reference = self._reference
        before, now = reference.scene.scene, window.scene.scene
        normal = reference.normal
        d = len(normal.mean)
        shares = np.full(d, np.nan)  # (d,)
        if d <= FEATURES_SHARED_MAX:
            shares = harm_shares(answering, before, now)[-d:]  # (d,) without an intercept
        mean, deviation = pooled(window.counts, window.means, window.scatters)
        excess = reference.baselines.mean("predicted") - reference.noise_variance
        rise = window.excess_error / window.prompts / excess if excess > 0.0 else NO_RISE
        found = kind(answering, before, now, rise)
        total = window.excess.sum()
        directions = window.excess / total if total > 0.0 else np.zeros(0)
        moves = feature_moves((normal.mean, normal.deviation), (mean, deviation), shares)
        return Causes(
            moves, tuple(directions.tolist()), found.name, _explained(answering, before, now)
        )


def _explained(answering: Answering, before: Scene, now: Scene) -> float:
    """Return the error that moments and mean task lead to, over that of the reference."""
    noise = answering.noise_variance
    return (noise + expected_excess(answering, now)) / (noise + expected_excess(answering, before))


def _answering(served: Served) -> Answering:
    """Return how the model answered the latest prompts."""
    T = served.task_covariance  # (p, p) or (B, p, p)
    task = T.mean(axis=0) if T.ndim == 3 else T  # (p, p)
    weights = None if served.inverts else served.inverse[-1] * served.count  # (p, p)
    return Answering(task, served.noise_variance, weights)
