"""Business rules: may what a re-evaluation found be acted on? Numbers in, a decision out.

Pure, so that every branch can be tested and every decision repeated from the audit log: what is
known goes in as numbers, what the owner wants as `Rules`, and the first rule that matches decides
(docs/governance.md). Nothing here looks at a clock, a file or a model. A comparison with NaN is
false and stands where false means that nothing changes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from monitoring.levels import Z95
from monitoring.paired import Bounds
from monitoring.policy_sentences import sentences
from monitoring.rules import Rules as Rules
from monitoring.verdict import Reason, Verdict

NEVER: Final = float("inf")  # seconds since what has not happened
UNKNOWN: Final = float("nan")
# One-sided 5 % points of the largest of k looks at 1, 2, 4, … times as many prompts (group
# sequential, Pocock 1977, Biometrika 64:191; these by simulation of 4e6 Brownian paths).
LOOK_Z95: Final = (Z95, 1.875, 2.019, 2.123, 2.204, 2.271, 2.329, 2.376)


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


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known once a re-evaluation has its verdict; numbers and codes only."""

    verdict: Verdict
    reason: Reason = Reason.NONE
    candidate: str = ""  # recalibrated, repretrained, foundation or ridge; empty: there is none
    changes_kind: bool = False
    prompt_count: int = 0
    gate: float = UNKNOWN  # of the served version now, over normal
    calm_seconds: float = 0.0  # for which the gate has been below `error_leave`
    requested_by: str = "alert"  # alert, schedule or operator
    seconds_since_action: float = NEVER  # since what is in force was last changed
    actions_in_day: int = 0  # automatic ones, within 24 h
    worst_tenant_loss: float | None = None  # of tenants with 30 prompts or more; None: not known
    has_changed: bool = False  # what is in force is no longer what was judged


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the candidate did beside the served version."""

    prompt_count: int = 0
    seconds: float = 0.0
    gain: Bounds | None = None  # share of the served error saved, paired; None below 20 prompts
    looked_count: int = 0  # prompts at the last look, which did not promote
    refusal: str = ""  # why a replica does not load the candidate


@dataclass(frozen=True, slots=True)
class Watched:
    """What a version does after its promotion; both errors over one and the same normal."""

    prompt_count: int = 0
    seconds: float = 0.0
    error: Bounds | None = None  # live leave-one-out error
    shadow_error: Bounds | None = None  # the same as seen in the shadow; None: it had none
    gate: float = UNKNOWN  # on the version's own reference
    refusal: str = ""
    has_changed: bool = False  # somebody put another version in force


@dataclass(frozen=True, slots=True)
class Request:
    """An operator asks for a version to be put in force."""

    is_forced: bool = False
    has_changed: bool = False  # the etag, or what is in force, is not what he saw
    refusal: str = ""
    is_judged: bool = False  # an evaluation proposed this version
    gain: Bounds | None = None  # of its shadow
    seconds_since_action: float = NEVER


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, by which rule, and the rule in words."""

    action: Action
    rule: str
    sentence_en: str
    sentence_ja: str


def decide(situation: Situation, rules: Rules) -> Decision:
    """Return what follows from a verdict; at most SHADOW, so nothing is promoted unseen."""
    now = situation
    if now.has_changed:
        return _decision(Action.REJECT, "changed_meanwhile", rules)
    if now.verdict is Verdict.QUARANTINE:
        return _decision(Action.TELL, "bad_rows", rules)
    if now.verdict is Verdict.INSUFFICIENT or now.prompt_count < rules.minimum_prompts:
        return _decision(Action.WAIT, "too_few_prompts", rules, n=now.prompt_count)
    if now.verdict in _TOLD:
        return _decision(*_TOLD[now.verdict], rules)
    if not now.candidate:
        return _decision(Action.TELL, "no_candidate", rules)
    if _is_over(now, rules):
        return _decision(Action.NOTHING, "error_is_back", rules, x=now.gate)
    return _barred(now, rules) or _decision(Action.SHADOW, "shadow_first", rules)


def decide_shadow(situation: Situation, shadow: Shadow, rules: Rules) -> Decision:
    """Return what follows from a candidate's answers beside the served version's.

    WAIT, PROMOTE, PROPOSE or REJECT. Where `is_look(shadow, rules)`, its `prompt_count` is the next
    `looked_count`: who looks after every prompt finds luck sooner or later.
    """
    if situation.has_changed:
        return _decision(Action.REJECT, "changed_meanwhile", rules)
    if shadow.refusal:
        return _decision(Action.REJECT, "version_refused", rules)
    gain, count = shadow.gain, shadow.prompt_count
    is_ended = shadow.seconds >= rules.shadow_seconds_max or count >= _last_look(rules)
    if gain is None or count < rules.shadow_prompts:
        action, rule = _ENDED_EARLY if is_ended else _GATHERING
        return _decision(action, rule, rules, n=count)
    if gain.upper <= 0.0:
        return _decision(Action.REJECT, "surely_worse", rules, x=-gain.upper)
    lower = lower_bound_of_looks(gain, rules)
    if is_look(shadow, rules) and lower > rules.minimum_gain:
        return _approved(situation, lower, rules)
    if not is_ended:
        return _decision(*_GATHERING, rules, n=count)
    if lower > 0.0 and rules.propose_below_minimum_gain:
        return _decision(Action.PROPOSE, "gain_below_minimum", rules, x=lower)
    return _decision(Action.REJECT, "gain_not_shown", rules, x=lower)


