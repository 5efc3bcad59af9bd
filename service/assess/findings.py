"""What an assessment finds, step by step: names and numbers, which the report puts into words.

Errors are NRMSE: the RMSE over a prompt's queries by the standard deviation of its labels, the
median over prompts; 1 is a method that knows nothing. A code is a key of `service/assess/words.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ColumnKind = Literal["number", "category", "date"]
Weight = Literal["repair", "know"]
Choice = Literal["go", "pilot", "no-go"]
Severity = Literal["critical", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number with its 95 % bounds."""

    value: float
    low: float
    high: float


# Step 1: what the data offers


@dataclass(frozen=True, slots=True)
class ColumnFound:
    """One column of the file, and the features it became."""

    name: str
    kind: ColumnKind
    unit: str  # empty: not told
    low: float | None  # of numbers; days since its origin of a date; None of a category
    middle: float | None
    high: float | None
    missing: float  # share of the rows
    features: tuple[str, ...]
    bars: tuple[int, ...] = ()  # rows in equal steps from low to high, or of each level
    levels: tuple[str, ...] = ()  # of a category, as many as bars


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """Something about the data that a person should know or repair."""

    code: str
    weight: Weight
    columns: tuple[str, ...]
    row_count: int
    examples: tuple[str, ...]  # as they stand in the file, at most 5
    detail: Mapping[str, str | float | int]  # what the sentence of the code names


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The error with a number of examples a prompt, the same held-out groups at every number."""

    example_count: int
    prompt_count: int
    ours: Bounds
    others: Mapping[str, float]  # error by method of `service.held_out`


@dataclass(frozen=True, slots=True)
class Offer:
    """Step 1."""

    source: str
    group: str
    target: ColumnFound
    columns: tuple[ColumnFound, ...]
    row_count: int
    used_row_count: int
    group_count: int
    lengths: tuple[int, int, int]  # rows of the shortest, the middle and the longest group
    length_bars: tuple[tuple[int, int], ...]  # (rows of a group at least, groups)
    is_ordered: bool
    learnt_groups: int
    held_out_groups: int
    queries: int  # of a prompt, at most
    quality: tuple[QualityFinding, ...]
    curve: tuple[CurvePoint, ...]
    knee: int  # examples from where more gain little
    notices: tuple[str, ...]  # of the reader, English


# Step 2: is the answer stable


@dataclass(frozen=True, slots=True)
class MethodError:
    """One method on the held-out prompts of one length."""

    method: str  # of `service.held_out.METHODS`
    error: float
    ratio: Bounds  # our error by this one's: below 1 we are better


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Every method on prompts of one length."""

    example_count: int
    prompt_count: int
    methods: tuple[MethodError, ...]  # ours is the first
    typical_error: float  # RMSE of ours in the target's unit
    within: float  # 80 % of the answers err by less, in the target's unit


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals hold the truth."""

    level: float
    example_count: int
    covered: Bounds  # share of the held-out queries
    half_width: float  # middle one, in the target's unit


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How far an answer moves when its examples are chosen or ordered otherwise."""

    code: str  # reordered, resampled, one_dropped, fifth_dropped
    example_count: int
    moved: float  # middle one, shares of the typical error
    moved_mostly: float  # nine of ten move less
    moved_most: float


@dataclass(frozen=True, slots=True)
class Share:
    """What one feature adds to an answer: the shares and the base are the answer, exactly."""

    feature: str
    value: float  # of the query
    usual: float  # its mean in the examples
    adds: float  # in the target's unit


@dataclass(frozen=True, slots=True)
class WorstGroup:
    """A held-out group with a large error, and its worst answer taken apart."""

    name: str
    error: float
    ratio: float  # by the middle error of all groups
    prompt_count: int
    answers: tuple[tuple[float, float], ...]  # (truth, answer), at most 200
    code: str  # why, where the numbers tell: unlike_history, noisy, few_rows, shifted, unexplained
    detail: Mapping[str, str | float | int]
    truth: float  # of the worst answer
    answer: float
    base: float
    shares: tuple[Share, ...]  # the largest first, at most 8, and the rest as one named ""


@dataclass(frozen=True, slots=True)
class Stability:
    """Step 2."""

    accuracy: tuple[Accuracy, ...]
    coverage: tuple[Coverage, ...]
    steadiness: tuple[Steadiness, ...]
    group_errors: tuple[float, ...]  # one a held-out group, the smallest first
    worst: tuple[WorstGroup, ...]  # at most 3
    is_boosting_compared: bool
    answered_by_profile: float  # share of the held-out prompts
    refused: float = 0.0  # share of the held-out prompts that nobody answered


# Step 3: changed conditions


@dataclass(frozen=True, slots=True)
class Change:
    """One condition changed in the prompts, and what it does."""

    code: (
        str  # scale, mean, rotation, correlation, noise, missing, wrong_unit, fewer_examples, stale
    )
    strength: (
        float  # what the code's sentence says: a factor, deviations, degrees, a share, a count
    )
    columns: tuple[str, ...]  # changed; empty: all
    error: float
    ratio: Bounds  # by the error of the same prompts unchanged
    refused: float  # share of the prompts that are refused or answered by another model, visibly
    is_tolerated: bool
    alert: str  # name of the rule that fires in the middle run; empty: none
    severity: Severity | None
    prompts_to_alert: int | None  # middle run; None where no alert fires
    alerted: float  # share of the runs in which it fires


@dataclass(frozen=True, slots=True)
class Conditions:
    """Step 3."""

    example_count: int
    changes: tuple[Change, ...]
    quiet_alerts: float  # share of the unchanged runs in which any alert fires
    run_prompts: int  # a run
    run_count: int
    unwatched: str  # why there is no monitoring, English; empty where there is


# The decision


@dataclass(frozen=True, slots=True)
class Argument:
    """One line of the decision."""

    code: str
    speaks: Literal["for", "against", "caution"]
    detail: Mapping[str, str | float | int]


@dataclass(frozen=True, slots=True)
class Cost:
    """What predictions cost on the machine of the assessment."""

    example_count: int
    microseconds: float  # processor time of one prediction
    cpu_hours_a_million: float
    resident_mebibytes: float
    learning_seconds: float


@dataclass(frozen=True, slots=True)
class DeclaredLimits:
    """What was declared before the start and is watched from then on."""

    error: float  # typical, in the target's unit
    error_ratio_max: float  # over normal, from where a verdict sees harm
    coverage: float  # of 80 % intervals, at least
    example_count_min: int
    ranges: tuple[tuple[str, float, float], ...]  # (feature, low, high): outside, do not trust


@dataclass(frozen=True, slots=True)
class Decision:
    """Go, pilot or no-go, and what follows."""

    choice: Choice
    arguments: tuple[Argument, ...]  # the weightiest first
    limits: DeclaredLimits
    rules: str  # a file of business rules, YAML, read by `sonoba rules check`
    cost: Cost
    watch: tuple[str, ...]  # codes of what to look at


@dataclass(frozen=True, slots=True)
class Assessment:
    """All of it."""

    name: str
    created: datetime
    code_version: str
    command: str  # the line that makes it again
    seed: int
    seconds: float
    offer: Offer
    stability: Stability
    conditions: Conditions
    decision: Decision
