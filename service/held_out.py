"""How well a profile answers groups it has not seen, beside what else could be done.

A prompt is M rows of one group with their labels and up to 16 further rows to answer: drawn at
random, or, where rows have an order, the rows that follow. Its error is NRMSE, the RMSE over its
queries by the standard deviation of its labels; a method's is the median over prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model import baselines
from model.history import History, Prompts
from model.history import draw as history_prompts
from model.profile_fit import FEWEST_GROUPS
from model.prompt import Block, Examples
from service.boosting import Boosting

Array = NDArray[np.float64]

LENGTHS = (8, 16, 32, 64)
PROMPTS = 160  # of one length
HELD_OUT_SHARE, MOST_HELD_OUT = 0.3, 300
MOST_UNANSWERED = 0.02  # of the prompts of a length: a query far from everything is refused
RESAMPLES = 400

PROFILE, EXACT, BOOSTING = "profile", "exact", "boosting"
RIDGE, OLS, MEAN = "ridge-CV", "OLS", "mean"
METHODS = (PROFILE, EXACT, RIDGE, OLS, BOOSTING, MEAN)


class Profile(Protocol):
    """What is judged."""

    def answers(self, block: Block) -> Array:
        """Return the predictions (B, Q) of a block."""

    def exact_answers(self, block: Block) -> Array:
        """Return the predictions (B, Q) of the exact solve."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The error (B,) of every method on the prompts of one length; NaN where it gave no answer."""

    example_count: int
    group: NDArray[np.int64]  # (B,)
    error: Mapping[str, Array]

    def median(self, method: str) -> float:
        """Return a method's error over the prompts it answers; infinite where it misses many."""
        if self.unanswered(method) > MOST_UNANSWERED * len(self.group):
            return np.inf
        return float(np.nanmedian(self.error[method]))

    def unanswered(self, method: str) -> int:
        """Return to how many prompts a method gave no answer."""
        return int((~np.isfinite(self.error[method])).sum())


def split(history: History, seed: int) -> tuple[History, History]:
    """Return what is learnt from and what is held out: 30 % of the groups, at random.

    At least FEWEST_GROUPS are learnt from; of so few groups, all but one.
    """
    groups = history.groups
    share = round(HELD_OUT_SHARE * len(groups))
    count = min(max(share, 1), MOST_HELD_OUT, max(len(groups) - FEWEST_GROUPS, 1))
    drawn = np.random.default_rng(seed).permutation(len(groups))  # (groups,)
    test = set(drawn[:count].tolist())
    parts = [
        tuple(g for i, g in enumerate(groups) if (i in test) is held) for held in (False, True)
    ]
    return History(parts[0], history.is_ordered), History(parts[1], history.is_ordered)


def draw(history: History, example_count: int, seed: int, count: int = PROMPTS) -> Prompts | None:
    """Return prompts of one length, every group equally often; None where no group is long enough.

    A prompt whose labels are all the same has no error to speak of and is left out.
    """
    if not history.long_enough(example_count):
        return None
    prompts = history_prompts(history, example_count, count, seed)
    told = prompts.y.std(axis=1) > 1e-9 * np.abs(prompts.y).max(axis=1)  # (B,)
    return prompts.take(told) if told.any() else None


def judge(prompts: Prompts, profile: Profile, boosting: Boosting | None) -> Cell:
    """Return the error of every method; boosting where it was fitted."""
    x, y, queries = prompts.x, prompts.y, prompts.queries
    block = Block(Examples(x, y), queries)
    answers = {PROFILE: profile.answers(block), EXACT: profile.exact_answers(block)}
    if boosting:
        answers[BOOSTING] = boosting.answer(x, y, queries)
    answers[RIDGE] = baselines.ridge_cv(x, y, queries)
    answers[OLS] = baselines.ols(x, y, queries)
    answers[MEAN] = baselines.mean(x, y, queries)
    errors = {name: _nrmse(prompts, y, answer) for name, answer in answers.items()}
    return Cell(x.shape[1], prompts.groups, errors)


def _nrmse(prompts: Prompts, y: Array, answer: Array) -> Array:
    square = prompts.weight * (answer - prompts.targets) ** 2  # (B, Q)
    rmse = np.sqrt(square.sum(axis=1) / prompts.weight.sum(axis=1))  # (B,)
    error: Array = rmse / y.std(axis=1)  # (B,)
    return error


def ratio(cells: Sequence[Cell], ours: str, theirs: str, seed: int) -> tuple[float, float, float]:
    """Return our error by theirs, and its 95 % bounds: geometric means over the lengths.

    The bounds come from drawing whole groups again, because prompts of one group resemble each
    other; lengths are drawn together, for their prompts are of the same groups.
    """
    rng = np.random.default_rng(seed)
    groups = np.unique(np.concatenate([cell.group for cell in cells]))  # (G,)
    logs = [_log_ratio(cells, ours, theirs, groups)]
    for _ in range(RESAMPLES):
        logs.append(_log_ratio(cells, ours, theirs, rng.choice(groups, len(groups))))
    low, high = np.quantile(np.array(logs[1:]), [0.025, 0.975])
    return float(np.exp(logs[0])), float(np.exp(low)), float(np.exp(high))


def _log_ratio(cells: Sequence[Cell], ours: str, theirs: str, drawn: NDArray[np.int64]) -> float:
    """Return the mean over lengths of ln(our median / their median), for groups drawn."""
    logs = []
    for cell in cells:
        times = (cell.group[:, None] == drawn).sum(axis=1)  # (B,) how often each prompt counts
        if times.any():
            mine, other = (np.repeat(cell.error[name], times) for name in (ours, theirs))
            floor = 1e-12  # of a perfect answer, so that its logarithm is finite
            logs.append(np.log(max(np.nanmedian(mine), floor) / max(np.nanmedian(other), floor)))
    return float(np.mean(logs))
