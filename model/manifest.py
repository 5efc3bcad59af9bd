"""What a stored version says of itself: schema, weights, training, accuracy (docs/adr/0009).

The manifest is JSON that people may read; every number that predictions are made of is in the
weights beside it. The version is the hash of the manifest, which holds the hash of the weights.
"""

from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model.document import Document
from model.features import Source, columns
from model.schema import Column, Schema

FORMAT = 1
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}\Z"

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
State = Literal["provisional", "healthy"]
Method = Annotated[str, Meta(max_length=64)]


class Feature(Document, kw_only=True):
    """One feature as the model takes it; a range is null where only sums were given."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    unit: Annotated[str, Meta(max_length=256)] = ""
    description: str = ""
    mean: float
    deviation: Annotated[float, Meta(ge=0)]
    minimum: float | None = None
    maximum: float | None = None


class Label(Feature, kw_only=True):
    """What is predicted."""


class FeatureSchema(Document, kw_only=True):
    """The model's features in order, and the columns they are made of."""

    features: Annotated[tuple[Feature, ...], Meta(min_length=1, max_length=1024)]
    label: Label
    sources: tuple[Source, ...]
    missing: dict[str, Share] = msgspec.field(default_factory=dict)
    """Share of the rows in which a column had no value; it was filled with its group's mean."""
    hash: str

    def schema_of_model(self) -> Schema:
        """Return the schema that requests are checked against."""
        listed = tuple(Column(f.name, f.unit, f.description) for f in self.features)
        return Schema(listed, self.label.unit)

    def __post_init__(self) -> None:
        made = [column.name for column in columns(self.sources)]
        if made != [feature.name for feature in self.features]:
            raise ValueError("features: expected those that the sources make, got others")
        if (wanted := self.schema_of_model().hash) != self.hash:
            raise ValueError(f"hash: expected {wanted}, got {self.hash:.64}")


class Length(Document, kw_only=True):
    """What was learnt for prompts of about this many examples; working units of the model."""

    example_count: Annotated[int, Meta(ge=1)]
    group_count: Count
    """Groups long enough for such prompts; without any, a neighbouring length stands in."""
    noise: Annotated[float, Meta(ge=0)] | None = None
    """Standard deviation of a label about its group's line."""
    prior_mean: tuple[float, ...] = ()
    prior_deviation: tuple[Annotated[float, Meta(ge=0)], ...] = ()
    """How far the coefficients of groups lie from their mean."""


class Reference(Document, kw_only=True):
    """What was normal: count, means and second moments; the matrices are in the weights."""

    row_count: Count
    group_count: Count
    arrays: tuple[str, ...]
    monitoring: Annotated[str, Meta(pattern=r"^([0-9a-f]{8})?\Z")] = ""
    """Id of what monitoring compares prompts with; empty where the first prompts become that."""


class Calibration(Document, kw_only=True):
    """What intervals rest on; `none` where only sums were given."""

    evidence: Literal["held-out groups", "none"]
    levels: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = ()


class Training(Document, kw_only=True):
    """Where the version comes from."""

    source: str
    """Name of the file, without its folder."""
    evidence: Literal["rows", "statistics"]
    group: str
    order: str | None
    seed: Count
    row_count: Count
    used_row_count: Count
    group_count: Count
    layer_count: Annotated[int, Meta(ge=1, le=64)]
    seconds: Annotated[float, Meta(ge=0)]
    code_version: str
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if PurePath(self.source).name != self.source:
            raise ValueError("source: expected a file's name without a folder")


class Score(Document, kw_only=True):
    """Median error of every method over held-out prompts of one length (1: as good as ȳ's scatter).

    The error of a prompt is the RMSE over its queries by the standard deviation of its labels.
    """

    example_count: Annotated[int, Meta(ge=1)]
    prompt_count: Annotated[int, Meta(ge=1)]
    group_count: Annotated[int, Meta(ge=1)]
    error: dict[Method, float]


class Metrics(Document, kw_only=True):
    """How good the version was on groups it had not seen, and whether it may serve."""

    scores: tuple[Score, ...]
    held_out_group_count: Count
    state: State
    sentence: str
    no_better_than_mean: tuple[int, ...] = ()
    """Lengths at which the mean of the prompt's labels was as good."""


class Origin(Document, kw_only=True):
    """What a version was recalibrated from, and on how much."""

    parent: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]
    """The version that was in force."""
    evaluation: Annotated[str, Meta(max_length=64)]
    """Id of the re-evaluation that made it."""
    prompt_count: Count
    row_count: Count


class Array(Document, kw_only=True):
    """One array of the weights."""

    shape: tuple[Count, ...]
    dtype: Annotated[str, Meta(pattern=r"^[<|][fiubU]\d{1,5}\Z")]


class Weights(Document, kw_only=True):
    """The file of numbers beside the manifest."""

    file: Literal["weights.npz"] = "weights.npz"
    bytes: Annotated[int, Meta(ge=1)]
    sha256: Sha256
    arrays: dict[str, Array]


class Draft(Document, kw_only=True):
    """Everything a manifest says but of its weights, which the store adds."""

    format: Literal[1] = 1
    kind: Literal["profile"]
    name: Annotated[str, Meta(pattern=NAME)]
    created: datetime
    feature_schema: FeatureSchema
    feature_count: Annotated[int, Meta(ge=1, le=1024)]
    coordinates: str = ""
    """Which coordinates the model works in (docs/model.md)."""
    lengths: tuple[Length, ...]
    reference: Reference
    calibration: Calibration
    training: Training
    metrics: Metrics
    origin: Origin | None = None

    def schema_of_model(self) -> Schema:
        """Return the schema that requests are checked against."""
        return self.feature_schema.schema_of_model()

    def __post_init__(self) -> None:
        if self.feature_count != len(self.feature_schema.features):
            count = len(self.feature_schema.features)
            raise ValueError(f"feature_count: expected {count}, got {self.feature_count}")


class Manifest(Draft, kw_only=True):
    """The content of manifest.json."""

    weights: Weights
