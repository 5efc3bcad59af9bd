"""What the numbers of a re-evaluation conclude: one verdict, one reason, the step that decided.

The order of decisions is docs/reevaluation.md, "The order of decisions": the first that fits wins.
Everything is over normal (1: as in the reference); a bound is a one-sided 95 % bound; NaN is what is
not known and decides nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

UNKNOWN = float("nan")


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
class Limits:
    """Every threshold of the order of decisions."""

    prompts_min: int = 256
    risen: float = 1.25
    much_risen: float = 1.5
    gain_min: float = 0.05
    opportunity_gain_min: float = 0.20
    regret_min: float = 1.25


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of a window of prompts."""

    prompt_count: int
    h_mean: float
    h_lower: float
    loo_mean: float = UNKNOWN
    loo_lower: float = UNKNOWN


class Judged(NamedTuple):
    """The conclusion."""

    verdict: Verdict
    reason: Reason
    step: str


def judge(numbers: Numbers, limits: Limits) -> Judged:
    """Return what the numbers conclude."""
    raise NotImplementedError
