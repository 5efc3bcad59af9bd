"""A model with a reference: what recent prompts did to the sums, the gate and the covariates.

Fed by one thread (`monitoring.monitor`), prompts of one shape at a time.
"""

import numpy as np
from numpy.typing import NDArray

from monitoring.combo import Combo
from monitoring.covariates import Normal, prompt_statistics, summary_statistics
from monitoring.evidence import OTHERS
from monitoring.gate import Inflated, Window
from monitoring.harm import Served, excess_by_direction
from monitoring.levels import DEVIATIONS_MAX, RATIO_MAX
from monitoring.observation import Observations
from monitoring.recent import RecentEvidence
from monitoring.reference import Inflations, Reference
from monitoring.seen import Seen, Summary
from monitoring.snapshot import Level
from monitoring.summing import Batch, Judged
from monitoring.totals import RATIO_BUCKETS, Released, Totals

__all__ = ["Seen", "Summary", "Watch"]

Array = NDArray[np.float64]

DIRECTIONS_MAX = 32


class Watch:
    """Prompts against one reference."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        p = reference.basis.shape[1]
        self.direction_count = min(p, DIRECTIONS_MAX)
        self._turn = _turn(reference.normal)
        self.released = Released(self.direction_count)
        self.combo = Combo(reference.normal, reference.calibration)
        self.recent = RecentEvidence(reference)
        self._window = Window(reference.feature_count, reference.window_prompts, len(OTHERS))

    def observe(self, seen: Seen, observed: Observations) -> None:
        """Take the prompts of one shape and their numbers, all finite."""
        reference, served = self.reference, seen.served
        observed = reference.baselines.limited(observed)
        normal = reference.normal
        if isinstance(seen.covariates, Summary):
            means, moments = summary_statistics(normal, served.count, *seen.covariates)
            tails = np.full(len(means), np.nan)  # (B,)
        else:
            means, moments, tails = prompt_statistics(normal, seen.covariates)
        self.combo.update_many(means, moments, tails, served.count)
        over = reference.inflations(observed.counts, observed.predicted, observed.loo)
        effect = reference.length_effect(observed.counts)  # (B,)
        others = self._others(observed, over, effect, tails)  # (B, 6)
        self._window.add(Inflated(over.clipped, over.ratios, others), served.count)
        totals = _totals(observed, over, effect, served.noise_variance, self.direction_count)
        excess = self._excess(served)  # (B, D)
        self._add_directions(totals, means, excess)
        self.released.add(totals)
        powers = np.trace(moments, axis1=1, axis2=2) / moments.shape[1]  # (B,)
        judged = Judged(seen, observed, over, others, excess, powers)
        self.recent.add(Batch(reference, judged), served)

    def _others(
        self, observed: Observations, over: Inflations, effect: Array, tails: Array
    ) -> Array:
        """Return the ratios OTHERS (B, 6), NaN where there is none."""
        base = self.reference.baselines
        place = base.place(observed.counts)  # (B,)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.column_stack(
                [
                    observed.ridge / base.normal("ridge", observed.counts),
                    observed.label_power / base.label_power[place],
                    observed.best / base.normal("best", observed.counts),
                    effect,
                    over.at_clip.max(axis=1),
                    tails,
                ]
            )

    def _excess(self, served: Served) -> Array:
        """Return the excess by direction (B, D); 0 for prompts of other working coordinates."""
        basis = self.reference.basis[:, : self.direction_count]  # (p, D)
        if served.gram.shape[1] != len(basis):
            return np.zeros((len(served.gram), self.direction_count))
        most = RATIO_MAX * self.reference.baselines.mean("predicted")
        return np.minimum(np.nan_to_num(excess_by_direction(served, basis)), most)  # (B, D)

    def _add_directions(self, totals: Totals, means: Array, excess: Array) -> None:
        """Add z̄ of the first features, whitened, and the excess along the first directions."""
        D = min(self.direction_count, means.shape[1])
        z = (means @ self._turn)[:, :D]  # (B, D)
        z = np.nan_to_num(z).clip(-DEVIATIONS_MAX, DEVIATIONS_MAX)  # (B, D)
        totals.directions[0, :D] = np.maximum(z, 0.0).sum(axis=0)
        totals.directions[1, :D] = np.maximum(-z, 0.0).sum(axis=0)
        totals.directions[2, :D] = (z * z).sum(axis=0)
        totals.directions[3] = excess.sum(axis=0)

    def levels(self) -> dict[str, Level]:
        """Return the level of every channel of the gate."""
        return self._window.levels()

    def window_means(self) -> dict[str, float]:
        """Return the means of the window's other ratios; NaN until warm or where none is known."""
        recent = self._window.recent()[:, -len(OTHERS) :]  # (n, 6)
        known = ~np.isnan(recent)  # (n, 6)
        sums = np.where(known, recent, 0.0).sum(axis=0)  # (6,)
        with np.errstate(invalid="ignore"):
            means = sums / known.sum(axis=0)  # (6,)
        return dict(zip(OTHERS, means.tolist(), strict=True))


def _turn(normal: Normal) -> Array:
    """Return the rotation (r, r) of whitened rows to the reference's own directions.

    Columns go from the largest variance to the smallest; signs are fixed, so that replicas agree.
    """
    scaled = normal.deviation[:, None] * normal.whitening  # (d, r) rows in deviations to z
    turn = np.linalg.svd(scaled, full_matrices=False)[2][::-1].T  # (r, r)
    falling = 1.0 / np.sqrt(np.arange(1.0, len(turn) + 1.0))  # (r,) no two features weigh the same
    return np.asarray(turn * np.where(falling @ turn < 0.0, -1.0, 1.0))


def _totals(
    observed: Observations,
    over: Inflations,
    effect: Array,
    noise_variance: float,
    direction_count: int,
) -> Totals:
    """Return the sums over prompts of one shape."""
    totals = Totals(direction_count)
    u = over.clipped  # (B, 2)
    known = ~np.isnan(u)  # (B, 2)
    totals.prompts, totals.rows = float(len(u)), float(observed.counts.sum())
    totals.channel_prompts = known.sum(axis=0).astype(np.float64)
    totals.inflation = np.where(known, u, 0.0).sum(axis=0)
    totals.inflation_square = np.where(known, u * u, 0.0).sum(axis=0)
    totals.clipped = over.at_clip.sum(axis=0)
    totals.excess_error = float((observed.predicted - noise_variance).sum())
    totals.query_signal = float(observed.query_signal.sum())
    errors = np.column_stack([observed.loo, observed.ridge])  # (B, 2) served, ridge
    totals.loo_error = np.nansum(errors, axis=0)
    totals.loo_prompts = (~np.isnan(errors)).sum(axis=0).astype(np.float64)
    totals.label_power = float(np.nansum(observed.label_power))
    totals.length_effect = float(effect.sum())
    ratio = over.ratios[:, 0]  # (B,)
    places = np.searchsorted(RATIO_BUCKETS, ratio)  # (B,)
    counts = np.bincount(places, minlength=len(RATIO_BUCKETS) + 1)
    totals.ratio_buckets, totals.ratio_sum = counts.astype(np.float64), float(ratio.sum())
    return totals
