"""COMBO says that the covariates moved, harmful or not; it never pages.

The score is the largest of 27 moving statistics (`monitoring.moving`), each less its quiet mean and
over its quiet deviation, over the line that quiet prompts cross once in so many rows
(`monitoring.calibration`). A shift of correlations alone, which no test of single features sees:

>>> from monitoring.covariates import Normal, prompt_statistics
>>> rng = np.random.default_rng(0)
>>> quiet = rng.normal(size=(400, 50, 2))
>>> normal = Normal.fit(list(quiet))
>>> combo = Combo(normal, calibrate(normal, list(quiet), rows_per_alarm=20_000))
>>> combo.update_many(*prompt_statistics(normal, rng.normal(size=(150, 50, 2))), 50)
>>> combo.score < 1.0
True
>>> mixed = rng.normal(size=(5, 50, 2)) @ [[1.0, 0.8], [0.0, 0.6]]  # only the correlation moved
>>> combo.update_many(*prompt_statistics(normal, mixed), 50)
>>> combo.score > 1.0
True
"""

import numpy as np
from numpy.typing import NDArray

from monitoring.calibration import WARM_UP_PROMPTS, Calibration, calibrate, standardised
from monitoring.covariates import Normal
from monitoring.moving import (
    GLR_WEIGHTS,
    WEIGHTS,
    averaged,
    prompt_signals,
    signal_width,
    statistics,
)
from monitoring.snapshot import INFO_CHANNELS

__all__ = ["Calibration", "Combo", "calibrate"]

Array = NDArray[np.float64]

CHANNEL_PLACES = tuple(
    slice(len(WEIGHTS) * place, len(WEIGHTS) * place + width)
    for place, width in enumerate((*(len(WEIGHTS),) * 6, GLR_WEIGHTS))
)


class Combo:
    """The information channel of one process: 4(2r + 2t + 1) doubles, t = r(r + 1)/2."""

    def __init__(self, normal: Normal, calibration: Calibration) -> None:
        self.normal, self.calibration = normal, calibration
        self.prompt_count = 0
        self._state = np.zeros((len(WEIGHTS), signal_width(normal)))  # (4, K)

    def update(self, mean: Array, second_moment: Array, tail_share: float, count: int) -> None:
        """Take one prompt: z̄ (r,), C (r, r), its tail share (NaN if unknown), M."""
        self.update_many(mean[None], second_moment[None], np.array([tail_share]), count)

    def update_many(
        self, means: Array, second_moments: Array, tail_shares: Array, count: int
    ) -> None:
        """Take prompts of one length in order: (B, r), (B, r, r), (B,).

        Prompts that are not finite are left out; one without a tail share leaves the tail as it is.
        """
        signals = prompt_signals(self.normal, means, second_moments, tail_shares, count)  # (B, K)
        signals = signals[np.isfinite(signals[:, :-1]).all(axis=1)]
        has_tail = np.isfinite(signals[:, -1])  # (B,)
        self._state[:, :-1] = averaged(self._state[:, :-1], signals[:, :-1])
        self._state[:, -1:] = averaged(self._state[:, -1:], signals[has_tail, -1:])
        self.prompt_count += len(signals)

    @property
    def score(self) -> float:
        """The largest standardised statistic over its threshold; NaN until warm, 1 is an alarm."""
        return max(self.channels.values())

    @property
    def channels(self) -> dict[str, float]:
        """The score of each channel; NaN until warm."""
        if self.prompt_count < WARM_UP_PROMPTS:
            return dict.fromkeys(INFO_CHANNELS, float("nan"))
        found = standardised(statistics(self._state, self.normal), self.calibration)  # (27,)
        scores = found / self.calibration.threshold
        places = zip(INFO_CHANNELS, CHANNEL_PLACES, strict=True)
        return {name: float(scores[place].max()) for name, place in places}
