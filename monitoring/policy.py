"""Business rules: may what a re-evaluation found be acted on? Numbers in, a decision out.

Pure, so that every branch can be tested and every decision repeated from the audit log: what is
known goes in as numbers, what the owner wants as `Rules`, and the first rule that matches decides
(docs/governance.md). Nothing here looks at a clock, a file or a model.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from monitoring.levels import CRITICAL, LEAVE

Who = Literal["auto", "approve"]
NEVER: Final = float("inf")  # seconds since what has not happened


class Action(StrEnum):
    """What is to be done."""

    NOTHING = "NOTHING"
    TELL = "TELL"  # people are told, no version changes
    PROPOSE = "PROPOSE"  # the candidate is kept; a person may put it in force
    SHADOW = "SHADOW"  # the candidate answers beside the served version
    PROMOTE = "PROMOTE"
    WAIT = "WAIT"  # ask again later
    REJECT = "REJECT"  # the candidate, or a person's request, is turned down
    ROLL_BACK = "ROLL_BACK"


class Interval(NamedTuple):
    """A mean with its two-sided 90 % interval, so that each end is a one-sided 95 % bound."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What an owner wants; docs/governance.md says each in a sentence."""

    minimum_prompts: int = 256
    minimum_gain: float = 0.05  # share of the served error, surely saved
    propose_below_minimum_gain: bool = True
    tenant_prompts: int = 30
    tenant_loss_max: float = 0.05  # share by which one tenant's error may rise
    shadow_prompts: int = 200
    shadow_prompts_max: int = 1600
    shadow_seconds_max: float = 86_400.0
    watch_prompts: int = 1000
    watch_prompts_min: int = 100
    watch_seconds_max: float = 86_400.0
    rollback_margin: float = 0.0  # share above the shadow's upper bound
    error_enter: float = CRITICAL  # over normal
    error_leave: float = LEAVE
    calm_seconds: float = 1800.0
    cool_down_seconds: float = 21_600.0
    actions_per_day_max: int = 3
    recalibrate: Who = "auto"
    repretrain: Who = "approve"
    change_kind: Who = "approve"
    roll_back: Who = "auto"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known once a re-evaluation has its verdict; numbers and codes only."""

    verdict: str
    reason: str = "NONE"
    candidate: str = ""  # recalibrated, repretrained, foundation or ridge; empty: there is none
    changes_kind: bool = False
    prompt_count: int = 0
    gate: float = float("nan")  # of the served version now, over normal
    calm_seconds: float = 0.0  # for which the gate has been below `error_leave`
    requested_by: str = "alert"  # alert, schedule or operator
    seconds_since_action: float = NEVER
    actions_in_day: int = 0  # automatic ones, within 24 h
    worst_tenant_loss: float | None = None  # of tenants with `tenant_prompts`; None: not known
    has_changed: bool = False  # what is in force is no longer what was judged


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the candidate did beside the served version."""

    prompt_count: int = 0
    seconds: float = 0.0
    gain: Interval | None = None  # share of the served error saved, paired; None below 20 prompts
    looked_count: int = 0  # prompts at the look before, of which a promotion did not come
    refusal: str = ""  # why a replica does not load the candidate


@dataclass(frozen=True, slots=True)
class Watched:
    """What a version does after its promotion; both errors over one and the same normal."""

    prompt_count: int = 0
    seconds: float = 0.0
    error: Interval | None = None  # live leave-one-out error
    shadow_error: Interval | None = None  # the same as seen in the shadow
    gate: float = float("nan")  # on the version's own reference
    refusal: str = ""
    has_changed: bool = False  # somebody put another version in force


@dataclass(frozen=True, slots=True)
class Request:
    """An operator asks for a version to be put in force."""

    is_forced: bool = False
    has_changed: bool = False  # the etag, or what is in force, is not what he saw
    refusal: str = ""
    is_judged: bool = False  # an evaluation proposed this version
    gain: Interval | None = None
    seconds_since_action: float = NEVER


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, by which rule, and the rule in words."""

    action: Action
    rule: str
    sentence_en: str
    sentence_ja: str


def decide(situation: Situation, rules: Rules) -> Decision:
    """Return what follows from a verdict: never PROMOTE, at most SHADOW."""
    raise NotImplementedError


def decide_shadow(situation: Situation, shadow: Shadow, rules: Rules) -> Decision:
    """Return what follows from a candidate's answers beside the served version's.

    WAIT, PROMOTE, PROPOSE or REJECT. Store `shadow.prompt_count` as the next `looked_count` when
    `is_look(shadow, rules)`: who looks at every prompt finds luck.
    """
    raise NotImplementedError


def decide_watch(watched: Watched, rules: Rules) -> Decision:
    """Return what follows from the first prompts after a promotion.

    WAIT, ROLL_BACK, PROPOSE (a person rolls back) or NOTHING, when the version has proved itself.
    """
    raise NotImplementedError


def decide_request(request: Request, rules: Rules) -> Decision:
    """Return PROMOTE or REJECT for an operator; `is_forced` passes all but conflicts."""
    raise NotImplementedError


def is_look(shadow: Shadow, rules: Rules) -> bool:
    """Return whether a promotion may be decided at this number of prompts."""
    raise NotImplementedError
