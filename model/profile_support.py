"""What stands beside a profile's answers, and the held-out errors its intervals rest on.

docs/intervals.md, section 4: every prompt that calibrates was answered by a fit that never saw its
group, so its error is that of a stranger.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Mode
from model.calibration import (
    Calibration,
    HeldOut,
    calibrate,
    calibrated,
    group_folds,
    held_out,
    joined,
)
from model.em import TaskPrior
from model.explain import Explanation, Smoother, corrections
from model.foundation import FoundationModel
from model.history import History, Prompts, draw
from model.intervals import Intervals, Method, query_leverages, uncalibrated
from model.profile_bucket import fit_bucket
from model.profile_doubts import DoubtLimits, limits_of
from model.profile_fallback import chosen
from model.profile_parameters import ProfileParameters
from model.profile_range import statistics, thresholds
from model.prompt import Block
from model.support import Supported, Wanted, overflows, supported

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Smoothed = Callable[[Block], Smoother]
Doubter = Callable[[Answer, Block, Smoother], Answer]

PROMPTS = 400  # drawn a length
FOLDS = 3


class Fold(NamedTuple):
    """Prompts of one length, and a profile that was fitted without their groups."""

    length: int
    prompts: Prompts
    parameters: ProfileParameters


def held_out_folds(history: History, parameters: ProfileParameters, seed: int) -> tuple[Fold, ...]:
    """Return the folds of every length, the shortest first; none of a length without two groups."""
    counts = parameters.feature_count, parameters.group_count
    found = []
    for bucket in parameters.buckets:
        prompts = draw(history, bucket.length, PROMPTS, seed + 1)  # not those of the fit
        folds = group_folds(prompts.groups, FOLDS)  # (P,)
        for fold in np.unique(folds) if folds.any() else ():
            fitted = fit_bucket(prompts.take(folds != fold), bucket.coordinates)
            of = ProfileParameters(*counts, parameters.steps, (fitted,))
            found.append(Fold(bucket.length, prompts.take(folds == fold), of))
    return tuple(found)


def calibrate_profile(
    folds: Sequence[Fold], smoothed: Callable[[ProfileParameters], Smoothed]
) -> Calibration | None:
    """Return what held-out groups say of a profile's errors; None without any fold.

    `smoothed` makes the served estimator of some parameters.
    """
    kept = []
    for _, same in groupby(folds, lambda fold: fold.length):
        kept.append(joined([_errors(fold.prompts, smoothed(fold.parameters)) for fold in same]))
    return calibrate(kept) if kept else None


def learn_doubts(
    folds: Sequence[Fold], smoothed: Callable[[ProfileParameters], Smoothed]
) -> DoubtLimits | None:
    """Return how strange prompts of held-out groups look; None without any fold."""
    kept = []
    for length, same in groupby(folds, lambda fold: fold.length):
        found, groups = [], []
        for _, prompts, of in same:
            block, reference = prompts.block, of.buckets[0].reference
            found.append(statistics(block, reference, smoothed(of)(block)))
            groups.append(prompts.groups)
        limits = thresholds(np.concatenate(found), np.concatenate(groups))  # (10,)
        kept.append((length, limits))
    return limits_of(kept)


def _errors(prompts: Prompts, smoothed: Smoothed) -> HeldOut:
    targets = np.where(prompts.weight > 0.0, prompts.targets, np.nan)  # (P, Q)
    return held_out(smoothed(prompts.block), targets, prompts.groups)


def support(
    block: Block,
    wanted: Wanted,
    answer: Answer,
    smoothed: Smoothed,
    calibration: Calibration | None,
    fallback: FoundationModel | None,
    prior: TaskPrior | None,
    doubter: Doubter | None = None,
) -> Supported:
    """Return an answer with what is wanted beside it, each prompt by the model that answered it.

    Prompts that nobody answered have NaN beside them, and no profile has nothing to say of them.
    """
    modes = np.frombuffer(answer.modes, np.uint8)  # (B,)
    ours, rest = np.flatnonzero(modes == Mode.PROFILE), np.flatnonzero(modes != Mode.PROFILE)
    parts: list[tuple[Places, Supported]] = []
    if len(ours):
        part = block if not len(rest) else chosen(block, ours)
        made = smoothed(part)
        intervals = _intervals(made, calibration, wanted)
        own = _part(answer, ours)
        certificate = None if prior is None else _certificate(made, prior)
        found = supported(own, part, made, intervals, wanted, certificate=certificate)
        if doubter is not None:
            found = found._replace(answer=doubter(found.answer, part, made))
        parts.append((ours, found))
    if len(rest) and fallback is not None:
        found = fallback.support(chosen(block, rest), wanted)
        own = _part(answer, rest)
        more = [one for one in found.answer.warned if one not in own.warned]
        beyond = overflows(own, found.intervals, found.explanation)
        own = own._replace(warned=[*own.warned, *more], refusals=[*own.refusals, *beyond])
        parts.append((rest, found._replace(answer=own)))
    return _joined(answer, parts) if parts else Supported(answer)


def _certificate(smoother: Smoother, prior: TaskPrior) -> Array:
    """Return what one more pass would add to each answer (B, Q), in predictive deviations."""
    lifted = smoother.gram + prior.noise_variance * prior.precision  # (B, p, p)
    deviation = np.sqrt(prior.noise_variance * (1.0 + query_leverages(smoother)))  # (B, Q)
    return corrections(smoother, lifted, deviation)


def _intervals(
    smoother: Smoother, calibration: Calibration | None, wanted: Wanted
) -> Intervals | None:
    if not wanted.levels:
        return None
    if calibration is None:
        return uncalibrated(smoother, wanted.levels)
    return calibrated(smoother, calibration, wanted.levels)


def _part(answer: Answer, places: Places) -> Answer:
    """Return the answers of some prompts, numbered among themselves."""
    row = {place: i for i, place in enumerate(places.tolist())}
    return Answer(
        answer.predictions[places],
        bytearray(answer.modes[place] for place in row),
        bytearray(answer.solvers[place] for place in row),
        [one._replace(prompt=row[one.prompt]) for one in answer.warned if one.prompt in row],
        [(row[place], refusal) for place, refusal in answer.refusals if place in row],
    )


def _joined(answer: Answer, parts: Sequence[tuple[Places, Supported]]) -> Supported:
    """Return the parts of a block as one."""
    modes, solvers = bytearray(answer.modes), bytearray(answer.solvers)
    predictions = answer.predictions.copy()  # (B, Q)
    warned, refusals = [], list(answer.refusals)
    for places, part in parts:
        at = places.tolist()
        warned += [one._replace(prompt=at[one.prompt]) for one in part.answer.warned]
        known = {prompt for prompt, _ in refusals}
        new = [(at[i], r) for i, r in part.answer.refusals if at[i] not in known]
        for prompt, _ in new:
            predictions[prompt], modes[prompt], solvers[prompt] = np.nan, 0, 0
        refusals += new
    whole = Answer(predictions, modes, solvers, warned, refusals)
    return Supported(whole, _joined_intervals(len(modes), parts), _explanations(len(modes), parts))


def _joined_intervals(B: int, parts: Sequence[tuple[Places, Supported]]) -> Intervals | None:
    found = [(places, part.intervals) for places, part in parts if part.intervals is not None]
    if not found:
        return None
    methods = {one.method for _, one in found}
    return Intervals(
        _spread(B, [(places, one.half_widths) for places, one in found]),
        _spread(B, [(places, one.standard_errors) for places, one in found]),
        _spread(B, [(places, one.honoured.astype(np.float64)) for places, one in found]) > 0.0,
        methods.pop() if len(methods) == 1 else Method.UNCALIBRATED,
    )


def _explanations(B: int, parts: Sequence[tuple[Places, Supported]]) -> Explanation | None:
    found = [(places, part.explanation) for places, part in parts if part.explanation is not None]
    if not found:
        return None
    weights = [(places, one.weights) for places, one in found if one.weights is not None]
    moved = [(places, one.corrections) for places, one in found if one.corrections is not None]
    return Explanation(
        _spread(B, [(places, one.coefficients) for places, one in found]),
        _spread(B, [(places, one.intercepts) for places, one in found]),
        _spread(B, [(places, one.profile_shares) for places, one in found]),
        _spread(B, weights) if weights else None,
        _spread(B, moved) if moved else None,
    )


def _spread(B: int, parts: Sequence[tuple[Places, Array]]) -> Array:
    """Return an array (B, ...) of the parts' rows at their places, NaN elsewhere."""
    whole = np.full((B, *parts[0][1].shape[1:]), np.nan)  # (B, ...)
    for places, rows in parts:
        whole[places] = rows
    return whole
