"""Go, pilot or no-go: a rule that follows from the findings alone, and the limits declared by it.

    any argument against  ->  no-go;   else any caution  ->  pilot;   else  ->  go

The arguments are in `against`, `cautions` and `favour`. A better number takes an argument against
or a caution away and never brings one, so that it never makes the choice worse; the same findings
always give the same decision (docs/adr/0037-the-assessment.md).
"""

import math
from collections.abc import Iterator, Sequence

from monitoring.levels import CRITICAL
from monitoring.rules import Rules
from service.assess.against import against
from service.assess.cautions import cautions
from service.assess.evidence import MISSING, STALE, UNITS, Evidence, is_seen
from service.assess.favour import favour
from service.assess.findings import (
    Argument,
    Choice,
    ColumnFound,
    Conditions,
    Cost,
    Coverage,
    Decision,
    DeclaredLimits,
    Offer,
    Stability,
)
from service.assess.rules_file import Lines, rules_file
from service.held_out import MEAN

RISEN_MIN = 1.05
"""Squared error over normal: some hundred prompts do not tell a smaller rise from chance."""
SAYS_MORE = {  # an argument against, and the caution that it makes idle
    **{"not_better_than_mean": "small_gain", "ridge_better": "history_unproven"},
    **{"boosting_far_better": "boosting_better", "intervals_lie": "coverage_short"},
}
DECLARED_LEVEL = 0.8
"""The interval that is declared: its misses are frequent enough to be counted soon."""
REFUSED_NOTED = 0.01
"""Share of prompts refused under some change, from where on refusals are to be looked at."""


def decide(
    offer: Offer, stability: Stability, conditions: Conditions, cost: Cost, name: str
) -> Decision:
    """Return the choice with its arguments, the limits and the rules of a model of that name."""
    evidence = Evidence(offer, stability, conditions)
    arguments = tuple(weighed(evidence))
    choice = chosen(arguments)
    limits = declared(evidence)
    rules = rules_file(name, choice, limits, lines(evidence, limits))
    return Decision(choice, arguments, limits, rules, cost, tuple(watch(evidence, limits)))


def weighed(evidence: Evidence) -> Iterator[Argument]:
    """Yield what speaks against, what is to be minded and what speaks for, none of it twice."""
    no = list(against(evidence))
    codes = {argument.code for argument in no}
    told = {SAYS_MORE[code] for code in codes if code in SAYS_MORE}
    yield from no
    yield from (one for one in cautions(evidence) if one.code not in told)
    if "leak" not in codes:  # else the good figures mean nothing
        yield from favour(evidence)


def chosen(arguments: Sequence[Argument]) -> Choice:
    """Return what arguments come to; one that speaks against outweighs all that speak for."""
    sides = {argument.speaks for argument in arguments}
    if "against" in sides:
        return "no-go"
    return "pilot" if "caution" in sides else "go"


def declared(evidence: Evidence) -> DeclaredLimits:
    """Return what is promised from the start on and watched from then on."""
    cell = evidence.accuracy
    return DeclaredLimits(
        error=cell.typical_error if cell else math.nan,
        error_ratio_max=error_ratio_max(evidence),
        coverage=declared_coverage(evidence.coverage),
        example_count_min=evidence.fewest_examples(),
        ranges=tuple(ranges(evidence.offer.columns)),
    )


def error_ratio_max(evidence: Evidence) -> float:
    """Return the squared error over normal from where a verdict sees harm.

    Where we are little better than the mean, that is lost with a smaller rise: 1 ÷ our ratio².
    """
    return max(RISEN_MIN, min(Rules().error_risen, _down(useless(evidence))))


def useless(evidence: Evidence) -> float:
    """Return the squared error over normal at which the mean of a prompt's labels is as good.

    At most the one at which somebody is called anyway.
    """
    mean = evidence.ratio(MEAN)
    if not (mean and mean.value > math.sqrt(1.0 / CRITICAL)):
        return CRITICAL
    return 1.0 / mean.value**2


def declared_coverage(found: Sequence[Coverage]) -> float:
    """Return the share of truths that 80 % intervals surely held, at most the promised; NaN: none.

    >>> import math
    >>> math.isnan(declared_coverage(()))
    True
    """
    low = (one.covered.low for one in found if abs(one.level - DECLARED_LEVEL) < 1e-9)
    return min(_down(next(low, math.nan)), DECLARED_LEVEL) if found else math.nan


def ranges(columns: Sequence[ColumnFound]) -> Iterator[tuple[str, float, float]]:
    """Yield the ranges of the numbers that are predicted from."""
    for column in columns:
        is_used = column.kind == "number" and column.features
        if is_used and column.low is not None and column.high is not None:
            yield column.name, column.low, column.high


def lines(evidence: Evidence, limits: DeclaredLimits) -> Lines:
    """Return where versions change, in squared errors over normal, and what old history costs."""
    taken_back = max(limits.error_ratio_max, _down(useless(evidence)))
    age = cost_of_age(evidence)
    return Lines(evidence.offer.target.unit, evidence.examples, taken_back, age)


def cost_of_age(evidence: Evidence) -> float:
    """Return the squared error of an old history by that of a new one; 1 where it is not more."""
    found = [c.ratio for c in evidence.conditions.changes if c.code in STALE]
    return max((bounds.value**2 for bounds in found if bounds.low > 1.0), default=1.0)


def watch(evidence: Evidence, limits: DeclaredLimits) -> Iterator[str]:
    """Yield what to look at once it runs, in the order in which it is to be done."""
    conditions, stability = evidence.conditions, evidence.stability
    changes = conditions.changes
    boosting = {"boosting_not_compared", "boosting_better", "boosting_far_better"}
    wanted = {
        "alerts": not conditions.unwatched,
        "first_prompts": bool(conditions.unwatched),
        "silent": any(not is_seen(change) for change in evidence.harmful()),
        "coverage": True,
        "examples": True,
        "ranges": bool(limits.ranges),
        "units": bool(evidence.harm_of(UNITS)),
        "missing": bool(evidence.harm_of(MISSING)),
        "stale": cost_of_age(evidence) > 1.0,
        "worst_groups": bool(stability.worst),
        "refusals": any(change.refused > REFUSED_NOTED for change in changes),
        "boosting": any(a.code in boosting for a in (*against(evidence), *cautions(evidence))),
    }
    return (code for code, is_wanted in wanted.items() if is_wanted)


def _down(value: float) -> float:
    """Return a number with two digits, rounded down: nothing is promised that was not shown."""
    return math.floor(value * 100.0 + 1e-9) / 100.0 if math.isfinite(value) else value
