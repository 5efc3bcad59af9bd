"""What a model gives back for a block of prompts."""

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.refusal import Refusal

Array = NDArray[np.float64]


class Mode(IntEnum):
    """What really answered; the numbers are those of the contract."""

    PAPER = 1
    FOUNDATION = 2
    PROFILE = 3
    MEAN = 4


class Solver(IntEnum):
    """How the layers reached the answer; the numbers are those of the contract."""

    NONE = 0
    K1 = 1
    K2 = 2
    K4 = 3
    EXACT = 4


class Caution(IntEnum):
    """A warning beside an answer; the numbers are those of the contract."""

    FEW_EXAMPLES = 1
    CONSTANT_FEATURE = 2
    CONSTANT_TARGET = 3
    RANK_DEFICIENT = 4
    EXTRAPOLATION = 5
    OUT_OF_PROFILE_RANGE = 6
    LABEL_OUTLIER = 7
    DUPLICATE_EXAMPLES = 8
    IMPUTED = 9
    UNCALIBRATED_INTERVAL = 10
    PROVISIONAL_PROFILE = 11
    NO_BETTER_THAN_MEAN = 12
    QUERY_SHIFT = 13
    FALLBACK_USED = 14
    SUMMARY_INCOMPLETE = 15


class Warned(NamedTuple):
    """One caution about one prompt: a sentence, the field and the zero-based place at fault."""

    prompt: int
    caution: Caution
    sentence: str
    field: str = ""
    place: int = -1


class Answer(NamedTuple):
    """Predictions of a block, and how each prompt was answered; NaN where a prompt was refused."""

    predictions: Array  # (B, Q)
    modes: bytearray  # (B,) Mode, 0 where refused
    solvers: bytearray  # (B,) Solver
    warned: Sequence[Warned] = ()
    refusals: Sequence[tuple[int, Refusal]] = ()


def settled(
    answers: Array,
    modes: bytearray,
    solvers: bytearray,
    warned: Sequence[Warned],
    refused: Sequence[tuple[int, Refusal]],
) -> Answer:
    """Return the answers (B, Q) with refused prompts blanked, those that overflow among them."""
    if not math.isfinite(np.add.reduce(answers, axis=None)):
        refused = [*refused, *_overflows(answers, {prompt for prompt, _ in refused})]
    for prompt, _ in refused:
        answers[prompt], modes[prompt], solvers[prompt] = np.nan, 0, 0
    return Answer(answers, modes, solvers, warned, refused)


def _overflows(answers: Array, known: set[int]) -> Iterator[tuple[int, Refusal]]:
    sentence = "expected numbers whose answer fits a double, got an overflow"
    for prompt in np.flatnonzero(~np.isfinite(answers).all(axis=1)):
        if prompt not in known:
            yield int(prompt), Refusal("NUMERIC_OVERFLOW", "examples", sentence)
