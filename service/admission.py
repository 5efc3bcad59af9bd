"""Whether a fresh profile may serve, judged by groups it has not seen, and in which words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.profile_parameters import HEALTHY_GROUPS
from service.held_out import BOOSTING, MEAN, PROFILE, RIDGE, Cell, ratio

WORST_RATIO = 1.05  # of the error to that of ridge-CV: above it, history has done harm
LEAST_GAIN = 0.95  # of the error to that of the mean: nearer to 1 it must be certain
NOTEWORTHY = 0.03  # a smaller difference is called none


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict: `refusal` says why the profile is not stored, empty when it is."""

    state: Literal["provisional", "healthy"]
    sentence: str
    refusal: str
    no_better_than_mean: tuple[int, ...]


def admit(cells: Sequence[Cell], group_count: int, seed: int) -> Admission:
    """Judge a profile by its held-out prompts, all lengths together."""
    worse = tuple(c.example_count for c in cells if not c.median(PROFILE) < c.median(MEAN))
    state: Literal["provisional", "healthy"] = (
        "healthy" if group_count >= HEALTHY_GROUPS else "provisional"
    )
    return Admission(state, good_for(cells, worse), refusal(cells, seed), worse)


def refusal(cells: Sequence[Cell], seed: int) -> str:
    """Return why a profile must not serve; empty when it may."""
    if not cells:
        return "no held-out group is long enough to test it on"
    for cell in cells:
        if not np.isfinite(cell.median(PROFILE)):
            of = f"{cell.unanswered(PROFILE)} of {len(cell.group)} held-out prompts"
            return f"it gives no answer to {of} of {cell.example_count} examples"
    to_mean, _, highest = ratio(cells, PROFILE, MEAN, seed)
    if not (to_mean < LEAST_GAIN or (to_mean < 1.0 and highest < 1.0)):
        return (
            f"on groups it has not seen its error is {to_mean:.2f} times that of the mean of a "
            "prompt's own labels, so the features say nothing that carries over"
        )
    to_ridge, low, _ = ratio(cells, PROFILE, RIDGE, seed)
    if not (to_ridge <= WORST_RATIO and low <= 1.0):
        return (
            f"on groups it has not seen its error is {to_ridge:.2f} times that of ridge regression "
            "on each prompt alone, which needs no history"
        )
    return ""


def good_for(cells: Sequence[Cell], no_better_than_mean: Sequence[int]) -> str:
    """Return what the profile is good for, in plain sentences."""
    if not cells:
        return "Nothing is known of its accuracy."
    first, last = cells[0], cells[-1]
    parts = [f"With {first.example_count} examples {_against_ridge(first)}"]
    if last is not first:
        parts.append(f"with {last.example_count} {_against_ridge(last)}")
    sentences = [", ".join(parts) + "."]
    better = [
        str(c.example_count)
        for c in cells
        if BOOSTING in c.error and c.median(BOOSTING) < (1 - NOTEWORTHY) * c.median(PROFILE)
    ]
    if better:
        sentences.append(
            f"Pooled gradient boosting is better at {_listed(better)} examples: the labels do not "
            "follow the features linearly, and this model is linear."
        )
    if no_better_than_mean:
        lengths = _listed([str(length) for length in no_better_than_mean])
        sentences.append(f"At {lengths} examples it is no better than the mean of the labels.")
    return " ".join(sentences)


def _against_ridge(cell: Cell) -> str:
    share = cell.median(PROFILE) / max(cell.median(RIDGE), 1e-12) - 1.0
    if abs(share) < NOTEWORTHY:
        return "it errs as much as ridge regression on the prompt alone"
    more = "less" if share < 0 else "more"
    return f"it errs {abs(share):.0%} {more} than ridge regression on the prompt alone"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
