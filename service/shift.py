"""How far one prompt lies from what its model was made for, as a caller is told it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from model.answer import Answer
from model.checkpoint import Artifact
from model.estimator import Estimating
from model.prompt import Block
from monitoring.monitor import Monitor
from monitoring.observation import observe
from monitoring.reference import Reference
from monitoring.watch import Seen, Summary
from service.seen import seen

FEATURES_TOLD = 5


class FeatureShift(NamedTuple):
    """One feature of a prompt against the reference."""

    place: int
    score: float  # signed, reference standard deviations


class ShiftScore(NamedTuple):
    """One prompt against the reference; 1 is normal."""

    expected_error_ratio: float
    leave_one_out_ratio: float  # NaN for a summary
    features: tuple[FeatureShift, ...]  # the farthest first


class Trusted:
    """The monitors of a server as calls see them."""

    def __init__(self, monitors: Mapping[str, Monitor], harmed: Callable[[str], bool]) -> None:
        self._monitors, self._harmed = monitors, harmed

    def reference_id(self, name: str) -> str:
        """Return the id of a model's reference; empty while there is none."""
        monitor = self._monitors.get(name)
        return "" if monitor is None else monitor.reference_id

    def is_warming(self, name: str) -> bool:
        """Return whether a model has no reference yet."""
        return not self.reference_id(name)

    def is_harmed(self, name: str) -> bool:
        """Return whether a harmful shift of a model is open."""
        return self._harmed(name)

    def score(self, artifact: Artifact, block: Block, answer: Answer) -> ShiftScore | None:
        """Return how far a single prompt lies from the reference; None where nothing tells.

        That is: no reference yet, another than the model answered, or sums without second moments.
        """
        monitor = self._monitors.get(artifact.name)
        watch, model = (None if monitor is None else monitor.watch), artifact.model
        if watch is None or answer.modes[0] != model.mode or not isinstance(model, Estimating):
            return None
        reference, found = watch.reference, seen(model, block)
        if found is None or found.feature_count != reference.feature_count:
            return None
        observed = observe(found.served)
        ratios = reference.inflations(observed.counts, observed.predicted, observed.loo).ratios
        return ShiftScore(float(ratios[0, 0]), float(ratios[0, 1]), _features(found, reference))


def _features(found: Seen, reference: Reference) -> tuple[FeatureShift, ...]:
    """Return the features whose mean lies farthest from the reference's."""
    x, normal = found.covariates, reference.normal
    mean = x.mean[0] if isinstance(x, Summary) else x[0].mean(axis=0)  # (d,)
    apart = mean - normal.mean  # (d,)
    score = np.divide(apart, normal.deviation, out=np.zeros_like(apart), where=normal.deviation > 0)
    order = np.argsort(-np.abs(score), kind="stable")[:FEATURES_TOLD]
    return tuple(FeatureShift(place, float(score[place])) for place in order.tolist())
