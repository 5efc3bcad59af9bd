"""The order of decisions, step by step, with numbers as they were measured."""

from dataclasses import fields, replace

import pytest

from monitoring.limits import Limits
from monitoring.paired import Bounds
from monitoring.signature import UNKNOWN, Ratios
from monitoring.verdict import Numbers, Reason, Verdict, judge

LIMITS = Limits()
NO_GAIN, GAIN = Bounds(0.0, -0.02, 0.02), Bounds(0.60, 0.55, 0.65)
FINE = Ratios(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, None, False, 1.0, 1.0, 0.01, 1.0)


def numbers(h=1.0, loo=1.0, gain=NO_GAIN, n=300, repaired=1.0, **others):
    """Return what is known of a window whose means are its bounds."""
    ratios = FINE._replace(h=h, loo=loo, **others)
    return Numbers(n, ratios, h, loo, gain, repaired_error=repaired)


def by_sums(h, loo, gain, regret, **others):
    found = numbers(h, loo, None, **others)
    return replace(found, expected_gain=gain, regret=regret)


ROWS = {
    "few": (numbers(n=255, h=9.0), "INSUFFICIENT FEW_PROMPTS 1"),
    "quiet": (numbers(), "KEEP NONE 2"),
    "a repair would buy much": (numbers(gain=Bounds(0.3, 0.2, 0.4)), "RECALIBRATE OPPORTUNITY 2"),
    "a repair would buy some": (numbers(gain=Bounds(0.15, 0.1, 0.2)), "KEEP NONE 2"),
    "a repair may be luck": (numbers(gain=Bounds(0.3, 0.04, 0.6)), "KEEP NONE 2"),
    "fewer examples, no harm": (numbers(length_effect=1.4), "TELL_CALLER LITTLE_INFORMATION 2"),
    "fewer examples": (
        numbers(1.4, 1.5, length_effect=1.4, best_error=0.9),
        "TELL_CALLER LITTLE_INFORMATION 5",
    ),
    "fewer examples of one length": (
        numbers(1.34, 1.33, best_error=1.27, has_short_prompts=True),
        "TELL_CALLER LITTLE_INFORMATION 5",
    ),
    "queries": (numbers(2.5, 0.95), "TELL_CALLER QUERY_ONLY 3"),
    "queries, by the moments": (
        replace(numbers(1.4, 1.0), has_far_queries=True),
        "TELL_CALLER QUERY_ONLY 3",
    ),
    "noise": (numbers(1.0, 2.5, ridge=4.0, label_power=1.3), "TELL_BUSINESS NOISE 4"),
    "noise, many features": (numbers(0.96, 1.81, ridge=3.9), "TELL_BUSINESS NOISE 4"),
    "targets": (numbers(1.0, 2.5, ridge=1.0, label_power=3.8), "TELL_BUSINESS TARGET_SCALE 4"),
    "a relation, which lifts ridge too": (
        numbers(1.0, 3.2, GAIN, ridge=3.2, explained=3.0),
        "RECALIBRATE COVARIATE 6",
    ),
    "a relation that moments do not show": (
        numbers(1.0, 3.2, GAIN, ridge=3.2),
        "RECALIBRATE COVARIATE 6",
    ),
    "rotation": (numbers(6.4, 6.3, GAIN, best_error=6.4), "RECALIBRATE COVARIATE 6"),
    "scale 1.5: the signal grew": (
        numbers(8.0, 8.0, GAIN, best_error=8.0, label_power=2.25, repaired=1.65),
        "RECALIBRATE COVARIATE 6",
    ),
    "scale 0.5: the signal shrank": (
        numbers(1.3, 1.1, GAIN, best_error=1.3, label_power=0.3, repaired=0.85),
        "RECALIBRATE COVARIATE 6",
    ),
    "not wholly repaired": (
        numbers(2.0, 3.7, GAIN, best_error=2.0, repaired=2.0),
        "RECALIBRATE_AND_REPRETRAIN COVARIATE 6",
    ),
    "scale 1.1, no sure gain": (
        numbers(1.27, 1.2, Bounds(0.06, 0.04, 0.08), best_error=1.27),
        "WATCH COVARIATE 7",
    ),
    "no method could do better": (
        numbers(1.8, 1.7, best_error=1.0),
        "TELL_CALLER LITTLE_INFORMATION 5",
    ),
    "nothing helps": (numbers(2.0, 2.0, best_error=2.0), "FALL_BACK_AND_REPRETRAIN COVARIATE 7"),
    "tails": (
        numbers(1.8, 1.9, Bounds(-0.4, -0.6, -0.2), has_heavy_tails=True, best_error=1.8),
        "FALL_BACK_AND_REPRETRAIN HEAVY_TAILS 7",
    ),
    "tails that lift ridge too": (
        numbers(2.2, 2.2, ridge=1.6, has_heavy_tails=True, best_error=2.2),
        "FALL_BACK_AND_REPRETRAIN HEAVY_TAILS 7",
    ),
    "tails that lift ridge and no h": (
        numbers(1.0, 1.8, ridge=1.6, tail_share=0.09),
        "FALL_BACK_AND_REPRETRAIN COVARIATE 7",
    ),
    "bad rows": (
        numbers(2.7, 2.7, clipped_share=0.12, clipped_groups=1),
        "QUARANTINE BAD_ROWS 1",
    ),
    "bad rows, senders not known": (
        numbers(2.7, 2.7, clipped_share=0.12, typical=1.02),
        "QUARANTINE BAD_ROWS 1",
    ),
    "a shift that clips": (
        numbers(10.0, 9.5, GAIN, best_error=9.0, clipped_share=0.3, typical=6.0),
        "RECALIBRATE COVARIATE 6",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_first_step_that_fits_decides(row):
    found, expected = ROWS[row]

    judged = judge(found, LIMITS)

    verdict, reason, step = expected.split()
    assert (judged.verdict, judged.reason, judged.step[0]) == (verdict, reason, step)


SUMS = {
    "quiet": (by_sums(1.0, 1.0, 0.01, 1.1), "KEEP NONE"),
    "stale, and noise is most of the error": (by_sums(1.1, 1.1, 0.03, 1.7), "KEEP NONE"),
    "an opportunity": (by_sums(1.1, 1.1, 0.4, 4.5), "RECALIBRATE OPPORTUNITY"),
    "harm": (by_sums(6.4, 6.3, 0.8, 80.0, best_error=6.4), "RECALIBRATE COVARIATE"),
    "harm that a tenth repairs": (
        by_sums(1.4, 1.4, 0.1, 1.2, best_error=1.4),
        "WATCH COVARIATE",
    ),
    "tails": (
        by_sums(1.8, 1.9, 0.6, 3.4, has_heavy_tails=True, best_error=1.8),
        "FALL_BACK_AND_REPRETRAIN HEAVY_TAILS",
    ),
    "tails and a move that explains the harm": (
        by_sums(1.8, 1.9, 0.4, 1.5, has_heavy_tails=True, explained=1.6, best_error=1.8),
        "RECALIBRATE HEAVY_TAILS",
    ),
    "noise": (by_sums(1.0, 2.6, 0.02, 1.5, ridge=2.6), "TELL_BUSINESS NOISE"),
    "nothing to recalibrate": (
        by_sums(2.0, 2.0, UNKNOWN, UNKNOWN, best_error=2.0),
        "FALL_BACK_AND_REPRETRAIN COVARIATE",
    ),
}


@pytest.mark.parametrize("row", SUMS)
def test_sums_alone_decide_what_is_worth_a_proof(row):
    found, expected = SUMS[row]

    judged = judge(found, LIMITS)

    assert f"{judged.verdict} {judged.reason}" == expected


def test_what_is_not_known_decides_nothing():
    unknown = Numbers(300, Ratios(UNKNOWN, UNKNOWN), UNKNOWN)

    assert judge(unknown, LIMITS).verdict is Verdict.KEEP


def test_summaries_have_no_leave_one_out_error_and_are_still_judged():
    found = Numbers(300, FINE._replace(h=3.0, loo=UNKNOWN, best_error=3.0), 3.0)

    assert judge(found, LIMITS).verdict is Verdict.FALL_BACK_AND_REPRETRAIN


CROSSINGS = {  # a limit, two values of it, and the verdicts of one window between them
    "prompts_min": (200, 400, numbers(), "KEEP", "INSUFFICIENT"),
    "risen": (1.1, 1.3, numbers(1.2, 1.2, best_error=1.5), "WATCH", "KEEP"),
    "much_risen": (1.4, 1.6, numbers(1.0, 1.4, ridge=1.5), "TELL_BUSINESS", "WATCH"),
    "length_effect_max": (1.2, 1.4, numbers(length_effect=1.3), "TELL_CALLER", "KEEP"),
    "clipped_share_max": (
        *(0.05, 0.2),
        numbers(2.0, 2.0, clipped_share=0.1, clipped_groups=1, best_error=2.0),
        *("QUARANTINE", "FALL_BACK_AND_REPRETRAIN"),
    ),
    "clipped_groups_min": (
        *(3, 2),
        numbers(2.0, 2.0, clipped_share=0.1, clipped_groups=2, best_error=2.0),
        *("QUARANTINE", "FALL_BACK_AND_REPRETRAIN"),
    ),
    "tail_share_max": (
        0.1,
        0.03,
        numbers(1.0, 1.4, ridge=2.0, tail_share=0.05),
        "TELL_BUSINESS",
        "WATCH",
    ),
    "explained_share": (
        *(0.7, 0.5),
        numbers(1.0, 2.0, Bounds(0.3, 0.25, 0.35), ridge=2.0),
        *("TELL_BUSINESS", "RECALIBRATE"),
    ),
    "query_excess": (
        1.5,
        2.0,
        numbers(2.0, 1.2, best_error=2.0),
        "TELL_CALLER",
        "FALL_BACK_AND_REPRETRAIN",
    ),
    "avoidable_min": (1.5, 1.25, numbers(1.4, 1.4, best_error=1.3), "TELL_CALLER", "WATCH"),
    "gain_min": (
        0.05,
        0.15,
        numbers(2.0, 2.0, Bounds(0.2, 0.1, 0.3), best_error=2.0),
        "RECALIBRATE",
        "FALL_BACK_AND_REPRETRAIN",
    ),
    "opportunity_gain_min": (0.2, 0.4, numbers(gain=Bounds(0.3, 0.2, 0.4)), "RECALIBRATE", "KEEP"),
    "regret_min": (
        1.25,
        2.0,
        by_sums(2.0, 2.0, 0.3, 1.5, best_error=2.0),
        "RECALIBRATE",
        "FALL_BACK_AND_REPRETRAIN",
    ),
    "relative_error_max": (
        *(1.25, 3.0),
        numbers(3.0, 3.0, GAIN, best_error=3.0, repaired=2.0),
        *("RECALIBRATE_AND_REPRETRAIN", "RECALIBRATE"),
    ),
    "watch_max": (1.9, 1.5, numbers(1.8, 1.8, best_error=1.8), "WATCH", "FALL_BACK_AND_REPRETRAIN"),
}


@pytest.mark.parametrize("name", [one.name for one in fields(Limits)])
def test_every_limit_decides_something(name):
    low, high, found, first, second = CROSSINGS[name]

    verdicts = [judge(found, replace(LIMITS, **{name: value})).verdict for value in (low, high)]

    assert verdicts == [first, second]


def test_codes_are_those_of_the_contract():
    assert {one.value for one in Verdict} == {
        *("KEEP", "WATCH", "RECALIBRATE", "RECALIBRATE_AND_REPRETRAIN"),
        *("FALL_BACK_AND_REPRETRAIN", "TELL_BUSINESS", "TELL_CALLER", "QUARANTINE"),
        "INSUFFICIENT",
    }
    assert {one.value for one in Reason} == {
        *("NONE", "COVARIATE", "OPPORTUNITY", "NOISE", "TARGET_SCALE", "QUERY_ONLY"),
        *("LITTLE_INFORMATION", "HEAVY_TAILS", "BAD_ROWS", "FEW_PROMPTS"),
    }
