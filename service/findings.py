"""What a re-evaluation found, as its report keeps it: numbers, candidates, verdict.

Errors are over normal: 1 is the mean of the reference. What is not known is None; names of
features stand here and in no metric or log.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.words import Words

Finite = Annotated[float, Field(allow_inf_nan=False)]
CandidateName = Literal["served", "recalibrated", "repretrained", "foundation", "ridge"]
Evidence = Literal["sums", "reservoir", "shadow"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Part):
    """Which prompts were looked at."""

    prompt_count: int
    row_count: int
    age_seconds: Finite
    """How far back the window may reach."""
    replicas: tuple[str, ...]
    missing_replicas: tuple[str, ...] = ()
    kept_prompt_count: int = 0
    """Prompts of the reservoir that could be looked at themselves."""


class LevelTold(_Part):
    """Mean error of a channel over normal."""

    mean: Finite
    lower: Finite
    """Lower 95 % bound."""
    prompt_count: int


class FeatureTold(_Part):
    """What one feature did, the caller's unit."""

    name: str
    unit: str = ""
    share: Finite | None
    """Of the harm, 0 to 1."""
    window_mean: Finite
    window_deviation: Finite
    reference_mean: Finite
    reference_deviation: Finite


class BoundsTold(_Part):
    """A mean with its two-sided 90 % interval, so that each end is a one-sided 95 % bound."""

    mean: Finite
    lower: Finite
    upper: Finite


class CandidateTold(_Part):
    """One way of answering these prompts, compared with the one in force."""

    name: CandidateName
    error: BoundsTold | None
    """Leave-one-out error over normal."""
    gain: BoundsTold | None
    """Share of the served error that it saves, paired prompt by prompt; None of `served`."""
    evidence: Evidence
    prompt_count: int


class Findings(_Part):
    """One evaluation of one version."""

    model: str
    model_version: str
    kind: Literal["paper", "foundation", "profile"]
    reference: str
    window: Window
    levels: dict[str, LevelTold]
    """By channel: h (expected error), loo (leave-one-out error)."""
    ratios: dict[str, Finite | None]
    """Means over normal: ridge, label_power, best, length_effect; clipped_share is a share."""
    signature: str
    shift_kind: str
    features: tuple[FeatureTold, ...]
    regret: Finite | None
    """Excess error over the least that any weights could reach; None where it cannot be told."""
    candidates: tuple[CandidateTold, ...]
    verdict: str
    reason: str
    step: str
    """Which step of the order of decisions matched."""
    sentence: Words
    """What it means, for a reader who is no engineer."""
    advice: Words
    """What to do about it."""
