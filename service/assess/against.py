"""What speaks against a start: each of these alone makes the decision a no-go.

Every one is a comparison of numbers that were measured on groups not learnt from; the limits are
below, each with its reason, and none was chosen by looking at one history.
"""

import math
from collections.abc import Iterator

from model.profile_fit import FEWEST_GROUPS
from monitoring.levels import MAJOR
from service.admission import NOTEWORTHY, WORST_RATIO
from service.assess.evidence import Detail, Evidence, compared, covered
from service.assess.findings import Argument, Bounds
from service.held_out import BOOSTING, MEAN, MOST_UNANSWERED, OLS, RIDGE

GROUPS_MIN = FEWEST_GROUPS + 1
"""Groups in all: `sonoba pretrain` learns from 4 at least, and one more must test it."""
FAR_WORSE = math.sqrt(MAJOR)
"""Our error by boosting's: of a rise like that monitoring opens a ticket (its errors are squares),
and what is a ticket in service is not accepted at the start."""
MISSES_MAX = 2.0
"""Truths outside of an interval by those promised: of twice as many an owner was misled."""
LEAKS = ("leak", "leak_together")


def against(evidence: Evidence) -> Iterator[Argument]:
    """Yield why not, the weightiest first: that the figures mean nothing comes before figures."""
    yield from _leaks(evidence)
    if not evidence.stability.accuracy:
        groups = evidence.offer.group_count
        yield Argument(
            "nothing_measured",
            "against",
            {"groups": groups, "held_out": evidence.offer.held_out_groups},
        )
        return
    if evidence.offer.group_count < GROUPS_MIN:
        detail: Detail = {"groups": evidence.offer.group_count, "wanted": GROUPS_MIN}
        yield Argument("too_few_groups", "against", detail)
    yield from _refused(evidence)
    yield from _compared(evidence)
    yield from _intervals(evidence)


def _leaks(evidence: Evidence) -> Iterator[Argument]:
    for found in evidence.offer.quality:
        if found.code in LEAKS and found.weight == "repair":
            columns = [name for name in found.columns if name != evidence.offer.target.name]
            detail: Detail = {
                "column": ", ".join(columns),
                "correlation": found.detail.get("correlation", -1.0),
                "count": len(columns),
            }
            yield Argument("leak", "against", detail)


def _refused(evidence: Evidence) -> Iterator[Argument]:
    cell, share = evidence.accuracy, evidence.stability.refused
    if cell and not share <= MOST_UNANSWERED:
        prompts = math.ceil(share * cell.prompt_count)
        detail: Detail = {"examples": cell.example_count, "prompts": prompts, "share": share}
        yield Argument("refused", "against", detail)


def _compared(evidence: Evidence) -> Iterator[Argument]:
    """Yield the methods that a careful owner would take instead."""
    mean = evidence.ratio(MEAN)
    if mean and not (mean.high < 1.0 and evidence.ratio_over_lengths(MEAN) < 1.0):
        detail = compared(mean, evidence.examples)
        yield Argument("not_better_than_mean", "against", detail)
    for method in (RIDGE, OLS):
        found = _instead(evidence, method)
        if found and (is_surely_worse(found) or evidence.ratio_over_lengths(method) > WORST_RATIO):
            detail = {**compared(found, evidence.examples), "method": method}
            yield Argument("ridge_better", "against", detail)
            break
    boosting, (_, short) = _instead(evidence, BOOSTING), evidence.shortest(BOOSTING)
    if boosting and boosting.value >= FAR_WORSE and min(boosting.low, short.low) > 1.0:
        more: Detail = {"saves": 1.0 - 1.0 / boosting.value, "limit": FAR_WORSE}
        detail = {**compared(boosting, evidence.examples), **more}
        yield Argument("boosting_far_better", "against", detail)


def _instead(evidence: Evidence, method: str) -> Bounds | None:
    """Return our error by a method's; None of one that is no better than the mean itself."""
    found, mean = evidence.ratio(method), evidence.ratio(MEAN)
    return found if found and not (mean and found.value <= mean.value) else None


def is_surely_worse(found: Bounds) -> bool:
    """Whether we surely err more, and so much more that it is worth a word."""
    return found.low > 1.0 and found.value > 1.0 + NOTEWORTHY


def _intervals(evidence: Evidence) -> Iterator[Argument]:
    """Yield the level that is broken worst, by misses over promised misses."""
    found = evidence.coverage
    lying = [one for one in found if 1.0 - one.covered.high > MISSES_MAX * (1.0 - one.level)]
    if lying:
        worst = max(lying, key=lambda one: (1.0 - one.covered.value) / (1.0 - one.level))
        yield Argument("intervals_lie", "against", covered(worst))
