"""Business rules: every branch by a table, what must never be by properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.paired import Bounds
from monitoring.policy import (
    LOOK_Z95,
    NEVER,
    Action,
    Request,
    Shadow,
    Situation,
    Watched,
    decide,
    decide_request,
    decide_shadow,
    decide_watch,
    is_look,
    lower_bound_of_looks,
)
from monitoring.policy_sentences import SENTENCES
from monitoring.rules import Rules
from monitoring.verdict import Reason, Verdict

RULES = Rules()
HOURS = 3600.0
GOOD = Bounds(0.30, 0.25, 0.35)
A = Action
V = Verdict


def situation(**changes):
    known = {"candidate": "recalibrated", "prompt_count": 400, "gate": 3.0, "reason": "COVARIATE"}
    found = {"verdict": V.RECALIBRATE, **known, **changes}
    return Situation(**found | {"reason": Reason(found["reason"])})


def shadow(gain=GOOD, prompt_count=200, **changes):
    return Shadow(prompt_count=prompt_count, gain=gain, **changes)


VERDICTS = [
    ({"has_changed": True}, A.REJECT, "changed_meanwhile"),
    ({"verdict": V.QUARANTINE, "prompt_count": 30}, A.TELL, "bad_rows"),
    ({"verdict": V.INSUFFICIENT}, A.WAIT, "too_few_prompts"),
    ({"prompt_count": 255}, A.WAIT, "too_few_prompts"),
    ({"prompt_count": 256}, A.SHADOW, "shadow_first"),
    ({"verdict": V.KEEP, "prompt_count": 10}, A.WAIT, "too_few_prompts"),
    ({"verdict": V.KEEP}, A.NOTHING, "keep"),
    ({"verdict": V.WATCH}, A.NOTHING, "keep_watch"),
    ({"verdict": V.TELL_BUSINESS}, A.TELL, "tell_business"),
    ({"verdict": V.TELL_CALLER}, A.TELL, "tell_caller"),
    ({"candidate": ""}, A.TELL, "no_candidate"),
    ({"gate": 1.2, "calm_seconds": 1800.0}, A.NOTHING, "error_is_back"),
    ({"gate": 1.2, "calm_seconds": 1799.0}, A.SHADOW, "shadow_first"),
    ({"gate": 1.25, "calm_seconds": 9e9}, A.SHADOW, "shadow_first"),
    ({"gate": float("nan"), "calm_seconds": 9e9}, A.SHADOW, "shadow_first"),
    ({"gate": 1.0, "calm_seconds": 9e9, "requested_by": "schedule"}, A.SHADOW, "shadow_first"),
    ({"gate": 1.0, "calm_seconds": 9e9, "reason": "OPPORTUNITY"}, A.SHADOW, "shadow_first"),
    ({"actions_in_day": 3}, A.PROPOSE, "too_many_actions"),
    ({"actions_in_day": 2}, A.SHADOW, "shadow_first"),
    ({"seconds_since_action": 6 * HOURS - 1}, A.PROPOSE, "cool_down"),
    ({"seconds_since_action": 6 * HOURS}, A.SHADOW, "shadow_first"),
    ({"seconds_since_action": -5.0}, A.PROPOSE, "cool_down"),
    ({"seconds_since_action": float("nan")}, A.PROPOSE, "cool_down"),
    ({"verdict": V.RECALIBRATE_AND_REPRETRAIN}, A.SHADOW, "shadow_first"),
    (
        {"verdict": V.FALL_BACK_AND_REPRETRAIN, "candidate": "foundation", "changes_kind": True},
        A.SHADOW,
        "shadow_first",
    ),
]


@pytest.mark.parametrize(("changes", "action", "rule"), VERDICTS)
def test_a_verdict_leads_to(changes, action, rule):
    decision = decide(situation(**changes), RULES)

    assert (decision.action, decision.rule) == (action, rule)


SHADOWS = [
    (shadow(), {"has_changed": True}, A.REJECT, "changed_meanwhile"),
    (shadow(refusal="checksum"), {}, A.REJECT, "version_refused"),
    (shadow(None, 0), {}, A.WAIT, "gathering_evidence"),
    (shadow(GOOD, 199), {}, A.WAIT, "gathering_evidence"),
    (shadow(GOOD, 199, seconds=24 * HOURS), {}, A.PROPOSE, "shadow_too_short"),
    (shadow(None, 0, seconds=24 * HOURS), {}, A.PROPOSE, "shadow_too_short"),
    (shadow(Bounds(-0.1, -0.2, 0.0)), {}, A.REJECT, "surely_worse"),
    (shadow(), {}, A.PROMOTE, "gain_proven"),
    (shadow(GOOD, 399, looked_count=200), {}, A.WAIT, "gathering_evidence"),
    (shadow(GOOD, 400, looked_count=200), {}, A.PROMOTE, "gain_proven"),
    (shadow(GOOD, 300, looked_count=200, seconds=24 * HOURS), {}, A.PROMOTE, "gain_proven"),
    (shadow(Bounds(0.06, 0.051, 0.07)), {}, A.WAIT, "gathering_evidence"),  # one look's bound only
    (shadow(Bounds(0.06, 0.01, 0.1), 1599), {}, A.WAIT, "gathering_evidence"),
    (shadow(Bounds(0.06, 0.03, 0.1), 1600), {}, A.PROPOSE, "gain_below_minimum"),
    (shadow(Bounds(0.06, 0.001, 0.1), 1600), {}, A.REJECT, "gain_not_shown"),
    (shadow(Bounds(0.06, 0.03, 0.1), seconds=24 * HOURS), {}, A.PROPOSE, "gain_below_minimum"),
    (shadow(Bounds(*[float("nan")] * 3), 1600), {}, A.REJECT, "gain_not_shown"),
    (shadow(), {"worst_tenant_loss": 0.051}, A.PROPOSE, "tenant_worse"),
    (shadow(), {"worst_tenant_loss": float("nan")}, A.PROPOSE, "tenant_worse"),
    (shadow(), {"worst_tenant_loss": 0.05}, A.PROMOTE, "gain_proven"),
    (shadow(), {"candidate": "repretrained"}, A.PROPOSE, "operator_approves"),
    (shadow(), {"candidate": "foundation"}, A.PROPOSE, "operator_approves"),
    (shadow(), {"changes_kind": True}, A.PROPOSE, "operator_approves"),
    (shadow(), {"actions_in_day": 3}, A.PROPOSE, "too_many_actions"),
    (shadow(), {"seconds_since_action": 60.0}, A.PROPOSE, "cool_down"),
]


@pytest.mark.parametrize(("seen", "changes", "action", "rule"), SHADOWS)
def test_a_shadow_leads_to(seen, changes, action, rule):
    decision = decide_shadow(situation(**changes), seen, RULES)

    assert (decision.action, decision.rule) == (action, rule)


FINE, BAD = Bounds(1.0, 0.9, 1.1), Bounds(1.3, 1.2, 1.4)
WATCHES = [
    (Watched(has_changed=True, refusal="checksum"), A.NOTHING, "changed_meanwhile"),
    (Watched(refusal="checksum"), A.ROLL_BACK, "version_refused"),
    (Watched(gate=2.01), A.ROLL_BACK, "critical_on_new_reference"),
    (Watched(gate=2.0), A.WAIT, "watching"),
    (Watched(99, 0.0, BAD, FINE), A.WAIT, "watching"),
    (Watched(100, 0.0, BAD, FINE), A.ROLL_BACK, "error_above_shadow"),
    (Watched(1000, 0.0, BAD, FINE), A.ROLL_BACK, "error_above_shadow"),
    (Watched(100, 0.0, Bounds(1.2, 1.15, 1.3), FINE), A.WAIT, "watching"),  # within the margin
    (Watched(100, 0.0, BAD, None), A.WAIT, "watching"),
    (Watched(100, 0.0, None, FINE), A.WAIT, "watching"),
    (Watched(1000, 0.0, FINE, FINE), A.NOTHING, "watch_passed"),
    (Watched(999, 24 * HOURS, FINE, FINE), A.NOTHING, "watch_ended"),
    (Watched(0, 24 * HOURS), A.NOTHING, "watch_ended"),
]


@pytest.mark.parametrize(("watched", "action", "rule"), WATCHES)
def test_a_watch_leads_to(watched, action, rule):
    decision = decide_watch(watched, RULES)

    assert (decision.action, decision.rule) == (action, rule)


def test_where_a_person_rolls_back_it_is_proposed():
    decision = decide_watch(Watched(gate=9.0), replace(RULES, roll_back="approve"))

    assert (decision.action, decision.rule) == (A.PROPOSE, "critical_on_new_reference")


REQUESTS = [
    (Request(is_forced=True, has_changed=True), A.REJECT, "changed_meanwhile"),
    (Request(is_forced=True, refusal="checksum"), A.PROMOTE, "operator_forced"),
    (Request(is_judged=True, refusal="checksum"), A.REJECT, "version_refused"),
    (Request(), A.REJECT, "no_evidence"),
    (Request(is_judged=True, gain=Bounds(-0.2, -0.3, -0.1)), A.REJECT, "surely_worse"),
    (Request(is_judged=True, seconds_since_action=1.0), A.REJECT, "cool_down"),
    (Request(is_judged=True, gain=GOOD), A.PROMOTE, "operator_approved"),
    (Request(is_judged=True), A.PROMOTE, "operator_approved"),
]


@pytest.mark.parametrize(("request_", "action", "rule"), REQUESTS)
def test_a_request_leads_to(request_, action, rule):
    decision = decide_request(request_, RULES)

    assert (decision.action, decision.rule) == (action, rule)


def test_every_rule_decides_somewhere_and_has_two_sentences():
    tables = [(row[-2], row[-1]) for row in (*VERDICTS, *SHADOWS, *WATCHES, *REQUESTS)]

    assert {rule for _, rule in tables} == set(SENTENCES)
    assert {action for action, _ in tables} == set(Action)


def test_sentences_carry_the_numbers_that_decided():
    told = decide(situation(prompt_count=12), RULES)
    cooling = decide(situation(seconds_since_action=1.0), replace(RULES, cool_down_seconds=5400.0))

    assert told.sentence_en == "12 prompts are too few to decide on; the rules ask for 256."
    assert "12" in told.sentence_ja and "256" in told.sentence_ja
    assert "1.5 h" in cooling.sentence_en and "1.5 時間" in cooling.sentence_ja


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
SITUATIONS = st.builds(
    Situation,
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(Reason),
    candidate=st.sampled_from(["", "recalibrated", "repretrained", "foundation", "ridge"]),
    changes_kind=st.booleans(),
    prompt_count=st.integers(0, 5000),
    gate=NUMBERS,
    calm_seconds=NUMBERS,
    requested_by=st.sampled_from(["alert", "schedule", "operator"]),
    seconds_since_action=NUMBERS | st.just(NEVER),
    actions_in_day=st.integers(0, 6),
    worst_tenant_loss=st.none() | NUMBERS,
    has_changed=st.booleans(),
)
SHADOWS_SEEN = st.builds(
    Shadow,
    prompt_count=st.integers(0, 5000),
    seconds=NUMBERS,
    gain=st.none() | st.builds(Bounds, NUMBERS, NUMBERS, NUMBERS) | st.just(GOOD),
    looked_count=st.integers(0, 5000),
    refusal=st.sampled_from(["", "checksum"]),
)
AUTO = Rules(repretrain="auto", change_kind="auto")
CALM = settings(deadline=None)  # of a machine that does other work
ACTS = {A.SHADOW, A.PROMOTE}


def decisions(known, seen, rules):
    return [decide(known, rules), decide_shadow(known, seen, rules)]


@CALM
@given(SITUATIONS, SHADOWS_SEEN)
def test_nothing_is_promoted_without_a_proven_gain(known, seen):
    decision = decide_shadow(known, seen, AUTO)

    if decision.action is A.PROMOTE:
        assert seen.gain.lower > AUTO.minimum_gain
        assert seen.prompt_count >= AUTO.shadow_prompts
        assert not seen.refusal and not known.has_changed
    assert decide(known, AUTO).action is not A.PROMOTE


@CALM
@given(SITUATIONS, SHADOWS_SEEN, st.floats(max_value=6 * HOURS, exclude_max=True))
def test_nothing_is_done_during_the_cool_down(known, seen, seconds):
    cooling = replace(known, seconds_since_action=seconds)

    assert not {one.action for one in decisions(cooling, seen, AUTO)} & ACTS


@CALM
@given(SITUATIONS, SHADOWS_SEEN, st.integers(3, 100))
def test_beyond_the_actions_of_a_day_a_person_decides(known, seen, count):
    tired = replace(known, actions_in_day=count)

    assert not {one.action for one in decisions(tired, seen, AUTO)} & ACTS


@CALM
@given(SITUATIONS, SHADOWS_SEEN)
def test_who_must_approve_is_never_passed_over(known, seen):
    if decide_shadow(known, seen, RULES).action is A.PROMOTE:
        assert known.candidate == "recalibrated" and not known.changes_kind


@CALM
@given(st.builds(Request, has_changed=st.just(False), refusal=st.sampled_from(["", "x"])))
def test_force_passes_all_but_a_conflict(request_):
    forced = replace(request_, is_forced=True)

    assert decide_request(forced, RULES).action is A.PROMOTE
    assert decide_request(replace(forced, has_changed=True), RULES).action is A.REJECT


@CALM
@given(st.integers(1, 8), st.integers(20, 1000), st.integers(20, 200_000))
def test_there_are_no_more_looks_than_the_rules_allow(looks, first, step):
    rules = Rules(shadow_prompts=first, shadow_looks=looks)
    looked, taken = 0, 0
    for count in range(first, first * 2**looks + step, max(step % (4 * first), 1)):
        seen = Shadow(prompt_count=count, gain=Bounds(0.02, 0.01, 0.03), looked_count=looked)
        if is_look(seen, rules):
            looked, taken = count, taken + 1
        if decide_shadow(situation(), seen, rules).action is not A.WAIT:
            break

    assert 1 <= taken <= looks


@pytest.mark.slow  # four thousand trials
def test_all_looks_together_promote_too_little_a_gain_in_one_of_twenty():
    rng = np.random.default_rng(5)
    trials, most, spread = 4000, 1600, 0.3
    normal = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], (trials, most))
    error = np.exp(spread * normal) * [1.0, 1.0 - RULES.minimum_gain]  # (trials, most, 2)
    found = {looks: np.zeros(trials, bool) for looks in ("ours", "each at 95 %", "all the time")}
    looks_at = {200, 400, 800, 1600}
    for count in range(200, most + 1, 20):
        gains = gain_of(error[:, :count])
        lower = np.array([one.lower for one in gains]) > RULES.minimum_gain
        ours = np.array([lower_bound_of_looks(one, RULES) for one in gains]) > RULES.minimum_gain
        found["all the time"] |= lower
        if count in looks_at:
            found["each at 95 %"] |= lower
            found["ours"] |= ours
    rates = {name: float(one.mean()) for name, one in found.items()}

    assert rates["ours"] <= 0.06
    assert rates["each at 95 %"] > 0.10 and rates["all the time"] > 0.17
    assert LOOK_Z95[0] == pytest.approx(1.645)


@pytest.mark.slow  # a thousand watches
@pytest.mark.parametrize(("harm", "least", "most"), [(1.0, 0.0, 0.02), (1.5, 0.98, 1.0)])
def test_a_watch_takes_back_what_hurts_and_seldom_what_does_not(harm, least, most):
    rng = np.random.default_rng(6)
    trials, spread = 1000, np.sqrt(np.log(2.0))  # of the error of prompts: as large as its mean
    draw = np.exp(spread * rng.standard_normal((trials, 1200)) - spread**2 / 2)
    seen, live = bounds_of(draw[:, :200]), harm * draw[:, 200:]
    is_taken = np.zeros(trials, bool)
    for count in range(20, 1001, 20):
        for trial in np.flatnonzero(~is_taken):
            error = bounds_of(live[trial : trial + 1, :count])[0]
            decision = decide_watch(Watched(count, 0.0, error, seen[trial]), RULES)
            is_taken[trial] = decision.action is A.ROLL_BACK

    assert least <= is_taken.mean() <= most


def bounds_of(values):
    """Return the mean of every row (trials, n) with its 90 % interval."""
    mean = values.mean(1)
    half = 1.645 * values.std(1) / np.sqrt(values.shape[1])
    return [Bounds(m, m - h, m + h) for m, h in zip(mean, half, strict=True)]


def gain_of(error):
    """Return the bounds of monitoring/paired.py for every trial (trials, n, 2)."""
    served, candidate = error[..., 0], error[..., 1]
    mean = served.mean(1)
    ratio = candidate.mean(1) / mean
    deviation = (candidate - ratio[:, None] * served).std(1) / np.sqrt(served.shape[1]) / mean
    half = 1.645 * deviation
    return [Bounds(1 - r, 1 - r - h, 1 - r + h) for r, h in zip(ratio, half, strict=True)]
