"""Declared limits as business rules of the re-evaluator: YAML with the reason of every rule.

The text is written by hand, for its comments are half of it; what comes from the file of a person
(names of columns, units) stands in comments only, on one line and without control characters.
`sonoba rules check` reads it (service/business_rules.py).
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

from service.assess.findings import Choice, DeclaredLimits
from service.rule_values import DEFAULT

MOST_RANGES, LONGEST_NAME = 200, 80
WRITTEN_BY = "Written by `sonoba assess`"
SMALLEST_OPPORTUNITY = DEFAULT.minimum_gain
MEANING = {
    "go": "go. A recalibrated version may be put in force without a person.",
    "pilot": "pilot. Until it is over, a person puts every new version in force.",
    "no-go": "no-go. These rules let nothing change by itself; do not start with this model.",
}
ACTIONS = {"go": DEFAULT.actions_per_day_max, "pilot": 1, "no-go": 0}


@dataclass(frozen=True, slots=True)
class Lines:
    """What rules need beside the limits; squared errors over normal, 1 is as when it was made."""

    unit: str  # of the target
    examples: int  # of a prompt, for which the limits are declared
    taken_back: float  # error at which a new version is taken back
    stale: float  # error with an old history, 1 where that does not hurt


def rules_file(name: str, choice: Choice, limits: DeclaredLimits, lines: Lines) -> str:
    """Return the file of business rules of one model."""
    head = "\n".join(f"# {line}".rstrip() for line in _head(name, choice, limits, lines))
    rules = "\n".join(_rules(choice, limits, lines))
    return f"{head}\nversion: 1\nmodels:\n  {json.dumps(name)}:\n{rules}\n"


def _head(name: str, choice: Choice, limits: DeclaredLimits, lines: Lines) -> Iterator[str]:
    """Yield what was declared, in plain words."""
    yield f"Business rules of the model {_plain(name)}: what must hold before another version"
    yield f"answers, and who decides. {WRITTEN_BY} from what was measured;"
    yield "the re-evaluator reads it (SONOBA_RULES_FILE), `sonoba rules check FILE` tries it."
    yield "A rule that is not here has its default: `sonoba rules show --file FILE`."
    yield ""
    yield f"The decision was {MEANING[choice]}"
    yield ""
    yield "Declared before the start:"
    if math.isfinite(limits.error):
        of = f"with {lines.examples} examples a prompt"
        unit = f" {_plain(lines.unit)}" if lines.unit else ""
        yield f"  error     an answer errs by {limits.error:.4g}{unit} typically, {of}"
    if math.isfinite(limits.coverage):
        yield f"  coverage  at least {limits.coverage:.0%} of the truths lie in the 80 % intervals:"
        yield "            count them where truths become known, for no rule can"
    yield f"  examples  at least {limits.example_count_min} in every prompt"
    yield from _ranges(limits)


def _ranges(limits: DeclaredLimits) -> Iterator[str]:
    if limits.ranges:
        yield "  ranges    seen in the history; an answer outside of them is not to be trusted:"
    for name, low, high in limits.ranges[:MOST_RANGES]:
        yield f"            {_plain(name)}: {low:g} to {high:g}"
    if len(limits.ranges) > MOST_RANGES:
        yield f"            and {len(limits.ranges) - MOST_RANGES} more, which the report has"


def _rules(choice: Choice, limits: DeclaredLimits, lines: Lines) -> Iterator[str]:
    """Yield every rule that follows from the limits, with its reason before it."""
    risen = limits.error_ratio_max
    yield from _reason(
        "Error: from so many times the normal squared error a verdict sees harm.", risen
    )
    yield f"    error_risen: {risen:g}"
    yield from _reason("Error: the harm is over when it is below that line again.")
    yield f"    error_leave: {risen:g}"
    yield "    # Error: a new version of so many times its normal squared error is taken back: the"
    yield "    # mean of a prompt's own labels is as good then, or somebody is called anyway."
    yield f"    error_enter: {max(lines.taken_back, risen):g}"
    yield "    roll_back: auto"
    if lines.stale > 1.0:
        yield "    # Shift: here an old history errs more, so a version that is recalibrated on"
        yield "    # newer prompts is wanted as soon as it saves what was lost with age."
        yield f"    opportunity_gain: {opportunity(lines.stale):g}"
    yield "    # Shift: whether a version recalibrated on what changed needs a person's word."
    yield f"    recalibrate: {'auto' if choice == 'go' else 'approve'}"
    yield "    # Shift: so many changes a day happen without a person, taking back among them."
    yield f"    actions_per_day_max: {ACTIONS[choice]}"
    yield "    # Another relation, or another kind of model: always a person's word."
    yield "    repretrain: approve"
    yield "    change_kind: approve"


def _reason(sentence: str, risen: float = DEFAULT.error_risen) -> Iterator[str]:
    yield f"    # {sentence}"
    if risen < DEFAULT.error_risen:
        yield f"    # Less than usual ({DEFAULT.error_risen:g}): with that rise the gain over the"
        yield "    # mean of a prompt's own labels would be gone."


def opportunity(stale: float) -> float:
    """Return the share of the error to be saved, from the squared error an old history has.

    >>> opportunity(1.1), opportunity(2.0), opportunity(1.001)
    (0.09, 0.2, 0.05)
    """
    lost = math.floor(100.0 * (1.0 - 1.0 / stale)) / 100.0
    return min(max(lost, SMALLEST_OPPORTUNITY), DEFAULT.opportunity_gain)


def _plain(text: str) -> str:
    """Return a person's word as a comment may hold it: one line, printable, not long."""
    kept = "".join(sign if sign.isprintable() else " " for sign in text)
    return kept if len(kept) <= LONGEST_NAME else f"{kept[: LONGEST_NAME - 1]}…"
