"""Choosing a profile's coordinates by cross-validation over groups (docs/model.md, 6).

Never over rows: a profile answers for groups it has not seen.
"""

import numpy as np
from numpy.typing import NDArray

from model.coordinates import ALL, INTERCEPT
from model.foundation import FoundationModel
from model.history import Prompts
from model.profile_bucket import fit_bucket
from model.profile_layers import exact_answers

Array = NDArray[np.float64]

FEWEST_GROUPS = 10
FOLDS = 3
MARGIN = 0.05  # of the score that others must beat `intercept` by, or chance would choose
SMALLEST_ERROR = 1e-12  # of a perfect answer, so that its logarithm is finite


def choose_coordinates(prompts: Prompts) -> str:
    """Return the coordinates of least held-out error, `intercept` unless beaten by MARGIN."""
    if len(np.unique(prompts.groups)) < FEWEST_GROUPS:
        return INTERCEPT
    scores = {kind: held_out_score(prompts, kind) for kind in ALL}
    best = min(scores, key=lambda kind: scores[kind])
    return best if scores[best] <= scores[INTERCEPT] - MARGIN else INTERCEPT


def held_out_score(prompts: Prompts, coordinates: str) -> float:
    """Return the mean over folds of ln(median) + ½ ln(pooled) + ½ ln(90 % quantile) of the error.

    Each fold's groups are answered by the exact solve of a prior that never saw them.
    """
    order = np.unique(prompts.groups, return_inverse=True)[1]  # (P,)
    scores = []
    for fold in range(FOLDS):
        unseen = order % FOLDS == fold  # (P,)
        bucket = fit_bucket(prompts.take(~unseen), coordinates)
        asked = prompts.take(unseen)
        scores.append(_score(asked, exact_answers(asked.block, bucket)))
    return float(np.mean(scores))


def worst_ratio(prompts: Prompts, foundation: FoundationModel) -> float:
    """Return the largest ratio, over groups left out, of our median error to that of `foundation`.

    What two or three groups must show before a profile of them may serve.
    """
    ratios = []
    for group in np.unique(prompts.groups):
        unseen = prompts.groups == group  # (P,)
        asked = prompts.take(unseen)
        ours = exact_answers(asked.block, fit_bucket(prompts.take(~unseen), INTERCEPT))  # (n, Q)
        theirs = foundation.answer(asked.block).predictions  # (n, Q)
        errors = [np.nanmedian(prompt_errors(asked, answers)) for answers in (ours, theirs)]
        ratios.append(float(errors[0] / max(errors[1], SMALLEST_ERROR)))
    return max(ratios)


def _score(prompts: Prompts, answers: Array) -> float:
    error = prompts.weight * (answers - prompts.targets) ** 2  # (P, Q)
    spread = prompts.weight * (prompts.y.mean(axis=1)[:, None] - prompts.targets) ** 2  # (P, Q)
    pooled = np.sqrt(error.sum() / max(float(spread.sum()), SMALLEST_ERROR))
    relative = prompt_errors(prompts, answers)  # (P,)
    parts = np.array([np.median(relative), np.quantile(relative, 0.9), pooled])  # (3,)
    score: float = np.log(np.maximum(parts, SMALLEST_ERROR)) @ np.array([1.0, 0.5, 0.5])
    return score


def prompt_errors(prompts: Prompts, answers: Array) -> Array:
    """Return each prompt's RMSE over its queries by the deviation of its labels.

    Prompts whose labels are all the same have no such error and are left out.
    """
    square = (prompts.weight * (answers - prompts.targets) ** 2).sum(axis=1)  # (P,)
    deviation = prompts.y.std(axis=1)  # (P,)
    told = deviation > 1e-12 * np.abs(prompts.y).max(axis=1)  # (P,)
    rmse = np.sqrt(square / prompts.weight.sum(axis=1))  # (P,)
    errors: Array = rmse[told] / deviation[told]
    return errors if len(errors) else rmse
