"""Every branch of the decision, and that better numbers never make it worse."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.assess.cautions import HELD_OUT_MIN
from service.assess.decision import decide, error_ratio_max, useless
from service.assess.evidence import Evidence
from service.assess.findings import Bounds, Conditions, Coverage, MethodError, Offer, Stability
from tests.assess import findings_made as made

RANK = {"no-go": 0, "pilot": 1, "go": 2}
CODES = {
    "against": {
        *("leak", "nothing_measured", "too_few_groups", "refused", "not_better_than_mean"),
        *("ridge_better", "boosting_far_better", "intervals_lie"),
    },
    "caution": {
        *("few_groups", "repair", "no_profile", "small_gain", "history_unproven"),
        *("boosting_better", "boosting_not_compared", "coverage_short", "no_intervals"),
        *("unsteady", "weak_groups", "goes_stale", "silent_harm", "unwatched", "false_alarms"),
        "conditions_unknown",
    },
    "for": {
        *("better_than_mean", "better_than_ridge", "boosting_no_better", "intervals_hold"),
        *("steady", "harm_noticed", "tolerates", "enough_groups", "clean_data"),
    },
}


def decided(offer=None, stability=None, conditions=None):
    steps = offer or made.offer(), stability or made.stability(), conditions or made.conditions()
    return decide(*steps, made.cost(), "fares")


def codes(decision, speaks):
    return [one.code for one in decision.arguments if one.speaks == speaks]


def accuracies(**ratios):
    cells = tuple(made.accuracy(M, 0.4, **ratios) for M in (8, 16, 32, 64))
    return made.stability(accuracy=cells)


def with_ratio(method, bounds):
    """Return steps in which one method is compared with these bounds at every length."""

    def changed(cell):
        methods = (replace(m, ratio=bounds) if m.method == method else m for m in cell.methods)
        return replace(cell, methods=tuple(methods))

    return made.stability(accuracy=tuple(map(changed, made.stability().accuracy)))


def covered(level, value, half=0.01):
    found = Coverage(level, made.EXAMPLES, Bounds(value, value - half, value + half), 5.0)
    return made.stability(coverage=(found,))


def changed(*changes, **others):
    return made.conditions(changes=changes, **others)


def leak(**others):
    return made.offer(quality=(made.fault(code="leak", columns=("km", "fare"), **others),))


BRANCHES = {  # what is found, the side and the code that must be said, and the choice
    "leak": ((leak(detail={"correlation": 0.9999, "is_copy": 1}), None, None), "against"),
    "nothing_measured": ((None, made.stability(accuracy=(), coverage=()), None), "against"),
    "too_few_groups": ((made.offer(group_count=4, held_out_groups=1), None, None), "against"),
    "refused": ((None, made.stability(refused=0.03), None), "against"),
    "not_better_than_mean": ((None, accuracies(mean=0.98), None), "against"),
    "ridge_better": ((None, accuracies(ridge=1.1), None), "against"),
    "boosting_far_better": ((None, accuracies(boosting=1.4), None), "against"),
    "intervals_lie": ((None, covered(0.8, 0.55), None), "against"),
    "few_groups": ((made.offer(held_out_groups=5), None, None), "caution"),
    "repair": ((made.offer(quality=(made.fault(),)), None, None), "caution"),
    "no_profile": ((None, made.stability(answered_by_profile=0.0), None), "caution"),
    "small_gain": ((None, accuracies(mean=0.92), None), "caution"),
    "history_unproven": ((None, accuracies(ridge=0.99), None), "caution"),
    "boosting_better": ((None, accuracies(boosting=1.12), None), "caution"),
    "boosting_not_compared": ((None, made.stability(is_boosting_compared=False), None), "caution"),
    "coverage_short": ((None, covered(0.8, 0.7), None), "caution"),
    "no_intervals": ((None, made.stability(coverage=()), None), "caution"),
    "unsteady": (
        (None, made.stability(steadiness=(made.Steadiness("resampled", 32, 0.6, 1.1, 3),)), None),
        "caution",
    ),
    "weak_groups": ((None, made.stability(group_errors=(0.3, 0.4, 1.1)), None), "caution"),
    "goes_stale": ((None, None, changed(made.change("stale_groups", 0.4, 1.3))), "caution"),
    "silent_harm": (
        (None, None, changed(replace(made.change("label_noise", 2.0, 1.6), alerted=0.5))),
        "caution",
    ),
    "unwatched": ((None, None, made.conditions(unwatched="too few groups")), "caution"),
    "false_alarms": ((None, None, made.conditions(quiet_alerts=0.15)), "caution"),
    "conditions_unknown": ((None, None, changed()), "caution"),
}


def test_every_code_has_a_branch_here():
    assert set(BRANCHES) == CODES["against"] | CODES["caution"]


@pytest.mark.parametrize("code", BRANCHES)
def test_a_branch_is_said_and_decides(code):
    (offer, stability, conditions), speaks = BRANCHES[code]

    decision = decided(offer, stability, conditions)

    assert code in codes(decision, speaks)
    assert decision.choice == ("no-go" if speaks == "against" else "pilot")
    others = {one.code for one in decision.arguments if one.speaks == "against"} - {code}
    assert not others


def test_where_all_holds_it_is_a_go_and_says_why():
    decision = decided()

    assert decision.choice == "go"
    assert set(codes(decision, "for")) == CODES["for"]
    assert len(decision.arguments) == len(CODES["for"])


def test_arguments_stand_in_the_order_of_their_weight():
    offer, stability = made.offer(held_out_groups=2), accuracies(mean=0.99, boosting=1.1)

    decision = decided(offer, stability)

    sides = [one.speaks for one in decision.arguments]
    assert sides == sorted(sides, key=["against", "caution", "for"].index)
    assert decision.arguments[0].code == "not_better_than_mean"
    assert codes(decision, "caution")[0] == "few_groups"


@pytest.mark.parametrize(
    ("method", "bounds", "code"),
    [
        ("mean", Bounds(0.5, 0.2, 1.0), "not_better_than_mean"),  # not surely
        ("mean", Bounds(0.5, 0.2, math.nan), "not_better_than_mean"),
        ("mean", Bounds(0.5, 0.4, 0.96), "small_gain"),  # perhaps by less than a twentieth
        ("mean", Bounds(0.91, 0.9, 0.92), "small_gain"),  # surely, but by less than a tenth
        ("ridge-CV", Bounds(1.04, 1.01, 1.07), "ridge_better"),  # surely, and it is worth a word
        ("ridge-CV", Bounds(1.02, 1.01, 1.03), "history_unproven"),  # a hair
        ("ridge-CV", Bounds(1.2, 0.9, 1.5), "ridge_better"),  # by far, if not surely
        ("OLS", Bounds(1.2, 1.1, 1.3), "ridge_better"),
        ("boosting", Bounds(1.3, 0.95, 1.7), "boosting_better"),  # far, not surely
        ("boosting", Bounds(1.02, 1.01, 1.03), "boosting_no_better"),
        ("boosting", Bounds(1.1, 0.97, 1.3), "boosting_no_better"),
    ],
)
def test_a_comparison_is_read_with_its_bounds(method, bounds, code):
    decision = decided(stability=with_ratio(method, bounds))

    found = [one for one in decision.arguments if one.code == code]
    assert len(found) == 1
    assert found[0].detail["ratio"] == bounds.value


def test_boosting_that_is_no_better_with_few_examples_leaves_a_pilot():
    far = with_ratio("boosting", Bounds(1.5, 1.4, 1.6))
    even = with_ratio("boosting", Bounds(1.0, 0.9, 1.1))
    mixed = replace(far, accuracy=(even.accuracy[0], *far.accuracy[1:]))

    decision = decided(stability=mixed)

    assert decided(stability=far).choice == "no-go"
    assert decision.choice == "pilot"
    (found,) = (one for one in decision.arguments if one.code == "boosting_better")
    assert (found.detail["short_examples"], found.detail["short_ratio"]) == (8, 1.0)


def test_boosting_that_is_better_with_more_examples_only_leaves_a_pilot():
    better, even = Bounds(1.18, 1.06, 1.31), Bounds(1.1, 0.95, 1.25)
    cells = with_ratio("boosting", even).accuracy
    longest = with_ratio("boosting", better).accuracy[-1]  # 64 examples; decided at fewer
    found = made.stability(accuracy=(*cells[:-1], longest))

    decision = decided(stability=found)

    assert decided(stability=with_ratio("boosting", even)).choice == "go"
    assert decision.choice == "pilot" and "boosting_no_better" not in codes(decision, "for")
    (told,) = (one for one in decision.arguments if one.code == "boosting_better")
    assert (told.detail["examples"], told.detail["ratio"]) == (64, 1.18)


def test_what_is_said_against_is_not_said_again_as_a_caution():
    ridge = MethodError("ridge-CV", 0.3, Bounds(1.2, 1.1, 1.3))
    stability = with_ratio("ridge-CV", ridge.ratio)

    assert "history_unproven" not in codes(decided(stability=stability), "caution")
    assert "coverage_short" not in codes(decided(stability=covered(0.8, 0.5)), "caution")


def test_good_figures_of_a_history_that_leaks_are_not_praised():
    decision = decided(leak(detail={"correlation": 0.9999, "is_copy": 1}))

    assert decision.arguments[0].detail == {"column": "km", "correlation": 0.9999, "count": 1}
    assert not codes(decision, "for")


def test_it_is_decided_at_the_knee_or_the_next_number_that_was_judged():
    cells = made.stability().accuracy
    for knee, wanted in ((4, 8), (8, 8), (12, 16), (24, 32), (64, 64), (200, 64)):
        evidence = Evidence(made.offer(knee=knee), made.stability(), made.conditions())
        assert evidence.examples == wanted
    assert Evidence(made.offer(), made.stability(accuracy=cells[:2]), None).examples == 16


def test_harm_that_is_refused_in_plain_sight_needs_no_alert():
    gone = replace(made.change("missing", 1.0, 1.6), alert="", alerted=0.0, refused=1.0)

    assert decided(conditions=changed(gone)).choice == "go"
    told = made.change("label_noise", 2.0, 1.6)
    (found,) = (a for a in decided(conditions=changed(gone, told)).arguments if "harm" in a.code)
    assert found.detail == {"count": 1, "alerted": 1.0, "prompts": 140}


def test_nothing_is_said_to_be_better_that_is_no_better_than_the_mean():
    noise = decided(stability=accuracies(mean=1.4, ridge=1.4, boosting=1.4))
    both = decided(stability=accuracies(mean=1.1, ridge=1.2, boosting=1.4))

    assert codes(noise, "against") == ["not_better_than_mean"]
    assert codes(both, "against") == [
        *("not_better_than_mean", "ridge_better", "boosting_far_better"),
    ]


def test_gaps_that_are_filled_are_told_in_every_reply():
    filled = replace(made.change("missing", 1.0, 1.6), alert="", alerted=0.0)

    assert decided(conditions=changed(filled)).choice == "go"
    dropped = replace(filled, code="missing_category")
    assert codes(decided(conditions=changed(dropped)), "caution") == ["silent_harm"]


def test_an_interval_may_miss_by_chance():
    by_chance = covered(0.95, 0.92, half=0.04)
    surely = covered(0.95, 0.92, half=0.02)

    assert decided(stability=by_chance).choice == "go"
    assert decided(stability=surely).choice == "pilot"


def test_limits_are_those_that_were_shown():
    limits = decided().limits

    assert limits.error == 4.1
    assert limits.coverage == 0.77  # the lower bound of what was counted
    assert limits.example_count_min == 16  # 8 are not tolerated
    assert limits.ranges == (("km", 0.4, 61.0), ("hour", 0.0, 23.0))


@pytest.mark.parametrize(
    ("mean", "limit"), [(0.34, 1.25), (0.9, 1.23), (0.95, 1.1), (1.0, 1.05), (math.inf, 1.05)]
)
def test_a_small_gain_is_lost_with_a_small_rise_of_the_squared_error(mean, limit):
    evidence = Evidence(made.offer(), with_ratio("mean", Bounds(mean, mean, mean)), None)

    assert error_ratio_max(evidence) == limit
    naive = min(2.0, 1.0 / mean**2)
    assert useless(evidence) == pytest.approx(naive)


def test_nothing_measured_declares_nothing():
    limits = decided(stability=made.stability(accuracy=(), coverage=())).limits

    assert math.isnan(limits.error)
    assert math.isnan(limits.coverage)
    assert limits.example_count_min == 0


def test_what_to_watch_follows_from_what_was_found():
    silent = replace(made.change("label_noise", 2.0, 1.6), alerted=0.5)
    tried = changed(silent, made.change("stale_groups", 0.4, 1.4), unwatched="")

    assert decided().watch == (
        *("alerts", "coverage", "examples", "ranges", "units", "missing", "worst_groups"),
    )
    assert {"silent", "stale"} <= set(decided(conditions=tried).watch)
    unwatched = decided(conditions=changed(unwatched="few groups")).watch
    assert "first_prompts" in unwatched
    assert "alerts" not in unwatched
    assert "boosting" in decided(stability=accuracies(boosting=1.12)).watch


ratios = st.one_of(st.floats(0.3, 0.9), st.floats(0.3, 1.6))
shares = st.floats(0.0, 1.0)


@st.composite
def bounds(draw, middle=ratios):
    value = draw(middle)
    return Bounds(value, value * draw(st.floats(0.7, 1.0)), value * draw(st.floats(1.0, 1.4)))


@st.composite
def found(draw):
    """Draw three steps' findings."""
    methods = ("ridge-CV", "OLS", "boosting", "mean")
    cells = [
        replace(
            made.accuracy(M, 0.4),
            methods=(
                MethodError("profile", 0.4, Bounds(1, 1, 1)),
                *(MethodError(name, 0.4, draw(bounds())) for name in methods),
            ),
        )
        for M in (16, 32)
    ]
    stability = made.stability(
        accuracy=tuple(cells),
        coverage=tuple(
            Coverage(level, 32, draw(bounds(st.floats(0.5, 0.9))), 5.0) for level in (0.8, 0.95)
        ),
        steadiness=tuple(
            made.Steadiness(code, 32, moved, 2 * moved, 3 * moved)
            for code in ("reordered", "resampled")
            if (moved := draw(st.sampled_from((0.0, 0.3, 0.7)))) is not None
        ),
        group_errors=tuple(draw(st.lists(st.floats(0.2, 1.4), min_size=3, max_size=12))),
        answered_by_profile=draw(shares),
    )
    changes = tuple(
        replace(made.change(code, 1.0, draw(ratios)), alerted=draw(shares))
        for code in ("label_noise", "missing", "stale_groups")
    )
    conditions = changed(*changes, quiet_alerts=draw(shares))
    held_out = draw(st.integers(1, 10))
    faults = (made.fault(),) if draw(st.booleans()) else ()
    offer = made.offer(held_out_groups=held_out, group_count=3 + 2 * held_out, quality=faults)
    return offer, stability, conditions


