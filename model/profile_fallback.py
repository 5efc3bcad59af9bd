"""What happens to prompts that a profile should not answer (docs/model.md, 6).

`foundation` answers those that agree with themselves: in units the profile does not know, a model
without scales of its own is better by orders of magnitude. Where even that has nothing to go on the
mean of the labels answers; where queries belong to another prompt, nobody does.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Caution, Mode, Solver, Warned, settled
from model.coordinates import Centred
from model.detectors import Finding
from model.foundation import FoundationModel
from model.moments import Moments
from model.profile_parameters import BucketParameters
from model.profile_range import out_of_range
from model.prompt import Block, Examples
from model.refusal import Refusal
from model.standardise import standardise

Array = NDArray[np.float64]
Places = NDArray[np.intp]

CONSISTENT_SD = 30.0  # of the prompt's own; beyond, its queries are of another kind
WITHOUT = "answered without the history's profile: "
COLD = "COLD_PROFILE"  # code of a finding about the profile and not about the prompt


def cold(block: Block, group_count: int) -> list[Finding]:
    """Return that no prompt of the block has a profile to answer it."""
    sentence = f"{group_count} groups of history are too few for a profile"
    return [Finding(prompt, COLD, sentence) for prompt in range(len(block.queries))]


def unfit(block: Block, bucket: BucketParameters, centred: Centred) -> list[Finding]:
    """Return why the profile should not answer, one finding a prompt."""
    found = out_of_range(block, bucket.reference)
    size = np.abs(centred.scatter).sum(axis=(1, 2))  # (B,)
    known = {finding.prompt for finding in found}
    sentence = "expected features whose squares fit a double, got others"
    for prompt in np.flatnonzero(~np.isfinite(size)):
        if prompt not in known:
            found.append(Finding(int(prompt), "", sentence, "examples.features"))
    return found


def chosen(block: Block, prompts: Places) -> Block:
    """Return some prompts of a block."""
    context: Examples | Moments
    if isinstance(block.context, Moments):
        whole = block.context
        context = replace(
            whole,
            mean=whole.mean[prompts],
            label_mean=whole.label_mean[prompts],
            scatter=None if whole.scatter is None else whole.scatter[prompts],
            products=whole.products[prompts],
            label_scatter=whole.label_scatter[prompts],
        )
    else:
        context = Examples(block.context.x[prompts], block.context.y[prompts])
    return Block(context, block.queries[prompts], block.names)


def fall_back(
    block: Block, findings: Sequence[Finding], fallback: FoundationModel | None
) -> Answer:
    """Answer a block of which every prompt has its finding; prompts are numbered as in the block.

    A finding says why the profile does not answer; it is the caution beside the answer, or the
    refusal.
    """
    prompts = standardise(block)
    far = ~(np.abs(prompts.queries).max(axis=(1, 2)) <= CONSISTENT_SD)  # (B,) NaN is far
    is_cold = np.array([finding.code == COLD for finding in findings])  # (B,)
    flat = prompts.label_constant | prompts.constant.all(axis=1)  # (B,)
    if fallback and block.example_count >= fallback.example_count_min:
        answer = fallback.answer(block)
        refused = far & ~is_cold  # (B,)
    else:
        answer = _means(block)
        refused = (far & ~is_cold) | ~(flat | (block.example_count < 4))  # (B,)
    refusals = [(b, _refusal(finding)) for b, finding in enumerate(findings) if refused[b]]
    refusals += [(b, refusal) for b, refusal in answer.refusals if not refused[b]]
    gone = {prompt for prompt, _ in refusals}
    notes = [_note(finding, b) for b, finding in enumerate(findings) if b not in gone]
    kept = [caution for caution in answer.warned if caution.prompt not in gone]
    return settled(answer.predictions, answer.modes, answer.solvers, [*notes, *kept], refusals)


def _means(block: Block) -> Answer:
    """Answer with the means of the labels."""
    context, (B, Q, _) = block.context, block.queries.shape
    mean = context.label_mean if isinstance(context, Moments) else context.y.mean(axis=1)  # (B,)
    answers = np.repeat(mean[:, None], Q, axis=1)  # (B, Q)
    return Answer(answers, bytearray([Mode.MEAN]) * B, bytearray([Solver.NONE]) * B)


def _note(finding: Finding, prompt: int) -> Warned:
    sentence = WITHOUT + finding.sentence
    return Warned(prompt, Caution.FALLBACK_USED, sentence, finding.field)


def reason(answer: Answer, prompt: int) -> str:
    """Return why a profile did not answer a prompt that another model did; empty where it did."""
    for one in answer.warned:
        if one.prompt == prompt and one.caution == Caution.FALLBACK_USED:
            return one.sentence.removeprefix(WITHOUT)
    return ""


def _refusal(finding: Finding) -> Refusal:
    if finding.code == COLD:
        sentence = f"expected a profile, got none: {finding.sentence}"
        return Refusal("FALLBACK_FORBIDDEN", "model", sentence)
    return Refusal("OUT_OF_RANGE_FEATURE", finding.field, finding.sentence)
