"""The error of every held-out group, each from prompts of its own, as many for each.

A group gives prompts of the usual length, or, where it has too few rows, of the longest that it
can. Its error is the median NRMSE over its prompts that were answered.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.history import FEWEST_QUERIES, Group, Prompts
from model.profile_fit import Tick
from service.assess.asking import Asked, ask, most_answers
from service.assess.material import Material
from service.assess.own_line import OwnLine, nrmse, own_line
from service.held_out import LENGTHS, draw

Array = NDArray[np.float64]

PROMPTS, FEWEST, MOST = 2400, 8, 32
"""Of all groups together, and of one: between these two however many groups there are."""
SEED_STEP = 7  # other prompts than those that the methods are compared on


@dataclass(frozen=True, slots=True)
class GroupJudged:
    """One held-out group, its prompts and what they were answered."""

    group: Group
    asked: Asked  # of this group alone
    line: OwnLine | None
    error: float  # median NRMSE of ours; NaN where every prompt was refused
    own_error: float  # the same of the group's own line; NaN without one

    @property
    def refused(self) -> float:
        """Share of the prompts that were refused."""
        return float((self.asked.modes == 0).mean())

    @property
    def left(self) -> float:
        """Share of the prompts that the profile did not answer itself."""
        return float((~self.asked.by_profile).mean())


def judge_groups(material: Material, tick: Tick) -> tuple[GroupJudged, ...]:
    """Return every held-out group that gives a prompt."""
    by_length: dict[int, list[int]] = {}
    for place, group in enumerate(material.unseen.groups):
        if M := longest(len(group.y), material.length):
            by_length.setdefault(M, []).append(place)
    most = min(PROMPTS, most_answers(material.fitted.parameters.feature_count))
    each = min(max(most // len(material.unseen.groups), FEWEST), MOST)
    found = []
    for done, (M, places) in enumerate(sorted(by_length.items())):
        tick(f"groups of {M} examples", done / len(by_length))
        history = material.unseen.chosen(places)
        prompts = draw(history, M, material.seed + SEED_STEP, each * len(places))
        if prompts is not None:
            asked = ask(material.model, prompts)
            for place in np.unique(prompts.groups).tolist():
                found.append(_judged(history.groups[place], asked, prompts.groups == place))
    return tuple(found)


def longest(row_count: int, usual: int) -> int:
    """Return the largest length up to the usual one that rows suffice for; 0 of too few rows."""
    fitting = [M for M in LENGTHS if usual >= M and row_count >= M + FEWEST_QUERIES]
    return max(fitting, default=0)


def _judged(group: Group, asked: Asked, chosen: NDArray[np.bool_]) -> GroupJudged:
    own = Asked(
        asked.prompts.take(chosen),
        asked.answers[chosen],
        asked.half_widths[chosen],
        asked.modes[chosen],
    )
    line = own_line(group)
    own_error = np.nan if line is None else line.error(own.prompts)
    return GroupJudged(group, own, line, _error(own.prompts, own.answers), own_error)


def _error(prompts: Prompts, answers: Array) -> float:
    error = nrmse(prompts, answers)  # (P,)
    given = error[np.isfinite(error)]  # (n,)
    return float(np.median(given)) if len(given) else np.nan
