"""Where pretraining meets the profile model: fit it, ask it, and take it apart for the store."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.calibration import Calibration
from model.explain import Smoother
from model.foundation import FoundationModel
from model.history import History
from model.manifest import Length
from model.packing import Leaf, pack
from model.profile import ProfileModel
from model.profile_doubts import DoubtLimits
from model.profile_fit import Tick, fit, layer_steps
from model.profile_layers import exact_answers
from model.profile_parameters import LENGTHS, BucketParameters, ProfileParameters
from model.profile_support import Fold, calibrate_profile, learn_doubts
from model.prompt import Block
from monitoring.reference import Reference

Array = NDArray[np.float64]

PREFIX = "profile."


@dataclass(frozen=True, slots=True)
class Fitted:
    """A profile that answers; its parameters are what a version stores."""

    parameters: ProfileParameters
    calibration: Calibration | None = None  # none where only sums were given
    doubts: DoubtLimits | None = None
    reference: Reference | None = None  # what monitoring compares with
    unwatched: str = ""  # why there is no reference, where one was tried

    def served(self) -> ProfileModel:
        """Return the model as it serves, with the foundation model below it."""
        steps = tuple((float(a), float(b)) for a, b in layer_steps(4))
        return ProfileModel(
            self.parameters,
            fallback=FoundationModel(steps),
            calibration=self.calibration,
            doubts=self.doubts,
        )

    def answers(self, block: Block) -> Array:
        """Return the predictions (B, Q) as served, fallback included; NaN where all refuse."""
        return self.served().answer(block).predictions  # (B, Q)

    def exact_answers(self, block: Block) -> Array:
        """Return the predictions (B, Q) of the exact solve, which the layers come near."""
        if not self.parameters.buckets:
            return self.answers(block)  # a cold profile answers nothing itself
        return exact_answers(block, self.parameters.bucket(block.example_count))

    def arrays(self) -> dict[str, Leaf]:
        """Return the parameters as named arrays."""
        arrays = {PREFIX + name: leaf for name, leaf in pack(self.parameters).items()}
        if self.calibration is not None:
            found = pack(self.calibration).items()
            arrays |= {f"calibration.{name}": leaf for name, leaf in found}
        if self.doubts is not None:
            arrays |= {f"doubts.{name}": leaf for name, leaf in pack(self.doubts).items()}
        if self.reference is not None:
            found = self.reference.to_arrays().items()
            arrays |= {f"monitoring.{name}": leaf for name, leaf in found}
        return arrays

    def lengths(self, history: History) -> tuple[Length, ...]:
        """Return what the manifest says of every length."""
        learnt = {bucket.length: bucket for bucket in self.parameters.buckets}
        return tuple(_length(M, history, learnt.get(M)) for M in LENGTHS)

    def coordinates(self) -> str:
        """Return the coordinates of every length that was learnt, the shortest first."""
        return ", ".join(bucket.coordinates for bucket in self.parameters.buckets)


def fit_profile(history: History, seed: int, layer_count: int, tick: Tick) -> Fitted:
    """Fit a profile to the groups of a history."""
    return Fitted(fit(history, seed=seed, layer_count=layer_count, tick=tick))


def calibrated_profile(fitted: Fitted, folds: Sequence[Fold]) -> Fitted:
    """Return the same profile with what held-out groups say of its errors."""

    def smoothed(parameters: ProfileParameters) -> Callable[[Block], Smoother]:
        return ProfileModel(parameters).smoother

    found = calibrate_profile(folds, smoothed)
    doubts = learn_doubts(folds, smoothed)
    return replace(fitted, calibration=found, doubts=doubts)


def _length(example_count: int, history: History, bucket: BucketParameters | None) -> Length:
    group_count = len(history.long_enough(example_count))
    if bucket is None:
        return Length(example_count=example_count, group_count=group_count)
    spread = np.sqrt(np.maximum(np.diag(bucket.prior_covariance), 0.0))  # (p,)
    return Length(
        example_count=example_count,
        group_count=group_count,
        noise=math.sqrt(bucket.noise_variance),
        prior_mean=tuple(bucket.prior_mean.tolist()),
        prior_deviation=tuple(spread.tolist()),
    )