def scaled(bound, factor):
    return Bounds(*(factor * value for value in (bound.value, bound.low, bound.high)))


def better_change(change, gain):
    """Return a change that harms less, and is heard of sooner."""
    ratio = scaled(change.ratio, 1 - gain)
    alerted = change.alerted + gain * (1 - change.alerted)
    is_tolerated = change.is_tolerated or ratio.value < 1.25
    return replace(change, ratio=ratio, alerted=alerted, is_tolerated=is_tolerated)


def better_stability(steps: Stability, gain: float) -> Stability:
    def cell(one):
        methods = (
            replace(m, ratio=scaled(m.ratio, 1 - gain) if m.method != "profile" else m.ratio)
            for m in one.methods
        )
        return replace(one, methods=tuple(methods))

    def coverage(one):
        c = one.covered
        risen = Bounds(*(v + gain * (1 - v) if v < 1 else v for v in (c.value, c.low, c.high)))
        return replace(one, covered=risen)

    def steady(one):
        moved = (one.moved, one.moved_mostly, one.moved_most)
        less = dict(
            zip(
                ("moved", "moved_mostly", "moved_most"),
                (m * (1 - gain) for m in moved),
                strict=True,
            )
        )
        return replace(one, **less)

    return replace(
        steps,
        accuracy=tuple(map(cell, steps.accuracy)),
        coverage=tuple(map(coverage, steps.coverage)),
        steadiness=tuple(map(steady, steps.steadiness)),
        group_errors=tuple(error * (1 - gain) for error in steps.group_errors),
        answered_by_profile=min(1.0, steps.answered_by_profile + gain),
    )


