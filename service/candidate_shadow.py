"""A candidate beside the version in force: on the same live prompts, off the reply path.

Both are judged by the mean squared error of each example left out, in the label's own unit, over
what is normal for the version in force at the prompt's length (`monitoring.paired`). What counts is
what a caller would get: where the candidate would hand a prompt to its fallback or to the mean of
the labels, theirs is the error. A prompt that it would refuse is left out and counted, for a
refusal has no error; who promotes sees how many there are.
"""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.checkpoint import Artifact
from model.estimator import Estimating, Estimator
from model.profile_fallback import chosen
from model.prompt import Block, Examples
from monitoring.harm import leave_one_out
from monitoring.paired import Paired
from monitoring.reference import Reference
from service.seen import served

log = logging.getLogger("sonoba")

Array = NDArray[np.float64]
Count = Callable[[str, int], None]
"""Is told an outcome, one of OUTCOMES, and of how many prompts."""

OUTCOMES = ("paired", "left_out", "failed")


class Beside:
    """One candidate beside one version: their sums begin with them, and end with either."""

    def __init__(self, candidate: Artifact, fallback: Estimating | None, count: Count) -> None:
        """Take who answers beside, and who would answer what is not of its kind."""
        self.candidate = candidate
        self._fallback, self._count = fallback, count
        self._has_failed = False
        self.paired = Paired()

    def look(self, block: Block, answered: Estimator, reference: Reference) -> None:
        """Take prompts of one shape, and what answered them in the version in force.

        A bug in the candidate costs these sums only; it is logged once, and they stop there.
        """
        if self._has_failed or not isinstance(block.context, Examples):
            return  # sums leave nothing out
        try:
            self._pair(block, answered, reference)
        except Exception:
            self._has_failed = True
            name, version = self.candidate.name, self.candidate.version
            log.exception("candidate %s of model %s failed beside it", version, name)
            self._count("failed", len(block.queries))

    @np.errstate(all="ignore")  # what is not finite is found in the numbers
    def _pair(self, block: Block, answered: Estimator, reference: Reference) -> None:
        theirs, is_answered = natural_errors(self.candidate, self._fallback, block)  # (B,), (B,)
        ours = natural(answered)  # (B,)
        lengths = np.full(len(ours), float(block.example_count))  # (B,)
        unit = answered.smoother.label_unit  # (B,)
        normal = reference.baselines.normal("loo", lengths) * unit * unit  # (B,) label units²
        self.paired.add(ours[is_answered], theirs[is_answered], normal[is_answered])
        left_out = int((~is_answered).sum())
        self._count("left_out", left_out)
        self._count("paired", len(ours) - left_out)


def natural_errors(
    artifact: Artifact, fallback: Estimating | None, block: Block
) -> tuple[Array, NDArray[np.bool_]]:
    """Return what the answers to a block of rows err on an example left out, and which there are.

    Errors (B,) are mean squares in label units², answered (B,) is false where it refuses.
    """
    model = artifact.model
    modes = np.frombuffer(model.answer(block).modes, np.uint8)  # (B,)
    errors = np.full(len(modes), np.nan)  # (B,)
    own = np.flatnonzero(modes == model.mode)
    if len(own) and isinstance(model, Estimating):
        errors[own] = natural(model.estimator(chosen(block, own)))
    handed = np.flatnonzero((modes == Mode.FOUNDATION) & (model.mode != Mode.FOUNDATION))
    if len(handed) and fallback is not None:
        errors[handed] = natural(fallback.estimator(chosen(block, handed)))
    means = np.flatnonzero(modes == Mode.MEAN)
    if len(means):
        errors[means] = _mean_errors(chosen(block, means))
    return errors, modes != 0


def natural(estimator: Estimator) -> Array:
    """Return the mean squared leave-one-out error (B,) of an estimator, label units²."""
    unit = estimator.smoother.label_unit  # (B,)
    error: Array = leave_one_out(served(estimator)) * unit * unit  # (B,)
    return error


def _mean_errors(block: Block) -> Array:
    """Return the same of the mean of the labels: y_i less the mean of the others."""
    assert isinstance(block.context, Examples)  # the caller's own check precedes
    y = block.context.y  # (B, M)
    M = y.shape[1]
    error: Array = (M / (M - 1)) ** 2 * y.var(axis=1)  # (B,)
    return error
