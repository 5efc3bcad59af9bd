"""The model of a business's own history: the layers with a learnt prior (docs/model.md, 6).

A prompt that is not of the profile's kind goes down a ladder, and `mode` says where it ended:
`foundation`, which knows no history; the mean of the labels; a refusal.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.alone import Alone, Together
from model.answer import Answer, Caution, Mode, Warned, settled
from model.calibration import Calibration
from model.coordinates import Centred, centre
from model.detectors import Imputed, impute
from model.em import TaskPrior
from model.estimator import Estimator
from model.explain import Smoother
from model.foundation import FoundationModel
from model.layers import Steps
from model.moments import Moments
from model.profile_doubts import DoubtLimits, doubted
from model.profile_fallback import chosen, cold, fall_back, unfit
from model.profile_fit import fit
from model.profile_joint import answer_together
from model.profile_layers import answers, climb, exact_answers, natural, tokens
from model.profile_parameters import BucketParameters, ProfileParameters, nearest_length
from model.profile_single import SinglePrompt
from model.profile_smoother import known_risk, smoother_of
from model.profile_support import support
from model.prompt import Block
from model.refusal import Refusal
from model.support import Supported, Wanted

__all__ = ["BucketParameters", "ProfileModel", "ProfileParameters", "fit"]

Array = NDArray[np.float64]

LENGTHS_KEPT = 128  # callers choose lengths, so the memory of them is bounded
LONGEST_KEPT = 4096  # examples, of which an array is kept
FEW_QUERIES = 64  # of one prompt: answering each beats forming P


class ProfileModel:
    """The layers of `steps` with the prior of a history; by default the profile's own steps.

    Without a `fallback`, prompts that are not of the profile's kind are refused. At the lengths of
    `no_better_than_mean` every answer says so. A block's prompts
    are refused alone; a summary without second moments is refused whole.
    """

    mode = Mode.PROFILE

    def __init__(
        self,
        parameters: ProfileParameters,
        steps: Steps | None = None,
        fallback: FoundationModel | None = None,
        correction_bound: float = 0.05,
        calibration: Calibration | None = None,
        doubts: DoubtLimits | None = None,
        no_better_than_mean: Sequence[int] = (),
    ) -> None:
        own = [(float(a), float(b)) for a, b in parameters.steps]
        self._parameters = parameters
        self._steps: Steps = own if steps is None else steps
        self._fallback, self._bound = fallback, correction_bound
        self._calibration, self._doubts = calibration, doubts
        self._no_better = frozenset(no_better_than_mean)
        self._lengths: dict[int, SinglePrompt] = {}

    @property
    def parameters(self) -> ProfileParameters:
        """What was learnt."""
        return self._parameters

    @property
    def calibration(self) -> Calibration | None:
        """What intervals rest on."""
        return self._calibration

    @property
    def doubts(self) -> DoubtLimits | None:
        """From where prompts look strange."""
        return self._doubts

    def renewed(self, parameters: ProfileParameters, calibration: Calibration | None) -> Self:
        """Return a model that differs in what was learnt, and in nothing else."""
        return type(self)(
            parameters,
            fallback=self._fallback,
            correction_bound=self._bound,
            calibration=calibration,
            doubts=self._doubts,
            no_better_than_mean=tuple(self._no_better),
        )

    @property
    def feature_count(self) -> int:
        """d, the number of features of the history."""
        return self._parameters.feature_count

    @property
    def example_count_min(self) -> int:
        """2 where the shortest prompts are answered with a learnt intercept, else 4."""
        buckets = self._parameters.buckets
        return 2 if buckets and buckets[0].has_intercept else 4

    @property
    def is_provisional(self) -> bool:
        """Whether the profile rests on few groups."""
        return self._parameters.state == "provisional"

    def answer(self, block: Block) -> Answer:
        """Answer every prompt of the block: by the profile, else down the ladder."""
        context = block.context
        if isinstance(context, Moments):
            _check_summary(context)
        elif len(context.x) == 1:
            M = context.x.shape[1]
            solve = self.alone(M, block.queries.shape[1])
            quick = solve(context.x[0], context.y[0], block.queries[0]) if solve else None
            if quick:
                modes, solvers = bytearray((Mode.PROFILE,)), bytearray((quick[1],))
                return Answer(quick[0][None], modes, solvers, self.notes(M))
        return self._answer_all(block)

    def alone(self, example_count: int, query_count: int) -> Alone | None:
        """Return what answers single prompts of a length (`model.alone`); None of many queries."""
        if query_count > FEW_QUERIES or not self._has_buckets:
            return None
        return self._single(example_count).finite

    def together(self, example_count: int, query_count: int) -> Together | None:
        """Return what answers a few prompts of a length at once; None of many queries."""
        if query_count > FEW_QUERIES or not self._has_buckets:
            return None
        return partial(answer_together, self._single(example_count))

    def notes(self, example_count: int) -> Sequence[Warned]:
        """Return what is to be said of every answer of this profile to prompts of a length."""
        return self._notes(1, example_count)

    def support(self, block: Block, wanted: Wanted) -> Supported:
        """Answer as `answer` does, and give what is wanted beside."""
        answer = self.answer(block)
        prior = self.prior(block.example_count) if self._has_buckets else None
        doubter = None if self._doubts is None else self._doubted
        of = (self.smoother, self._calibration, self._fallback, prior, doubter)
        return support(block, wanted, answer, *of)

    def _doubted(self, answer: Answer, block: Block, smoother: Smoother) -> Answer:
        """Return an answer of this profile with what of its prompts is unlike history."""
        assert self._doubts is not None
        reference = self._parameters.bucket(block.example_count).reference
        return doubted(answer, block, reference, smoother, self._doubts)

    def fill(self, block: Block) -> Imputed:
        """Fill missing features of examples and queries by what history knows of a prompt."""
        if not self._has_buckets:
            sentence = "expected it unset, for a profile without history knows no features"
            raise Refusal("UNSUPPORTED_OPTION", "options.missing_value_policy", sentence)
        known = self._parameters.bucket(block.example_count).reference
        return impute(block, known.mean, known.within_sd, known.correlation)

    @property
    def _has_buckets(self) -> bool:
        return bool(self._parameters.buckets)

    def _single(self, count: int) -> SinglePrompt:
        """Return what every prompt of `count` examples shares."""
        known = self._lengths.get(count)
        if known is None:
            bucket = self._parameters.bucket(count)
            known = SinglePrompt(bucket, count, self._steps, self._bound)
            if len(self._lengths) < LENGTHS_KEPT and count <= LONGEST_KEPT:
                self._lengths[count] = known
        return known

    def _whitening(self, bucket: BucketParameters, count: int) -> Array:
        """Return C (p, p) for prompts of `count` examples: a summary may tell of 2^53."""
        if count <= LONGEST_KEPT:
            return self._single(count).whitening
        return bucket.whitening(count)

    def _answer_all(self, block: Block) -> Answer:
        if not self._has_buckets:
            return fall_back(block, cold(block, self._parameters.group_count), self._fallback)
        bucket = self._parameters.bucket(block.example_count)
        centred = centre(block, bucket.units, bucket.coordinates)
        found = {finding.prompt: finding for finding in unfit(block, bucket, centred)}
        if not found:
            return self._answer_fit(bucket, centred)
        B, Q = block.queries.shape[:2]
        fits = np.array([b for b in range(B) if b not in found], np.intp)  # (n,)
        rest = np.array(sorted(found), np.intp)  # (B-n,)
        findings = [found[int(b)] for b in rest]
        parts = [(rest, fall_back(chosen(block, rest), findings, self._fallback))]
        if len(fits):
            parts.append((fits, self._answer_fit(bucket, centred.take(fits))))
        return _joined(B, Q, parts)

    def _answer_fit(self, bucket: BucketParameters, centred: Centred) -> Answer:
        given = tokens(centred, bucket, self._whitening(bucket, centred.count))
        climbed = climb(given, self._steps, self._bound)
        working = answers(given, climbed, math.sqrt(bucket.noise_variance))  # (B, Q)
        modes = bytearray([Mode.PROFILE]) * len(working)
        notes = self._notes(len(working), centred.count)
        return settled(natural(centred, working), modes, climbed.solvers, notes, ())

    def _notes(self, prompt_count: int, example_count: int) -> Sequence[Warned]:
        """Return what is to be said of every answer of this profile to prompts of some length."""
        notes: list[tuple[Caution, str]] = []
        if self.is_provisional:
            sentence = f"the profile rests on {self._parameters.group_count} groups of history"
            notes.append((Caution.PROVISIONAL_PROFILE, sentence))
        if self._no_better and (length := nearest_length(example_count)) in self._no_better:
            sentence = f"on held-out groups the mean of {length} labels was as good as the profile"
            notes.append((Caution.NO_BETTER_THAN_MEAN, sentence))
        return [Warned(b, *note) for b in range(prompt_count) for note in notes]

    def smoother(self, block: Block) -> Smoother:
        """Return the served estimator of prompts whose mode was PROFILE, P = B/σ² and all.

        Its `prior_mean` is m; `prior` has Ψ and σ² in the same working coordinates.
        """
        bucket = self._parameters.bucket(block.example_count)
        centred = centre(block, bucket.units, bucket.coordinates)
        given = tokens(centred, bucket, self._whitening(bucket, centred.count))
        return smoother_of(centred, bucket, given, climb(given, self._steps, self._bound))

    def estimator(self, block: Block) -> Estimator:
        """Return `smoother` with σ² and T = Ψ of the bucket; of prompts whose mode was PROFILE."""
        prior = self.prior(block.example_count)
        return Estimator(self.smoother(block), prior.noise_variance, prior.covariance, inverts=True)

    def prior(self, example_count: int) -> TaskPrior:
        """Return (m, Ψ, σ²) for prompts of some length, in the smoother's coordinates."""
        return self._parameters.bucket(example_count).prior

    def risk(self, block: Block) -> Array:
        """Return h (B, Q), label units squared: the error each answer was to be expected to have.

        Of prompts whose mode was PROFILE.
        """
        return known_risk(self.smoother(block), self.prior(block.example_count))

    def exact(self, block: Block) -> Array:
        """Return the exact posterior mean (B, Q): the shadow baseline of the layers."""
        return exact_answers(block, self._parameters.bucket(block.example_count))


def _check_summary(context: Moments) -> None:
    if context.scatter is None:
        sentence = "expected the second moments (only a paper model answers without), got none"
        raise Refusal("BAD_SUMMARY", "summary.second_moments", sentence)


def _joined(B: int, Q: int, parts: Sequence[tuple[NDArray[np.intp], Answer]]) -> Answer:
    """Return the answers of a block from those of its parts, each with the places it answers."""
    predictions = np.full((B, Q), np.nan)  # (B, Q)
    modes, solvers = bytearray(B), bytearray(B)
    notes: list[Warned] = []
    refusals: list[tuple[int, Refusal]] = []
    for places, part in parts:
        predictions[places] = part.predictions
        for row, place in enumerate(places):
            modes[place], solvers[place] = part.modes[row], part.solvers[row]
        notes += [caution._replace(prompt=int(places[caution.prompt])) for caution in part.warned]
        refusals += [(int(places[row]), refusal) for row, refusal in part.refusals]
    notes.sort(key=lambda caution: caution.prompt)
    return Answer(predictions, modes, solvers, notes, sorted(refusals, key=lambda one: one[0]))
