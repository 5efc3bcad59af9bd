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
class Prediction:
    """The answer to one prompt.

    `values` has one number a query, in label units: a NumPy array where NumPy is loaded, else a
    list. `mode` says what really answered ("paper", "foundation", "profile", "mean"), `solver` how
    ("k1", "k2", "k4", "exact"; empty in mode "mean"), `evidence` from what ("examples", "summary").
    """

    values: Sequence[float]  # (Q,)
    model: str
    model_version: str
    mode: str
    solver: str
    evidence: str
    warnings: tuple[Warning, ...]
    request_id: str


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
