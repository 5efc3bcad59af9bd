"""What the numbers of a re-evaluation conclude: one verdict, one reason, the step that decided.

docs/reevaluation.md, "The order of decisions": the first that fits wins. Everything is over normal
(1: as in the reference); a bound is a one-sided 95 % bound; NaN is what is not known and decides
nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from monitoring.limits import Limits
from monitoring.paired import Bounds
from monitoring.signature import UNKNOWN, Ratios, Signature, signature

__all__ = ["Limits"]  # beside what stands here


class Verdict(StrEnum):
    """What is to be done."""

    KEEP = "KEEP"
    WATCH = "WATCH"
    RECALIBRATE = "RECALIBRATE"
    RECALIBRATE_AND_REPRETRAIN = "RECALIBRATE_AND_REPRETRAIN"
    FALL_BACK_AND_REPRETRAIN = "FALL_BACK_AND_REPRETRAIN"
    TELL_BUSINESS = "TELL_BUSINESS"
    TELL_CALLER = "TELL_CALLER"
    QUARANTINE = "QUARANTINE"
    INSUFFICIENT = "INSUFFICIENT"


class Reason(StrEnum):
    """Why."""

    NONE = "NONE"
    COVARIATE = "COVARIATE"
    OPPORTUNITY = "OPPORTUNITY"
    NOISE = "NOISE"
    TARGET_SCALE = "TARGET_SCALE"
    QUERY_ONLY = "QUERY_ONLY"
    LITTLE_INFORMATION = "LITTLE_INFORMATION"
    HEAVY_TAILS = "HEAVY_TAILS"
    BAD_ROWS = "BAD_ROWS"
    FEW_PROMPTS = "FEW_PROMPTS"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of a window of prompts."""

    prompt_count: int
    ratios: Ratios
    """Lower bounds of h and leave-one-out error, and the other means over normal."""
    h_mean: float
    loo_mean: float = UNKNOWN
    gain: Bounds | None = None
    """Of the recalibrated model on kept prompts, paired; None where there are none."""
    expected_gain: float = UNKNOWN
    """The same as sums tell it."""
    regret: float = UNKNOWN
    """Excess error over the least that the recalibrated kind of model reaches, by sums."""
    has_far_queries: bool = False
    """`monitoring.attribution.kind` is query."""
    repaired_error: float = UNKNOWN
    """Leave-one-out error of the recalibrated model over normal."""


class Judged(NamedTuple):
    """The conclusion, and which step of the order of decisions it was."""

    verdict: Verdict
    reason: Reason
    step: str


def judge(numbers: Numbers, limits: Limits) -> Judged:
    """Return what the numbers conclude; the first step that fits.

    >>> judge(Numbers(300, Ratios(h=1.0, loo=2.3, ridge=4.0), 1.0, 2.5), Limits()).reason.value
    'NOISE'
    """
    if not numbers.prompt_count >= limits.prompts_min:
        return Judged(Verdict.INSUFFICIENT, Reason.FEW_PROMPTS, "1: too few prompts")
    cause = signature(numbers.ratios, limits)
    if cause is Signature.BAD_ROWS:
        return Judged(Verdict.QUARANTINE, Reason.BAD_ROWS, "1: bad rows of few sources")
    if not (numbers.ratios.h > limits.risen or numbers.ratios.loo > limits.risen):
        return _unharmed(numbers, cause, limits)
    return (
        _told(numbers, cause, limits)
        or _repaired(numbers, cause, limits)
        or _unrepaired(numbers, cause, limits)
    )


def _unharmed(numbers: Numbers, cause: Signature, limits: Limits) -> Judged:
    """Step 2: nothing hurts; still, a repair may buy much."""
    if _helps(numbers, limits) and _gain(numbers) > limits.opportunity_gain_min:
        return Judged(Verdict.RECALIBRATE, Reason.OPPORTUNITY, "2: a recalibration buys much")
    if cause is Signature.FEW_EXAMPLES:
        return Judged(Verdict.TELL_CALLER, Reason.LITTLE_INFORMATION, "2: prompts are short")
    return Judged(Verdict.KEEP, Reason.NONE, "2: nothing has risen")


