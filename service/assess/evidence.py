"""What a decision looks at: the findings of three steps, at the number of examples it is made for.

The number is the smallest that was judged from the knee of the learning curve on, else the largest.
Ratios are our error by another method's, NRMSE; what is not known is NaN and never speaks for us.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from service.assess.answered import TOLERATED
from service.assess.findings import (
    Accuracy,
    Bounds,
    Change,
    Conditions,
    Coverage,
    Offer,
    Stability,
)

SEEN_SHARE = 0.8
"""Share of the runs in which an alert must fire to be counted on: four times of five."""
REFUSED_SHARE = 0.5
"""Share of refused prompts from where on callers see the change without any alert."""

STALE = frozenset({"stale_groups", "stale_rows"})
OWNERS = STALE | {"fewer_examples"}
UNITS = frozenset({"wrong_unit", "wrong_unit_some", "fahrenheit", "fahrenheit_some"})
MISSING = frozenset({"missing", "missing_category"})
WARNED = frozenset(
    {"missing"}
)  # gaps are filled where a caller asks for it; each reply says IMPUTED

Detail = dict[str, str | float | int]
UNKNOWN = Bounds(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Three steps' findings, read at one number of examples."""

    offer: Offer
    stability: Stability
    conditions: Conditions

    @property
    def accuracy(self) -> Accuracy | None:
        """The methods at the number of examples decided for; None where nothing was measured."""
        judged = sorted(self.stability.accuracy, key=lambda cell: cell.example_count)
        enough = (cell for cell in judged if cell.example_count >= self.offer.knee)
        return next(enough, judged[-1] if judged else None)

    @property
    def examples(self) -> int:
        """The number of examples decided for; 0 where nothing was measured."""
        return self.accuracy.example_count if self.accuracy else 0

    def ratio(self, method: str) -> Bounds | None:
        """Return our error by a method's; None where it was not compared."""
        return ratio_of(self.accuracy, method) if self.accuracy else None

    def ratio_over_lengths(self, method: str) -> float:
        """Return the geometric mean of our error by a method's over all lengths; NaN: not known."""
        found = (ratio_of(cell, method) for cell in self.stability.accuracy)
        values = [bounds.value for bounds in found if bounds]
        if not values or not all(value > 0.0 for value in values):
            return math.nan
        return math.exp(sum(map(math.log, values)) / len(values))

    def shortest(self, method: str) -> tuple[int, Bounds]:
        """Return the fewest examples at which a method was compared, and the ratio there."""
        judged = sorted(self.stability.accuracy, key=lambda cell: cell.example_count)
        found = ((cell.example_count, ratio_of(cell, method)) for cell in judged)
        known = ((count, bounds) for count, bounds in found if bounds)
        return next(known, (self.examples, UNKNOWN))

    def longer(self, method: str) -> list[tuple[int, Bounds]]:
        """Return our error by a method's from the number decided for on, the fewest first."""
        judged = sorted(self.stability.accuracy, key=lambda cell: cell.example_count)
        found = ((cell.example_count, ratio_of(cell, method)) for cell in judged)
        return [(count, ours) for count, ours in found if ours and count >= self.examples]

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """The intervals at the judged number nearest to the one decided for, low levels first."""
        counts = {found.example_count for found in self.stability.coverage}
        nearest = min(counts, key=lambda count: (abs(count - self.examples), count), default=0)
        found = (one for one in self.stability.coverage if one.example_count == nearest)
        return tuple(sorted(found, key=lambda one: one.level))

    def harmful(self) -> Iterator[Change]:
        """Yield changes of what is sent that were seen to harm, the worst first.

        Not those that the owner decides on alone: how many examples to give, how old a history is.
        """
        found = [change for change in self.conditions.changes if harms(change)]
        outside = [c for c in found if c.code not in OWNERS]
        yield from sorted(outside, key=lambda change: -_rank(change.ratio.value))

    def harm_of(self, codes: frozenset[str]) -> list[Change]:
        """Return the changes of some codes that are not tolerated."""
        return [c for c in self.conditions.changes if c.code in codes and not c.is_tolerated]

    def fewest_examples(self) -> int:
        """Return from how many examples on the error is about that of the number decided for."""
        tried = (c for c in self.conditions.changes if c.code == "fewer_examples")
        falling = sorted(tried, key=lambda change: -change.strength)
        tolerated = takewhile(lambda change: change.is_tolerated, falling)
        counts = [int(change.strength) for change in tolerated if change.strength >= 1.0]
        return min([self.examples, *counts])


def harms(change: Change) -> bool:
    """Whether answers were seen to err as much more as monitoring calls harm."""
    return not change.is_tolerated and not change.ratio.value < TOLERATED


def ratio_of(cell: Accuracy, method: str) -> Bounds | None:
    """Return our error by a method's at one length; None where it was not compared."""
    return next((one.ratio for one in cell.methods if one.method == method), None)


def compared(bounds: Bounds, examples: int) -> Detail:
    """Return what a sentence on a comparison names."""
    return {
        **{"ratio": bounds.value, "low": bounds.low, "high": bounds.high},
        "examples": examples,
    }


def covered(found: Coverage) -> Detail:
    """Return what a sentence on intervals names."""
    bounds = found.covered
    return {
        **{"level": found.level, "covered": bounds.value, "low": bounds.low, "high": bounds.high},
        "examples": found.example_count,
    }


def is_seen(change: Change) -> bool:
    """Whether somebody hears of a change: an alert fires, or replies refuse or warn."""
    in_reply = change.code in WARNED or change.refused >= REFUSED_SHARE
    return bool(change.alerted >= SEEN_SHARE or in_reply)


def of_change(change: Change) -> Mapping[str, str | float | int]:
    """Return what a sentence on a change names."""
    return {
        **{"code": change.code, "strength": change.strength, "ratio": change.ratio.value},
        **{"columns": ", ".join(change.columns), "alerted": change.alerted},
    }


def _rank(value: float) -> float:
    return math.inf if math.isnan(value) else value
