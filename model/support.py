"""What stands beside an answer: how far it may be off, what it consists of, what looks odd.

A model makes it on request only, from the smoother that answered (docs/intervals.md).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Caution, Warned, settled
from model.detectors import Finding, duplicates, label_outliers, query_shift
from model.explain import Explanation, Smoother, explain
from model.intervals import Intervals, Method
from model.moments import Moments
from model.prompt import Block
from model.refusal import Refusal

Array = NDArray[np.float64]


class Wanted(NamedTuple):
    """What a caller asks for beside predictions: intervals at some of LEVELS, an explanation."""

    levels: tuple[float, ...] = ()
    explanation: bool = False


class Supported(NamedTuple):
    """An answer and what stands beside it; None is what was not wanted, or cannot be had."""

    answer: Answer
    intervals: Intervals | None = None
    explanation: Explanation | None = None


def supported(
    answer: Answer,
    block: Block,
    smoother: Smoother,
    intervals: Intervals | None,
    wanted: Wanted,
    inverts: bool = True,
    certificate: Array | None = None,
) -> Supported:
    """Return the answer of a smoother with what is wanted beside, and the doubts it gives rise to.

    A prompt whose numbers beside the answer do not fit a double is refused alone. `inverts` says
    that P inverts G + λI: else what its errors say of a single label means nothing. `certificate`
    (B, Q) is what one more pass would add.
    """
    explanation = None
    if wanted.explanation:
        explanation = explain(smoother)._replace(corrections=certificate)
    warned = [*answer.warned, *_doubts(block, smoother, inverts)]
    if intervals is not None:
        warned += _unpromised(block, intervals, wanted.levels)
    refused = [*answer.refusals, *overflows(answer, intervals, explanation)]
    answer = settled(answer.predictions, answer.modes, answer.solvers, warned, refused)
    return Supported(answer, intervals, explanation)


def _doubts(block: Block, smoother: Smoother, inverts: bool) -> list[Warned]:
    """Return what a prompt says against itself; a summary says nothing."""
    if isinstance(block.context, Moments):
        return []
    findings = [*duplicates(block.context), *query_shift(smoother)]
    if inverts:
        findings += label_outliers(smoother)
    return [warned_of(finding) for finding in findings]


def warned_of(finding: Finding) -> Warned:
    """Return a finding as a caution beside an answer."""
    prompt, code, sentence, field, place = finding
    return Warned(prompt, Caution[code], sentence, field, place)


def _unpromised(block: Block, intervals: Intervals, levels: tuple[float, ...]) -> Iterator[Warned]:
    """Warn of the levels whose coverage is not promised, once a prompt."""
    varies = intervals.standard_errors.max(axis=1) > 0.0  # (B,)
    promised = intervals.honoured & varies[:, None]  # (B, L)
    for prompt in np.flatnonzero(~promised.all(axis=1)).tolist():
        missed = " and ".join(
            f"{level:.2f}" for level, kept in zip(levels, promised[prompt], strict=True) if not kept
        )
        M, d = block.example_count, block.queries.shape[2]
        reason = f"{M} examples of {d} features are too few"
        if not varies[prompt]:
            reason = "examples without any spread in their error cannot tell how far it goes"
        elif intervals.method != Method.UNCALIBRATED:
            reason = f"history holds too few prompts of about {M} examples"
        sentence = f"{reason}: an interval at {missed} may cover less than it says"
        yield Warned(prompt, Caution.UNCALIBRATED_INTERVAL, sentence, "examples")


def overflows(
    answer: Answer, intervals: Intervals | None, explanation: Explanation | None
) -> Iterator[tuple[int, Refusal]]:
    """Refuse prompts answered with numbers beside the answer that are not finite, each once."""
    known = {prompt for prompt, _ in answer.refusals}
    for option, what, array in _numbers(intervals, explanation):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)  # (B,)
        for prompt in np.flatnonzero(~finite).tolist():
            if prompt not in known:
                known.add(prompt)
                sentence = f"expected units in which {what} fit a double, got an overflow"
                yield prompt, Refusal("NUMERIC_OVERFLOW", f"options.{option}", sentence)


def _numbers(
    intervals: Intervals | None, explanation: Explanation | None
) -> Iterator[tuple[str, str, Array]]:
    """Yield what must be finite, with the option that asked for it and what it is called."""
    if intervals is not None:
        yield "include_uncertainty", "standard errors", intervals.standard_errors
    if explanation is not None:
        option, intercepts = "include_attributions", explanation.intercepts[:, None]  # (B, 1)
        yield option, "coefficients", np.append(explanation.coefficients, intercepts, axis=1)
        yield option, "shares of the profile", explanation.profile_shares
        if explanation.weights is not None:
            yield option, "weights of examples", explanation.weights
        if explanation.corrections is not None:
            yield option, "certificates", explanation.corrections