def _told(numbers: Numbers, cause: Signature, limits: Limits) -> Judged | None:
    """Steps 3 and 4: harm that no other model would answer better, by people who can end it.

    Heavy tails lift every ratio and are read first. Where the recalibrated model takes away most
    of the rise, the relation changed, and neither the noise nor the scale of the labels.
    """
    if cause is Signature.HEAVY_TAILS:
        return None
    is_query = numbers.h_mean > limits.query_excess * numbers.loo_mean or numbers.has_far_queries
    if cause is Signature.QUERY_ONLY and is_query:
        return Judged(Verdict.TELL_CALLER, Reason.QUERY_ONLY, "3: only queries moved")
    if cause in _BUSINESS and not _repaired_share(numbers) > limits.explained_share:
        return Judged(Verdict.TELL_BUSINESS, *_BUSINESS[cause])
    return None


def _repaired(numbers: Numbers, cause: Signature, limits: Limits) -> Judged | None:
    """Step 6, before 5: a recalibrated model errs less, and perhaps as little as it should.

    What is left is held to normal and to the power of the labels: a signal that grew takes its
    error along, and one that shrank leaves the noise.
    """
    if not _helps(numbers, limits):
        return None
    power = numbers.ratios.label_power
    relative = numbers.repaired_error / power if power > 0.0 else UNKNOWN
    if min(relative, numbers.repaired_error) > limits.relative_error_max:
        step = "6: a recalibration helps, but not enough"
        return Judged(Verdict.RECALIBRATE_AND_REPRETRAIN, _reason(cause), step)
    return Judged(Verdict.RECALIBRATE, _reason(cause), "6: a recalibration helps")


def _unrepaired(numbers: Numbers, cause: Signature, limits: Limits) -> Judged:
    """Steps 5 and 7: nothing better is known."""
    ratios = numbers.ratios
    is_tail = cause is Signature.HEAVY_TAILS
    is_least = ratios.h > limits.risen and ratios.best_error < limits.avoidable_min
    if cause is Signature.FEW_EXAMPLES or (is_least and not is_tail):
        step = "5: no method could do better"
        return Judged(Verdict.TELL_CALLER, Reason.LITTLE_INFORMATION, step)
    if not (ratios.h > limits.watch_max or ratios.loo > limits.watch_max):
        return Judged(Verdict.WATCH, _reason(cause), "7: nothing helps, and the rise is small")
    step = "7: no model of its kind helps"
    return Judged(Verdict.FALL_BACK_AND_REPRETRAIN, _reason(cause), step)


def _helps(numbers: Numbers, limits: Limits) -> bool:
    """Return whether the recalibrated model surely saves a share of the error worth having.

    Without kept prompts the sums must say so twice: of the error, and of its avoidable part. The
    candidate is then proven beside the served version before anything changes. Sums of heavy tails
    are a few rows, and tell no gain where moments do not explain the harm.
    """
    if numbers.gain is not None:
        return numbers.gain.lower > limits.gain_min
    is_told = numbers.expected_gain > limits.gain_min and numbers.regret > limits.regret_min
    ratios = numbers.ratios
    return is_told and (not ratios.has_heavy_tails or ratios.explained > limits.risen)


def _gain(numbers: Numbers) -> float:
    """Return the gain as it is most likely."""
    return numbers.expected_gain if numbers.gain is None else numbers.gain.mean


def _repaired_share(numbers: Numbers) -> float:
    """Return the share of the rise of the error that the recalibrated model takes away."""
    risen = numbers.loo_mean - 1.0
    return _gain(numbers) * numbers.loo_mean / risen if risen > 0.0 else UNKNOWN


def _reason(cause: Signature) -> Reason:
    return Reason.HEAVY_TAILS if cause is Signature.HEAVY_TAILS else Reason.COVARIATE


_BUSINESS = {
    Signature.NOISE: (Reason.NOISE, "4: labels became noisier"),
    Signature.TARGET_SCALE: (Reason.TARGET_SCALE, "4: targets are on another scale"),
}
