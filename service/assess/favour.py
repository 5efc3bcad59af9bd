"""What speaks for a start: the same numbers as of what speaks against it, where they are good."""

from collections.abc import Iterator

from service.assess.against import FAR_WORSE
from service.assess.cautions import (
    HELD_OUT_MIN,
    beaten_by_boosting,
    is_short,
    is_unsteady,
    moves,
)
from service.assess.evidence import SEEN_SHARE, Detail, Evidence, compared, covered, is_seen
from service.assess.findings import Argument
from service.held_out import BOOSTING, MEAN, RIDGE


def favour(evidence: Evidence) -> Iterator[Argument]:
    """Yield what is proven, the weightiest first."""
    for found in (_gains, _trust, _conditions, _data):
        for code, detail in found(evidence):
            yield Argument(code, "for", detail)


def _gains(evidence: Evidence) -> Iterator[tuple[str, Detail]]:
    examples = evidence.examples
    for method, code in ((MEAN, "better_than_mean"), (RIDGE, "better_than_ridge")):
        found = evidence.ratio(method)
        if found and found.high < 1.0:
            yield code, {**compared(found, examples), "saves": 1.0 - found.value}
    boosting = evidence.ratio(BOOSTING)
    if boosting and boosting.value < FAR_WORSE and not beaten_by_boosting(evidence):
        yield "boosting_no_better", compared(boosting, examples)


def _trust(evidence: Evidence) -> Iterator[tuple[str, Detail]]:
    coverage, steadiness = evidence.coverage, evidence.stability.steadiness
    if coverage and not any(map(is_short, coverage)):
        yield "intervals_hold", covered(coverage[0])
    if steadiness and not any(map(is_unsteady, steadiness)):
        yield "steady", moves(max(steadiness, key=lambda found: found.moved_mostly))


def _conditions(evidence: Evidence) -> Iterator[tuple[str, Detail]]:
    harmful, changes = list(evidence.harmful()), evidence.conditions.changes
    called = [change for change in harmful if change.alerted >= SEEN_SHARE]
    if called and all(map(is_seen, harmful)):
        prompts = max((change.prompts_to_alert or 0) for change in called)
        least = min(change.alerted for change in called)
        yield "harm_noticed", {"count": len(called), "alerted": least, "prompts": prompts}
    tolerated = sum(change.is_tolerated for change in changes)
    if tolerated:
        yield "tolerates", {"count": tolerated, "tried": len(changes)}


def _data(evidence: Evidence) -> Iterator[tuple[str, Detail]]:
    offer = evidence.offer
    if offer.held_out_groups >= HELD_OUT_MIN:
        yield "enough_groups", {"groups": offer.group_count, "held_out": offer.held_out_groups}
    if not any(found.weight == "repair" for found in offer.quality):
        yield "clean_data", {"rows": offer.used_row_count}
