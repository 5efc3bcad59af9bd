"""The first prompts of a model that has no reference: kept until they can be one.

Prompts may have any number of features where a model takes any; the number of which there are
enough first is the one that is watched. Rows are kept, in memory only and bounded, until then.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.baseline import PROMPTS_MIN, ROWS_PER_ALARM, Quiet, Unfit, build
from monitoring.harm import Served
from monitoring.levels import WINDOW_PROMPTS
from monitoring.observation import Observations, sums_of
from monitoring.reference import Reference

Array = NDArray[np.float64]

WIDTHS_KEPT = 8  # numbers of features collected side by side
ROWS_OF_PROMPT = 256  # kept of a longer one
NUMBERS_KEPT = 2**22  # of all rows of one number of features, 32 MiB


class _Collected:
    """Prompts of d features in the order they came."""

    def __init__(self) -> None:
        self.observed: list[Observations] = []
        self.covariates: list[Array] = []
        self.numbers = 0
        self._prompts_of: Counter[int] = Counter()  # by working coordinates p
        self._scenes: dict[int, Sums] = {}  # by p
        self._noise = 0.0  # sum of σ²

    def add(self, observed: Observations, served: Served, x: Array) -> None:
        step = -(-x.shape[1] // ROWS_OF_PROMPT)
        rows = x[:, ::step].copy()  # (B, m, d) of their own: what they are views of may go
        self.observed.append(observed)
        self.covariates += list(rows)
        self.numbers += rows.size
        p, scene = served.gram.shape[1], sums_of(served)
        self._scenes[p] = self._scenes[p].joined(scene) if p in self._scenes else scene
        self._prompts_of[p] += len(rows)
        self._noise += served.noise_variance * len(rows)

    def quiet(self) -> Quiet:
        """Return the prompts; where lengths differ in their coordinates, most decide the scene."""
        scene = self._scenes[self._prompts_of.most_common(1)[0][0]]
        noise = self._noise / len(self.covariates)
        return Quiet(Observations.joined(self.observed), self.covariates, scene, noise)


class Warmup:
    """Collects the first prompts of a model of some kind and makes a reference of them."""

    def __init__(
        self,
        kind: str,
        prompts_min: int = PROMPTS_MIN,
        window_prompts: int = WINDOW_PROMPTS,
        rows_per_alarm: int = ROWS_PER_ALARM,
    ) -> None:
        self._kind, self._prompts_min, self._window = kind, prompts_min, window_prompts
        self._rows_per_alarm = rows_per_alarm
        self._collected: dict[int, _Collected] = {}
        self.complaint = ""
        """Why the prompts so far are no reference, in one sentence; empty while there are few."""

    def add(self, observed: Observations, served: Served, x: Array) -> Reference | None:
        """Take prompts with their covariates x (B, M, d); return a reference once there is one."""
        d = x.shape[2]
        if d not in self._collected and len(self._collected) >= WIDTHS_KEPT:
            return None
        kept = self._collected.setdefault(d, _Collected())
        kept.add(observed, served, x)
        if len(kept.covariates) < self._prompts_min and kept.numbers < NUMBERS_KEPT:
            return None
        try:
            return self._build(kept)
        except Unfit as error:
            self.complaint = str(error)
            self._collected = {}  # what was no normal is none later
            return None

    def _build(self, kept: _Collected) -> Reference:
        fewest = min(self._prompts_min, len(kept.covariates))
        return build(
            kept.quiet(),
            self._kind,
            prompts_min=fewest,
            window_prompts=self._window,
            rows_per_alarm=self._rows_per_alarm,
        )
