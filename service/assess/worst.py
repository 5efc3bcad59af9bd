"""The held-out groups that are answered worst: by name, shown, with a reason, and taken apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.features import columns
from model.profile_fit import Tick
from service.assess.apart import take_apart
from service.assess.findings import WorstGroup
from service.assess.group_errors import GroupJudged, judge_groups
from service.assess.material import Material
from service.assess.outside import learnt_from
from service.assess.reasons import Usual, reason, usual_of
from service.held_out import PROFILE

Array = NDArray[np.float64]

NAMED, SHOWN = 3, 200
SMALLEST_ERROR = 1e-12  # of perfect answers, so that a ratio is finite


def worst_groups(
    material: Material, tick: Tick
) -> tuple[tuple[float, ...], tuple[WorstGroup, ...]]:
    """Return the error of every held-out group, the smallest first, and the worst three.

    A group whose prompts were all refused has no error.
    """
    judged = [one for one in judge_groups(material, tick) if np.isfinite(one.error)]
    if not judged:
        return (), ()
    tick("the worst groups", 1.0)
    judged.sort(key=lambda one: one.error)
    usual = usual_group(material, judged)
    found = [worst_group(material, one, usual) for one in judged[: -NAMED - 1 : -1]]
    return tuple(one.error for one in judged), tuple(found)


def usual_group(material: Material, judged: Sequence[GroupJudged]) -> Usual:
    """Return what a group of these is usually like, beside what the profile learnt."""
    short = {
        cell.example_count: float(np.median(error))
        for cell in material.cells
        if len(error := cell.error[PROFILE][np.isfinite(cell.error[PROFILE])])
    }
    has_learnt = bool(material.fitted.parameters.buckets)
    learnt = learnt_from(material.known.groups) if has_learnt else None
    names = tuple(column.name for column in columns(material.found.sources))
    return usual_of(judged, short, learnt, names)


def worst_group(material: Material, one: GroupJudged, usual: Usual) -> WorstGroup:
    """Return what is said of one group."""
    prompts, misses = one.asked.prompts, np.abs(one.asked.misses)  # (P, Q)
    p, q = np.unravel_index(np.where(np.isfinite(misses), misses, -1.0).argmax(), misses.shape)
    sources, asked = material.found.sources, prompts.queries[p, q]
    apart = take_apart(material.model, sources, prompts.x[p], prompts.y[p], asked)
    code, detail = reason(one, usual)
    return WorstGroup(
        name=one.group.name,
        error=one.error,
        ratio=one.error / max(usual.middle_error, SMALLEST_ERROR),
        prompt_count=len(prompts.y),
        answers=_shown(prompts.targets, one.asked.answers, np.isfinite(misses)),
        code=code,
        detail=detail,
        truth=float(prompts.targets[p, q]),
        answer=apart.answer,
        base=apart.base,
        shares=apart.shares,
    )


def _shown(
    targets: Array, answers: Array, given: NDArray[np.bool_]
) -> tuple[tuple[float, float], ...]:
    """Return at most SHOWN pairs of truth and answer, evenly among the queries answered."""
    truth, answer = targets[given], answers[given]  # (n,), (n,)
    if len(truth) > SHOWN:
        kept = np.linspace(0, len(truth) - 1, SHOWN).astype(np.intp)  # (SHOWN,)
        truth, answer = truth[kept], answer[kept]
    return tuple(zip(truth.tolist(), answer.tolist(), strict=True))
