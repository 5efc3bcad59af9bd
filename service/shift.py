"""How far one prompt lies from what its model was made for, as a caller is told it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from model.answer import Answer
from model.estimator import Estimating
from model.prompt import Block
from model.refusal import Refusal
from monitoring.observation import observe
from monitoring.reference import Reference
from monitoring.watch import Seen, Summary
from service.seen import seen
from service.slot import Served

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


Harmed = Callable[[str], bool]
"""Tells whether a harmful shift of a model, by its name, is open."""


def score(artifact: Served, block: Block, answer: Answer) -> ShiftScore | None:
    """Return how far a single prompt lies from the reference; None where nothing tells.

    That is: no reference yet, another than the model answered, or sums without second moments.
    A score beyond a double is refused.
    """
    monitor, model = artifact.monitor, artifact.model
    watch = None if monitor is None else monitor.watch
    if watch is None or answer.modes[0] != model.mode or not isinstance(model, Estimating):
        return None
    reference, found = watch.reference, seen(model, block)
    if found is None or found.feature_count != reference.feature_count:
        return None
    observed = observe(found.served)
    ratios = reference.inflations(observed.counts, observed.predicted, observed.loo).ratios
    shift = ShiftScore(float(ratios[0, 0]), float(ratios[0, 1]), _features(found, reference))
    numbers = (*shift[:2], *(feature.score for feature in shift.features))
    if any(map(math.isinf, numbers)):
        sentence = "expected units in which the score fits a double, got an overflow"
        raise Refusal("NUMERIC_OVERFLOW", "options.include_shift_score", sentence)
    return shift


def unharmed(name: str) -> bool:
    """Say that nobody watches for harm."""
    return False


def _features(found: Seen, reference: Reference) -> tuple[FeatureShift, ...]:
    """Return the features whose mean lies farthest from the reference's."""
    x, normal = found.covariates, reference.normal
    mean = x.mean[0] if isinstance(x, Summary) else x[0].mean(axis=0)  # (d,)
    apart = mean - normal.mean  # (d,)
    score = np.divide(apart, normal.deviation, out=np.zeros_like(apart), where=normal.deviation > 0)
    order = np.argsort(-np.abs(score), kind="stable")[:FEATURES_TOLD]
    return tuple(FeatureShift(place, float(score[place])) for place in order.tolist())
