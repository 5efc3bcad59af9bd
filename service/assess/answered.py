"""What changed prompts are answered, and how much worse: the error by that of the same prompts.

Errors are RMSE over a prompt's queries by the deviation of its labels as they were before the
change, so that a ratio is one of errors in the target's unit. The ratio is the geometric mean over
prompts, exp(mean ln(e'/e)): each prompt is compared with itself, so that hard ones do not blur it.
Its bounds come from drawing whole groups again.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode
from model.history import Prompts
from model.profile import ProfileModel
from model.prompt import Block, Examples
from model.refusal import Refusal
from monitoring.levels import WARNING
from service.assess.findings import Bounds
from service.held_out import MOST_UNANSWERED, RESAMPLES

Array = NDArray[np.float64]

TOLERATED = WARNING  # times the error: from there on the warning alert sees harm
PERFECT = 1e-6  # of the labels' deviation: a smaller error is none
NOTHING = Bounds(np.nan, np.nan, np.nan)


class Answered(NamedTuple):
    """P prompts as they were answered."""

    block: Block  # gaps filled
    predictions: Array  # (P, Q) NaN where a prompt was refused
    modes: NDArray[np.uint8]  # (P,) who answered, 0: nobody


class Effect(NamedTuple):
    """What a change does to the answers."""

    error: float  # NaN where nothing was answered
    ratio: Bounds  # by the same prompts unchanged
    refused: float  # share that is refused or answered by another than before
    is_tolerated: bool


def answer(model: ProfileModel, prompts: Prompts) -> Answered:
    """Return the answers of a service that was asked to fill gaps; it refuses those it cannot."""
    block, refused = prompts.block, np.zeros(len(prompts.y), np.bool_)  # (P,)
    gaps = np.isnan(prompts.x).any(axis=(1, 2)) | np.isnan(prompts.queries).any(axis=(1, 2))  # (P,)
    if gaps.any():
        block, refused = _filled(model, block)
    with np.errstate(over="ignore", invalid="ignore"):  # a wild prompt overflows by itself
        found = model.answer(block)
    modes = np.frombuffer(bytes(found.modes), np.uint8).copy()  # (P,)
    gone = refused | (gaps & (modes != Mode.PROFILE))  # (P,) another model knows no gaps
    modes[gone] = 0
    predictions = np.where((modes > 0)[:, None], found.predictions, np.nan)  # (P, Q)
    return Answered(block, predictions, modes)


def _filled(model: ProfileModel, block: Block) -> tuple[Block, NDArray[np.bool_]]:
    """Return a block without gaps and which prompts (P,) miss too much to be filled."""
    refused = np.ones(len(block.queries), np.bool_)  # (P,)
    try:
        made = model.fill(block)
    except Refusal:  # a cold profile
        assert isinstance(block.context, Examples)
        x, queries = np.nan_to_num(block.context.x), np.nan_to_num(block.queries)
        return Block(Examples(x, block.context.y), queries), refused
    refused[:] = False
    refused[[finding.prompt for finding in made.refused]] = True
    return made.block, refused


def errors(prompts: Prompts, answered: Answered, unit: Array) -> Array:
    """Return the error (P,) of prompts by the units (P,) of their labels; NaN where refused."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = prompts.weight * (answered.predictions - prompts.targets) ** 2  # (P, Q)
        found: Array = np.sqrt(square.sum(axis=1) / prompts.weight.sum(axis=1)) / unit  # (P,)
    return np.where(np.isfinite(found), found, np.nan)


def effect(
    prompts: Prompts, before: Answered, usual: Array, after: Answered, changed: Array, seed: int
) -> Effect:
    """Return what errors changed (P,) are beside the usual ones (P,) of the same prompts."""
    refused = float((after.modes != before.modes).mean())
    lost = float((np.isfinite(usual) & ~np.isfinite(changed)).mean())
    both = np.isfinite(usual) & np.isfinite(changed)  # (P,)
    if not both.any():
        return Effect(np.nan, NOTHING, refused, is_tolerated=False)
    bounds = paired_ratio(changed[both], usual[both], prompts.groups[both], seed)
    is_tolerated = bounds.high < TOLERATED and lost <= MOST_UNANSWERED
    return Effect(float(np.median(changed[both])), bounds, refused, is_tolerated)


def paired_ratio(changed: Array, usual: Array, groups: NDArray[np.int64], seed: int) -> Bounds:
    """Return the geometric mean of errors changed (n,) by usual (n,), drawing groups (n,) again.

    Of a single group its prompts are drawn, which tells less than it seems.
    """
    logs = np.log(np.maximum(changed, PERFECT) / np.maximum(usual, PERFECT))  # (n,)
    several = len(np.unique(groups)) > 1
    _, which = np.unique(groups if several else np.arange(len(logs)), return_inverse=True)  # (n,)
    counts, sums = np.bincount(which), np.bincount(which, logs)  # (G,), (G,)
    G, rng = len(counts), np.random.default_rng(seed)
    times = rng.multinomial(G, np.full(G, 1.0 / G), RESAMPLES)  # (R, G) how often each is drawn
    drawn = (times @ sums) / (times @ counts)  # (R,)
    low, high = np.exp(np.quantile(drawn, [0.025, 0.975]))
    return Bounds(float(np.exp(logs.mean())), float(low), float(high))
