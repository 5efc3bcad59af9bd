"""The shipped weeks as prompts, and how far a method's answers are from what happened.

The earliest 60 % of the weeks are history to learn from, the rest is replayed; no week is both.
A prompt is M random hours of one week with their label, and further hours of that week as queries.
Its error is NRMSE: the RMSE over its queries by the standard deviation of its context's labels.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import baselines
from service.boosting import Boosting
from service.held_out import BOOSTING, MEAN, OLS, RIDGE

Array = NDArray[np.float64]

HOURS = Path(__file__).with_name("demo_data") / "bikeshare.csv"
GROUP, LABEL = "week", "log_bikers"
CONTEXT_SIZES = (8, 16, 32, 64)
QUERY_COUNT = 16
RESAMPLES = 1000
HISTORY_SHARE = 0.6

SONOBA = "sonoba"
"""What a server of the caller's answers with, whichever model that is."""
FOUNDATION = "foundation"


@dataclass(frozen=True, slots=True)
class Hours:
    """The shipped rows: which week, what is known of an hour, and how many rode."""

    features: tuple[str, ...]
    week: NDArray[np.int64]  # (n,)
    x: Array  # (n, d)
    y: Array  # (n,)

    def replayed(self) -> "Hours":
        """Return the hours of the weeks after the history's."""
        late = self.week >= self.first_replayed()  # (n,)
        return Hours(self.features, self.week[late], self.x[late], self.y[late])

    def first_replayed(self) -> int:
        """Return the first week that is not history."""
        weeks = np.unique(self.week)
        return int(weeks[round(HISTORY_SHARE * len(weeks))])


@dataclass(frozen=True, slots=True)
class Prompts:
    """B prompts of one shape with the labels of their queries, which no method sees."""

    week: NDArray[np.int64]  # (B,)
    x: Array  # (B, M, d)
    y: Array  # (B, M)
    queries: Array  # (B, Q, d)
    truth: Array  # (B, Q)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A model's median error by ridge-CV's, and bounds that hold it with 95 % confidence.

    Whole weeks are drawn again for the bounds, because prompts of one week resemble each other.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """Errors at one number of examples: medians over prompts, the served models' first.

    `ratios` has every served model, the one the replay is about first.
    """

    example_count: int
    prompt_count: int
    median_nrmse: Mapping[str, float]
    ratios: Mapping[str, Ratio]
    prompts_per_second: float


def read_hours(path: Path = HOURS) -> Hours:
    """Read the shipped rows."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    numbers = np.array(rows, np.float64)  # (n, 2 + d)
    features = tuple(name for name in header if name not in (GROUP, LABEL))
    return Hours(
        features=features,
        week=numbers[:, header.index(GROUP)].astype(np.int64),
        x=numbers[:, [header.index(name) for name in features]],
        y=numbers[:, header.index(LABEL)],
    )


def draw(hours: Hours, example_count: int, prompt_count: int, seed: int) -> Prompts:
    """Return prompts of random hours; every week that is long enough comes equally often."""
    rng = np.random.default_rng([seed, example_count])
    weeks, lengths = np.unique(hours.week, return_counts=True)
    weeks = weeks[lengths >= example_count + QUERY_COUNT]
    rounds = -(-prompt_count // len(weeks))
    week = np.concatenate([rng.permutation(weeks) for _ in range(rounds)])[:prompt_count]  # (B,)
    size = example_count + QUERY_COUNT
    rows = np.stack([rng.permutation(np.flatnonzero(hours.week == w))[:size] for w in week])
    context, asked = rows[:, :example_count], rows[:, example_count:]  # (B, M), (B, Q)
    return Prompts(week, hours.x[context], hours.y[context], hours.x[asked], hours.y[asked])


def nrmse(prompts: Prompts, predictions: Array) -> Array:
    """Return the error (B,) of predictions (B, Q)."""
    rmse = np.sqrt(np.square(predictions - prompts.truth).mean(axis=1))  # (B,)
    error: Array = rmse / prompts.y.std(axis=1)  # (B,)
    return error


def score(
    prompts: Prompts,
    served: Mapping[str, Array],
    seconds: float,
    seed: int,
    boosting: Boosting | None = None,
) -> Score:
    """Compare served models' answers (B, Q), which took so many seconds in all, with other fits."""
    asked = prompts.x, prompts.y, prompts.queries
    answers = {
        **served,
        RIDGE: baselines.ridge_cv(*asked),
        OLS: baselines.ols(*asked),
        MEAN: baselines.mean(*asked),
    }
    if boosting:
        answers[BOOSTING] = boosting.answer(*asked)
    errors = {name: nrmse(prompts, answer) for name, answer in answers.items()}
    return Score(
        example_count=prompts.x.shape[1],
        prompt_count=len(prompts.x),
        median_nrmse={name: float(np.median(error)) for name, error in errors.items()},
        ratios={name: _ratio(errors[name], errors[RIDGE], prompts.week, seed) for name in served},
        prompts_per_second=len(served) * len(prompts.x) / seconds,
    )


def _ratio(ours: Array, theirs: Array, week: NDArray[np.int64], seed: int) -> Ratio:
    """Return the ratio of medians, with bounds by drawing whole weeks with replacement."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(week == w) for w in np.unique(week)]
    ratios = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        again = [members[k] for k in rng.integers(0, len(members), len(members))]
        rows = np.concatenate(again)
        ratios[i] = np.median(ours[rows]) / np.median(theirs[rows])
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Ratio(float(np.median(ours) / np.median(theirs)), float(low), float(high))
