"""What was tried in place of the served version, and how it did: by sums, and on kept prompts.

The first half of the kept prompts, in time, fits; the second judges. Which version is then kept as
the candidate was fitted to all there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from model.checkpoint import Model
from model.estimator import Estimating
from model.paper import PaperModel
from model.profile import ProfileModel
from model.prompt import Block
from monitoring.evidence import Evidence
from monitoring.paired import Bounds
from monitoring.verdict import Verdict
from service import candidates
from service.candidates import Candidate, Parent
from service.compared import RIDGE, Compared, compared
from service.expected import Expected, expected, nothing
from service.findings import CandidateName
from service.repretrained import fitted_profile, repretrained
from service.seen import by_shape
from service.windows import evidence_of, windows_of

RECALIBRATED: Final = "recalibrated"
REPRETRAINED: Final = "repretrained"
FOUNDATION: Final = "foundation"
ORDER: tuple[CandidateName, ...] = (RECALIBRATED, REPRETRAINED, FOUNDATION, RIDGE)


class BySums(NamedTuple):
    """The served version fitted to the window's sums; None where they say too little."""

    recalibrated: Candidate | None
    expected: Expected


@dataclass(frozen=True, slots=True)
class ByPrompts:
    """Paired errors on the second half of the kept prompts; nothing where there are none."""

    served: Bounds | None = None
    compared: dict[str, Compared] = field(default_factory=dict)


def by_sums(parent: Parent, parts: Sequence[Evidence]) -> BySums:
    """Return the recalibrated version and what sums expect of it."""
    made = _recalibrated(parent, parts)
    served = parent.artifact.model
    if made is None or not isinstance(served, ProfileModel | PaperModel):
        return BySums(made, nothing())
    assert isinstance(made.model, ProfileModel | PaperModel)  # of the same kind
    windows = windows_of(parts, parent.reference)
    return BySums(made, expected(served, made.model, windows, parent.reference))


def _recalibrated(parent: Parent, parts: Sequence[Evidence]) -> Candidate | None:
    windows = windows_of(parts, parent.reference)
    try:
        return candidates.recalibrated(parent, windows, parts) if windows else None
    except ValueError:  # too few, or moments that give no weights
        return None


def by_prompts(parent: Parent, blocks: Sequence[Block], seed: int) -> ByPrompts:
    """Return how every way of answering does on prompts (B = 1 each) that none was fitted to."""
    served = parent.artifact.model
    assert isinstance(served, Estimating)  # the caller's own check precedes
    half = len(blocks) // 2
    first, second = blocks[:half], blocks[half:]
    others: dict[str, Model] = {}
    parts = evidence_of(served, by_shape(list(first)), parent.reference)
    if (made := _recalibrated(parent, parts)) is not None:
        others[RECALIBRATED] = made.model
    if (again := fitted_profile(parent, first, seed)) is not None:
        others[REPRETRAINED] = again
    if (shipped := candidates.foundation(parent)) is not None:
        others[FOUNDATION] = shipped.model
    error, found = compared(served, others, second, parent.reference, seed)
    return ByPrompts(error, {name: found[name] for name in ORDER if name in found})


def candidate_for(
    verdict: Verdict,
    parent: Parent,
    sums: BySums,
    tried: ByPrompts,
    blocks: Sequence[Block],
    seed: int,
) -> Candidate | None:
    """Return the version that goes with a verdict; None where none helps."""
    if verdict in (Verdict.RECALIBRATE, Verdict.RECALIBRATE_AND_REPRETRAIN):
        return sums.recalibrated
    if verdict is not Verdict.FALL_BACK_AND_REPRETRAIN:
        return None
    if not tried.compared:
        return candidates.foundation(parent)  # live prompts must prove it
    better = {
        name: found.gain.mean
        for name in (REPRETRAINED, FOUNDATION)
        if (found := tried.compared.get(name)) is not None and found.gain.lower > 0.0
    }
    for name in sorted(better, key=lambda one: better[one], reverse=True):
        made = (
            candidates.foundation(parent)
            if name == FOUNDATION
            else repretrained(parent, blocks, seed)
        )
        if made is not None:
            return made
    return None
