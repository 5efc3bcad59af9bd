"""What a call answers: predictions with their cautions, and models with their limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Warning:
    """A caution about an answer that was given all the same.

    `code` is the contract's (`FEW_EXAMPLES`); `field` and `index` say which column or query is
    meant, where one is (else -1). Prompts that travelled stacked get the code alone.
    """

    code: str
    message: str = ""
    field: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """A lower and an upper bound a query, in label units; `level` is how often they should hold."""

    level: float
    lower: Sequence[float]  # (Q,)
    upper: Sequence[float]  # (Q,)


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What an answer consists of: two ways to compute it, both exact.

    intercept + query · coefficients, and weights · labels + profile_shares. A summary stands for
    examples that have no weights of their own; the shares are 0 without a profile. `corrections` is
    how far one more pass of the layers would move each answer, in its predictive standard
    deviations: 0 after an exact solve, empty for a model of one layer.
    """

    intercept: float
    coefficients: Sequence[float]  # (d,) label units a feature unit, in the order sent
    profile_shares: Sequence[float]  # (Q,) label units
    weights: Sequence[Sequence[float]] | None  # (Q, M)
    corrections: Sequence[float] = ()  # (Q,)


@dataclass(frozen=True, slots=True)
class ShiftScore:
    """How far a prompt lies from what is normal for its model.

    The ratios are of squared errors, 1 is normal: the error to expect of this answer, from its
    features alone, and the error on the prompt's own examples, each left out in turn (None for a
    summary). `features` names at most five whose mean lies farthest, each with its distance in
    standard deviations, signed; by position where the model has no names.
    """

    expected_error_ratio: float
    leave_one_out_ratio: float | None
    features: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer to one prompt.

    `values` has one number a query, in label units: a NumPy array where NumPy is loaded, else a
    list. `mode` says what really answered ("paper", "foundation", "profile", "mean"), `solver` how
    ("k1", "k2", "k4", "exact"; empty in mode "mean"), `evidence` from what ("examples", "summary").
    `intervals` has one of each level asked for, `standard_errors` their common scale;
    `interval_method` says what the levels rest on ("calibrated", "uncalibrated", "provisional";
    empty for prompts that travelled stacked). `reference` names what is normal for the model, empty
    while that is not known; `shift` is None then, and where the model itself did not answer.
    """

    values: Sequence[float]  # (Q,)
    model: str
    model_version: str
    mode: str
    solver: str
    evidence: str
    warnings: tuple[Warning, ...]
    request_id: str
    standard_errors: Sequence[float] = ()  # (Q,)
    intervals: tuple[Interval, ...] = ()
    interval_method: str = ""
    explanation: Explanation | None = None
    shift: ShiftScore | None = None
    reference: str = ""


class Column(NamedTuple):
    """One feature of a model."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one version, with the limits in force for its prompts.

    `feature_count` 0 means any number up to `feature_count_max`; without `columns` features go by
    position. `kind` is "paper", "foundation" or "profile"; `state` is "healthy", "provisional",
    "warming" or "harmed".
    """

    name: str
    kind: str
    version: str
    versions: tuple[str, ...]
    feature_count: int
    columns: tuple[Column, ...]
    schema_hash: str
    label_unit: str
    example_count_min: int
    example_count_max: int
    query_count_max: int
    batch_prompt_count_max: int
    message_bytes_max: int
    confidence_levels: tuple[float, ...]
    state: str
    reference: str
    create_time: datetime | None
    missing_values_supported: bool
    feature_count_max: int
    element_count_max: int
