"""What is not proven yet: each of these alone makes a start a pilot.

A pilot asks for the answers and acts on them where a mistake can be borne, until what is written
here has been seen to. The limits are below, each with its reason.
"""

import math
from collections.abc import Iterator

from service.assess.against import FAR_WORSE, LEAKS, is_surely_worse
from service.assess.evidence import (
    STALE,
    Detail,
    Evidence,
    compared,
    covered,
    harms,
    is_seen,
    of_change,
)
from service.assess.findings import Argument, Bounds, Coverage, Steadiness
from service.held_out import BOOSTING, HELD_OUT_SHARE, MEAN, RIDGE

HELD_OUT_MIN = 6
"""Held-out groups that may all agree by chance: 2 · 2⁻⁵ is 6 % and 2 · 2⁻⁶ is 3 %, below 5."""
WORTH_WHILE = 0.9
"""Our error by the mean's: a service that saves less than a tenth of the error hardly pays."""
SURELY_WORTH = 0.95
"""Upper bound of the same: as `sonoba pretrain` wants it where a gain is not certain."""
MISSES_NOTED = 1.25
"""Truths outside of an interval by those promised: 25 instead of 20 of a hundred are noticed."""
MOVES_MAX = 1.0
"""Moves of nine of ten answers by the typical error: more, and the choice decides, not the data."""
ORDER_MAX = 0.01
"""The same when examples only stand in another order, which must not matter at all."""
WEAK_SHARE = 0.2
"""Held-out groups that are answered no better than by chance: more than one of five is no rule."""
FALSE_ALARMS_MAX = 0.1
"""Quiet runs with an alert: who is called for nothing one time in ten stops looking."""


def cautions(evidence: Evidence) -> Iterator[Argument]:
    """Yield what is not proven, the weightiest first."""
    for found in (_data, _gain, _boosting, _intervals, _steadiness, _groups, _conditions, _alarms):
        yield from found(evidence)


def _data(evidence: Evidence) -> Iterator[Argument]:
    offer = evidence.offer
    if offer.held_out_groups < HELD_OUT_MIN:
        detail: Detail = {
            **{"groups": offer.group_count, "held_out": offer.held_out_groups},
            **{"wanted": HELD_OUT_MIN, "wanted_groups": round(HELD_OUT_MIN / HELD_OUT_SHARE)},
        }
        yield Argument("few_groups", "caution", detail)
    repair = [f for f in offer.quality if f.weight == "repair" and f.code not in LEAKS]
    if repair:
        columns = ", ".join(repair[0].columns)
        detail = {"count": len(repair), "code": repair[0].code, "column": columns}
        yield Argument("repair", "caution", detail)


def _gain(evidence: Evidence) -> Iterator[Argument]:
    if evidence.accuracy and not evidence.stability.answered_by_profile >= 0.5:
        yield Argument("no_profile", "caution", {"groups": evidence.offer.group_count})
    mean, ridge = evidence.ratio(MEAN), evidence.ratio(RIDGE)
    if mean and not (mean.value <= WORTH_WHILE and mean.high <= SURELY_WORTH):
        yield Argument("small_gain", "caution", compared(mean, evidence.examples))
    if ridge and not ridge.high < 1.0:
        yield Argument("history_unproven", "caution", compared(ridge, evidence.examples))


def _boosting(evidence: Evidence) -> Iterator[Argument]:
    if not evidence.stability.is_boosting_compared:
        yield Argument("boosting_not_compared", "caution", {})
    if beaten := beaten_by_boosting(evidence):
        examples, found = beaten
        count, short = evidence.shortest(BOOSTING)
        more: Detail = {"short_ratio": short.value, "short_examples": count}
        yield Argument("boosting_better", "caution", {**compared(found, examples), **more})


def beaten_by_boosting(evidence: Evidence) -> tuple[int, Bounds] | None:
    """Return at which number of examples boosting errs noticeably less, and our ratio there.

    At the number decided for, surely or far; else where it is worst for us, surely, with more
    examples: who can send them would do better with boosting.
    """
    found = evidence.ratio(BOOSTING)
    if found and found.value >= FAR_WORSE:  # far, but not surely
        return evidence.examples, found
    beaten = [one for one in evidence.longer(BOOSTING) if is_surely_worse(one[1])]
    if beaten and beaten[0][0] == evidence.examples:
        return beaten[0]
    return max(beaten, key=lambda one: one[1].value, default=None)


def _intervals(evidence: Evidence) -> Iterator[Argument]:
    found = evidence.coverage
    if not found:
        yield Argument("no_intervals", "caution", {})
    short = [one for one in found if is_short(one)]
    if short:
        worst = max(short, key=lambda one: _misses(one) / (1.0 - one.level))
        yield Argument("coverage_short", "caution", covered(worst))


def is_short(found: Coverage) -> bool:
    """Whether an interval misses noticeably more truths than promised, and not by chance."""
    is_more = not _misses(found) <= MISSES_NOTED * (1.0 - found.level) + 1e-12
    return is_more and not found.covered.high >= found.level


def _misses(found: Coverage) -> float:
    misses = 1.0 - found.covered.value
    return 1.0 if math.isnan(misses) else misses


def _steadiness(evidence: Evidence) -> Iterator[Argument]:
    unsteady = [one for one in evidence.stability.steadiness if is_unsteady(one)]
    if unsteady:
        yield Argument("unsteady", "caution", moves(max(unsteady, key=_moved)))


def is_unsteady(found: Steadiness) -> bool:
    """Whether the choice of examples moves answers more than it may."""
    if found.code == "reordered":
        return not found.moved_most <= ORDER_MAX
    return not found.moved_mostly <= MOVES_MAX


def _moved(found: Steadiness) -> float:
    return math.inf if math.isnan(found.moved_mostly) else found.moved_mostly


def moves(found: Steadiness) -> Detail:
    """Return what a sentence on steadiness names."""
    return {
        **{"code": found.code, "moved": found.moved, "moved_mostly": found.moved_mostly},
        "examples": found.example_count,
    }


def _groups(evidence: Evidence) -> Iterator[Argument]:
    errors = evidence.stability.group_errors
    weak = sum(not error < 1.0 for error in errors)
    if weak > WEAK_SHARE * len(errors):
        detail: Detail = {"groups": weak, "held_out": len(errors), "share": weak / len(errors)}
        yield Argument("weak_groups", "caution", detail)


def _conditions(evidence: Evidence) -> Iterator[Argument]:
    if not evidence.conditions.changes:
        yield Argument("conditions_unknown", "caution", {})
    stale = [c for c in evidence.conditions.changes if c.code in STALE and harms(c)]
    if stale:
        worst = stale[0]
        low, high = worst.ratio.low, worst.ratio.high
        detail: Detail = {"strength": worst.strength, "ratio": worst.ratio.value}
        yield Argument("goes_stale", "caution", {**detail, "low": low, "high": high})
    silent = [change for change in evidence.harmful() if not is_seen(change)]
    if silent and not evidence.conditions.unwatched:
        detail = {**of_change(silent[0]), "count": len(silent)}
        yield Argument("silent_harm", "caution", detail)


def _alarms(evidence: Evidence) -> Iterator[Argument]:
    found = evidence.conditions
    if found.unwatched:
        yield Argument("unwatched", "caution", {"why": found.unwatched})
    if not found.quiet_alerts <= FALSE_ALARMS_MAX:
        detail: Detail = {"share": found.quiet_alerts, "runs": found.run_count}
        yield Argument("false_alarms", "caution", detail)
