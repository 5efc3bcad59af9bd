"""What the service would answer to held-out prompts, with its intervals, some at a time.

Many wide prompts do not fit memory at once, so a block holds a bounded count of numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.history import Prompts
from model.profile import ProfileModel
from model.prompt import Block, Examples
from model.support import Wanted

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVELS = (0.80, 0.95)
NUMBERS = 2_000_000  # of a block's examples and working matrices, 16 MB
MOST_WORK = 2e7  # answers times (d + 10)², what an answer costs: a few seconds on one core


@dataclass(frozen=True, slots=True)
class Asked:
    """Prompts of one length and what they were answered; NaN where they were refused."""

    prompts: Prompts
    answers: Array  # (P, Q)
    half_widths: Array  # (P, Q, L) at LEVELS; NaN where the answer has no interval
    modes: NDArray[np.uint8]  # (P,) `model.answer.Mode`, 0 where refused

    @property
    def example_count(self) -> int:
        """M."""
        return int(self.prompts.x.shape[1])

    @property
    def misses(self) -> Array:
        """Answer less truth (P, Q), the target's unit; NaN where there is no query or answer."""
        told = np.where(self.prompts.weight > 0.0, self.answers, np.nan)  # (P, Q)
        return told - self.prompts.targets

    @property
    def by_profile(self) -> Mask:
        """Which prompts (P,) the profile answered itself."""
        found: Mask = self.modes == Mode.PROFILE
        return found

    @property
    def typical_error(self) -> float:
        """RMSE of the answers; NaN where none was given."""
        missed = self.misses[np.isfinite(self.misses)]  # (n,)
        return float(np.sqrt((missed**2).mean())) if len(missed) else np.nan


def ask(model: ProfileModel, prompts: Prompts) -> Asked:
    """Return what the service would answer, by whichever model, with its intervals."""
    P, Q = prompts.targets.shape
    answers, halves = np.full((P, Q), np.nan), np.full((P, Q, len(LEVELS)), np.nan)
    modes = np.zeros(P, np.uint8)  # (P,)
    for part in parts(P, *prompts.x.shape[1:]):
        block = Block(Examples(prompts.x[part], prompts.y[part]), prompts.queries[part])
        found = model.support(block, Wanted(LEVELS))
        answers[part] = found.answer.predictions
        modes[part] = np.frombuffer(found.answer.modes, np.uint8)
        if found.intervals is not None:
            halves[part] = found.intervals.half_widths
    return Asked(prompts, answers, halves, modes)


def most_answers(feature_count: int) -> int:
    """Return how many prompts may be answered for one purpose: of wide ones fewer, at least one."""
    return max(1, int(MOST_WORK / (feature_count + 10) ** 2))


def parts(count: int, example_count: int, feature_count: int) -> Iterator[slice]:
    """Yield slices of `count` prompts, each of about NUMBERS numbers."""
    each = max(1, NUMBERS // ((example_count + feature_count) * (feature_count + 1)))
    for start in range(0, count, each):
        yield slice(start, min(start + each, count))
