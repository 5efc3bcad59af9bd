"""Why a group's error is large, where the numbers tell.

With e the group's error and s that of its own best line, e_0 and s_0 the same of the middle group,
and e_M that of the middle group with as few examples as this one, exactly

    e / e_0 = (e_M / e_0) · (s / s_0) · (e s_0 / (s e_M))

         too few rows for the usual number · even its own line errs · its line is not our answer.

The largest factor is the reason, where it is at least 1.25 and beyond chance: the spread around a
line from f spare rows, seen in the median of P prompts of Q queries, is off by a factor of e^t with
t² = 1/(2f) + (π/2)/(2PQ), and three such steps are chance. Before that comes what the profile never
learnt: rows outside of its groups', or prompts it did not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.history import FEWEST_QUERIES, QUERIES
from service.assess.group_errors import GroupJudged
from service.assess.outside import Farthest, Learnt

Array = NDArray[np.float64]
Detail = Mapping[str, str | float | int]

PLAIN = 1.25  # an error, or a factor of it, that is not larger needs no reason
MOSTLY_LEFT = 0.5  # share of a group's prompts from which another model answers the group
SMALLEST = 1e-6  # NRMSE; below, an error is rounding
NONE = -1.0  # in a detail: not known


@dataclass(frozen=True, slots=True)
class Usual:
    """What the middle held-out group is like, and what the profile learnt from."""

    example_count: int
    error: float  # NRMSE of the groups that give the usual number of examples
    short_error: Mapping[int, float]  # NRMSE by number of examples
    middle_error: float  # NRMSE of all groups
    own_error: float  # NRMSE of groups' own lines; NaN where no group has one
    noise: float
    label_spread: float
    rows: int
    slopes: Array  # (d,) NaN where no group has a line
    learnt: Learnt | None  # None where there is no profile to have learnt
    names: tuple[str, ...]  # (d,)


def usual_of(
    groups: Sequence[GroupJudged],
    short_error: Mapping[int, float],
    learnt: Learnt | None,
    names: tuple[str, ...],
) -> Usual:
    """Return the middle of groups that were answered."""
    M = max(one.asked.example_count for one in groups)
    lines = [one for one in groups if one.line is not None]
    slopes = [one.line.slopes for one in groups if one.line is not None]
    return Usual(
        example_count=M,
        error=_middle([one.error for one in groups if one.asked.example_count == M]),
        short_error=short_error,
        middle_error=_middle([one.error for one in groups]),
        own_error=_middle([one.own_error for one in lines]),
        noise=_middle([one.line.noise for one in groups if one.line is not None]),
        label_spread=_middle([float(one.group.y.std()) for one in groups]),
        rows=int(_middle([len(one.group.y) for one in groups])),
        slopes=np.median(slopes, axis=0) if slopes else np.full(len(names), np.nan),
        learnt=learnt,
        names=names,
    )


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else np.nan


def reason(one: GroupJudged, usual: Usual) -> tuple[str, Detail]:
    """Return the code of why a group errs, and what the sentence of the code names."""
    code, detail = _reason(one, usual)
    rows: Detail = {
        "rows": len(one.group.y),
        "usual_rows": usual.rows,
        "examples": one.asked.example_count,
        "refused": one.refused,
    }
    return code, {**rows, **detail}


def _reason(one: GroupJudged, usual: Usual) -> tuple[str, Detail]:
    is_plain = one.error < PLAIN * usual.middle_error
    factor = "" if is_plain else largest_factor(one, usual)
    if usual.learnt is not None:
        found = usual.learnt.farthest(one.group, with_label=factor != "noisy")
        if one.left >= MOSTLY_LEFT or (found.excess > 1.0 and not is_plain):
            return "unlike_history", _unlike(one, found, usual)
    if factor == "noisy":
        return "noisy", _noisy(one, usual)
    if factor == "shifted":
        return "shifted", _shifted(one, usual)
    judged = len(one.group.y) - one.asked.example_count
    if factor == "few_rows" or (not is_plain and judged < QUERIES):
        cause = "fewer_examples" if factor == "few_rows" else "few_judged"
        return "few_rows", {"cause": cause, **_few_rows(one, usual, judged)}
    own = {"own_error": _told(one.own_error), "usual_own_error": _told(usual.own_error)}
    return "unexplained", {**own, "usual_error": usual.middle_error}


def largest_factor(one: GroupJudged, usual: Usual) -> str:
    """Return the code of the largest factor of a group's error; empty where none is plain."""
    short = usual.short_error.get(one.asked.example_count, usual.error)
    factors = {"few_rows": short / max(usual.error, SMALLEST)}
    limits = {"few_rows": PLAIN}
    if one.line is not None:
        chance = max(PLAIN, _chance(one, one.line.free))
        own, middle = max(one.own_error, SMALLEST), max(usual.own_error, SMALLEST)
        factors |= {"noisy": own / middle}
        factors |= {"shifted": one.error * middle / (own * max(short, SMALLEST))}
        limits |= {"noisy": chance, "shifted": chance}
    plain = [code for code, factor in factors.items() if factor >= limits[code]]
    return max(plain, key=lambda code: factors[code], default="")


def _chance(one: GroupJudged, free: int) -> float:
    """Return the factor within which chance may put an error seen in a group's queries."""
    queries = float(one.asked.prompts.weight.sum())
    return float(np.exp(3.0 * np.sqrt(0.5 / free + 0.25 * np.pi / queries)))


def _unlike(one: GroupJudged, found: Farthest, usual: Usual) -> Detail:
    is_label = found.column == len(usual.names)
    return {
        "column": "" if is_label else usual.names[found.column],
        "part": "target" if is_label else "feature",
        "deviations": found.deviations,
        "direction": found.direction,
        "middle": found.middle,
        "usual": found.usual,
        "spread": found.spread,
        "left": one.left,
    }


def _noisy(one: GroupJudged, usual: Usual) -> Detail:
    assert one.line is not None  # else no factor says noisy
    louder = one.line.noise / max(usual.noise, np.finfo(float).tiny)
    flatter = usual.label_spread / float(one.group.y.std())
    return {
        "cause": "noise" if louder >= flatter else "little_to_tell",
        "own_error": one.own_error,
        "usual_own_error": usual.own_error,
        "noise": one.line.noise,
        "usual_noise": usual.noise,
        "label_spread": float(one.group.y.std()),
        "usual_label_spread": usual.label_spread,
    }


def _shifted(one: GroupJudged, usual: Usual) -> Detail:
    assert one.line is not None  # else no factor says shifted
    j = int(np.abs((one.line.slopes - usual.slopes) * one.line.spread).argmax())
    return {
        "own_error": one.own_error,
        "error": one.error,
        "usual_error": usual.middle_error,
        "column": usual.names[j],
        "slope": float(one.line.slopes[j]),
        "usual_slope": float(usual.slopes[j]),
    }


def _few_rows(one: GroupJudged, usual: Usual, judged: int) -> Detail:
    return {
        "needed": usual.example_count + FEWEST_QUERIES,
        "usual_examples": usual.example_count,
        "usual_error": usual.error,
        "short_error": usual.short_error.get(one.asked.example_count, usual.error),
        "judged": judged,
    }


def _told(value: float) -> float:
    return value if np.isfinite(value) else NONE