def better_offer(offer: Offer, groups: int) -> Offer:
    more = {"held_out_groups": offer.held_out_groups + groups}
    return replace(offer, group_count=offer.group_count + groups, quality=(), **more)


def better_conditions(conditions: Conditions, gain: float) -> Conditions:
    changes = tuple(better_change(change, gain) for change in conditions.changes)
    return replace(conditions, changes=changes, quiet_alerts=conditions.quiet_alerts * (1 - gain))


@pytest.mark.slow
@given(found(), st.floats(0.0, 0.9), st.integers(0, 8), st.sampled_from(range(4)))
@settings(max_examples=300, deadline=None)
def test_better_numbers_never_make_the_choice_worse(steps, gain, groups, which):
    offer, stability, conditions = steps
    better = [
        (better_offer(offer, groups), stability, conditions),
        (offer, better_stability(stability, gain), conditions),
        (offer, stability, better_conditions(conditions, gain)),
        (
            better_offer(offer, groups),
            better_stability(stability, gain),
            better_conditions(conditions, gain),
        ),
    ]

    before, after = decided(*steps), decided(*better[which])

    assert RANK[after.choice] >= RANK[before.choice]
    for side in ("against", "caution"):  # nor is anything new said against it
        told = {"small_gain", "history_unproven", "boosting_better", "coverage_short"}
        if "not_better_than_mean" in codes(before, "against"):  # then nobody else is praised
            told |= {"ridge_better", "boosting_far_better"}
        assert set(codes(after, side)) - set(codes(before, side)) <= told


@given(found())
@settings(max_examples=50, deadline=None)
def test_the_same_numbers_always_give_the_same_decision(steps):
    offer, stability, conditions = deepcopy(steps)
    turned = replace(
        stability, accuracy=stability.accuracy[::-1], coverage=stability.coverage[::-1]
    )

    assert decided(*steps) == decided(offer, stability, conditions)
    assert decided(*steps) == decided(offer, turned, conditions)


@pytest.mark.slow
@given(found())
@settings(max_examples=100, deadline=None)
def test_codes_are_those_declared_each_on_its_side(steps):
    decision = decided(*steps)

    for one in decision.arguments:
        assert one.code in CODES[one.speaks]
    sides = {one.speaks for one in decision.arguments}
    naive = "no-go" if "against" in sides else "pilot" if "caution" in sides else "go"
    assert decision.choice == naive


def test_held_out_groups_are_so_many_that_chance_does_not_agree():
    assert 2 * 0.5**HELD_OUT_MIN < 0.05 < 2 * 0.5 ** (HELD_OUT_MIN - 1)