def decide_watch(watched: Watched, rules: Rules) -> Decision:
    """Return what follows from the first prompts after a promotion.

    WAIT, ROLL_BACK, PROPOSE (a person rolls back) or NOTHING: the watch is over.
    """
    live, seen = watched.error, watched.shadow_error
    if watched.has_changed:
        return _decision(Action.NOTHING, "changed_meanwhile", rules)
    if watched.refusal:
        return _taken_back("version_refused", 0.0, rules)
    if watched.gate > rules.error_enter:
        return _taken_back("critical_on_new_reference", watched.gate, rules)
    if live and seen and watched.prompt_count >= min(rules.watch_prompts_min, rules.watch_prompts):
        limit = seen.upper * (1.0 + rules.rollback_margin)
        if live.lower > limit:
            return _taken_back("error_above_shadow", live.lower / limit, rules)
    if watched.prompt_count >= rules.watch_prompts:
        return _decision(Action.NOTHING, "watch_passed", rules, n=watched.prompt_count)
    if watched.seconds >= rules.watch_seconds_max:
        return _decision(Action.NOTHING, "watch_ended", rules, n=watched.prompt_count)
    return _decision(Action.WAIT, "watching", rules, n=watched.prompt_count)


def decide_request(request: Request, rules: Rules) -> Decision:
    """Return PROMOTE or REJECT for an operator; `is_forced` passes all but a conflict."""
    if request.has_changed:
        return _decision(Action.REJECT, "changed_meanwhile", rules)
    if request.is_forced:
        return _decision(Action.PROMOTE, "operator_forced", rules)
    if request.refusal:
        return _decision(Action.REJECT, "version_refused", rules)
    if not request.is_judged:
        return _decision(Action.REJECT, "no_evidence", rules)
    if request.gain and request.gain.upper <= 0.0:
        return _decision(Action.REJECT, "surely_worse", rules, x=-request.gain.upper)
    if _is_cooling(request.seconds_since_action, rules):
        return _decision(Action.REJECT, "cool_down", rules)
    return _decision(Action.PROMOTE, "operator_approved", rules)


def is_look(shadow: Shadow, rules: Rules) -> bool:
    """Return whether this number of prompts may decide a promotion: 1, 2, 4, … times the first."""
    due = max(rules.shadow_prompts, 2 * shadow.looked_count)
    is_last = shadow.seconds >= rules.shadow_seconds_max or shadow.prompt_count >= _last_look(rules)
    return shadow.prompt_count >= (rules.shadow_prompts if is_last else due)


def lower_bound_of_looks(gain: Bounds, rules: Rules) -> float:
    """Return a bound that all looks together keep with 95 %, by widening that of one.

    >>> round(lower_bound_of_looks(Bounds(0.2, 0.1, 0.3), Rules(shadow_looks=1)), 3)
    0.1
    """
    z = LOOK_Z95[min(rules.shadow_looks, len(LOOK_Z95)) - 1]
    return gain.mean - (gain.mean - gain.lower) * z / Z95


def _last_look(rules: Rules) -> int:
    return int(rules.shadow_prompts * 2 ** (rules.shadow_looks - 1))


def _is_over(now: Situation, rules: Rules) -> bool:
    """Return whether the alert's harm has gone by itself; an opportunity needs no harm."""
    is_calm = now.gate < rules.error_leave and now.calm_seconds >= rules.calm_seconds
    return is_calm and now.requested_by == "alert" and now.reason is not Reason.OPPORTUNITY


def _is_cooling(seconds: float, rules: Rules) -> bool:
    """Return whether the cool-down holds; it does after a time that cannot be (negative, NaN)."""
    return rules.cool_down_seconds > 0.0 and not seconds >= rules.cool_down_seconds


def _barred(now: Situation, rules: Rules) -> Decision | None:
    """Return the decision where the machine may not act by itself any more."""
    if now.actions_in_day >= rules.actions_per_day_max:
        return _decision(Action.PROPOSE, "too_many_actions", rules, n=now.actions_in_day)
    if _is_cooling(now.seconds_since_action, rules):
        return _decision(Action.PROPOSE, "cool_down", rules)
    return None


def _approved(now: Situation, lower: float, rules: Rules) -> Decision:
    """Return who puts a candidate in force whose gain is proven."""
    loss = now.worst_tenant_loss
    if loss is not None and not loss <= rules.tenant_loss_max:
        return _decision(Action.PROPOSE, "tenant_worse", rules, x=loss)
    if not _is_automatic(now, rules):
        return _decision(Action.PROPOSE, "operator_approves", rules, x=lower)
    promotion = _decision(Action.PROMOTE, "gain_proven", rules, x=lower)
    return _barred(now, rules) or promotion


def _is_automatic(now: Situation, rules: Rules) -> bool:
    """Return whether the owner lets such a candidate be promoted without a person."""
    who = {"recalibrated": rules.recalibrate, "repretrained": rules.repretrain}
    is_kept = not now.changes_kind or rules.change_kind == "auto"
    return who.get(now.candidate, rules.change_kind) == "auto" and is_kept


def _taken_back(rule: str, x: float, rules: Rules) -> Decision:
    action = Action.ROLL_BACK if rules.roll_back == "auto" else Action.PROPOSE
    return _decision(action, rule, rules, x=x)


def _decision(action: Action, rule: str, rules: Rules, n: int = 0, x: float = 0.0) -> Decision:
    return Decision(action, rule, *sentences(rule, rules, n, x))


_TOLD: Final = {
    Verdict.KEEP: (Action.NOTHING, "keep"),
    Verdict.WATCH: (Action.NOTHING, "keep_watch"),
    Verdict.TELL_BUSINESS: (Action.TELL, "tell_business"),
    Verdict.TELL_CALLER: (Action.TELL, "tell_caller"),
}
_GATHERING: Final = (Action.WAIT, "gathering_evidence")
_ENDED_EARLY: Final = (Action.PROPOSE, "shadow_too_short")
