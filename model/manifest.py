"""What a stored version says of itself: schema, weights, training, accuracy (docs/adr/0009).

The manifest is JSON that people may read; every number that predictions are made of is in the
weights beside it. The version is the hash of the manifest, which holds the hash of the weights.
"""

from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.features import Source, columns
from model.schema import Column, Schema

FORMAT = 1
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
State = Literal["provisional", "healthy"]
Method = Annotated[str, Field(max_length=64)]


class Part(BaseModel):
    """Frozen, and a field that nobody knows is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Feature(Part):
    """One feature as the model takes it; a range is null where only sums were given."""

    name: Annotated[str, Field(min_length=1, max_length=512)]
    unit: Annotated[str, Field(max_length=256)] = ""
    description: str = ""
    mean: Finite
    deviation: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    minimum: Finite | None = None
    maximum: Finite | None = None


class Label(Feature):
    """What is predicted."""


class FeatureSchema(Part):
    """The model's features in order, and the columns they are made of."""

    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=1024)]
    label: Label
    sources: tuple[Source, ...]
    missing: dict[str, Share] = {}
    """Share of the rows in which a column had no value; it was filled with its group's mean."""
    hash: str

    def schema_of_model(self) -> Schema:
        """Return the schema that requests are checked against."""
        listed = tuple(Column(f.name, f.unit, f.description) for f in self.features)
        return Schema(listed, self.label.unit)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        made = [column.name for column in columns(self.sources)]
        if made != [feature.name for feature in self.features]:
            raise ValueError("features: expected those that the sources make, got others")
        if (wanted := self.schema_of_model().hash) != self.hash:
            raise ValueError(f"hash: expected {wanted}, got {self.hash:.64}")
        return self


class Length(Part):
    """What was learnt for prompts of about this many examples; working units of the model."""

    example_count: Annotated[int, Field(ge=1)]
    group_count: Count
    """Groups long enough for such prompts; without any, a neighbouring length stands in."""
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Standard deviation of a label about its group's line."""
    prior_mean: tuple[Finite, ...] = ()
    prior_deviation: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = ()
    """How far the coefficients of groups lie from their mean."""


class Reference(Part):
    """What was normal: count, means and second moments; the matrices are in the weights."""

    row_count: Count
    group_count: Count
    arrays: tuple[str, ...]
    monitoring: Annotated[str, Field(pattern=r"^([0-9a-f]{8})?$")] = ""
    """Id of what monitoring compares prompts with; empty where the first prompts become that."""


class Calibration(Part):
    """What intervals rest on; `none` where only sums were given."""

    evidence: Literal["held-out groups", "none"]
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()


class Training(Part):
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
    layer_count: Annotated[int, Field(ge=1, le=64)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    code_version: str
    notices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_a_file(self) -> Self:
        if PurePath(self.source).name != self.source:
            raise ValueError("source: expected a file's name without a folder")
        return self


class Score(Part):
    """Median error of every method over held-out prompts of one length (1: as good as ȳ's scatter).

    The error of a prompt is the RMSE over its queries by the standard deviation of its labels.
    """

    example_count: Annotated[int, Field(ge=1)]
    prompt_count: Annotated[int, Field(ge=1)]
    group_count: Annotated[int, Field(ge=1)]
    error: dict[Method, Finite]


class Metrics(Part):
    """How good the version was on groups it had not seen, and whether it may serve."""

    scores: tuple[Score, ...]
    held_out_group_count: Count
    state: State
    sentence: str
    no_better_than_mean: tuple[int, ...] = ()
    """Lengths at which the mean of the prompt's labels was as good."""


class Origin(Part):
    """What a version was recalibrated from, and on how much."""

    parent: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """The version that was in force."""
    evaluation: Annotated[str, Field(max_length=64)]
    """Id of the re-evaluation that made it."""
    prompt_count: Count
    row_count: Count


class Array(Part):
    """One array of the weights."""

    shape: tuple[Count, ...]
    dtype: Annotated[str, Field(pattern=r"^[<|][fiubU]\d{1,5}$")]


class Weights(Part):
    """The file of numbers beside the manifest."""

    file: Literal["weights.npz"] = "weights.npz"
    bytes: Annotated[int, Field(ge=1)]
    sha256: Sha256
    arrays: dict[str, Array]


class Draft(Part):
    """Everything a manifest says but of its weights, which the store adds."""

    format: Literal[1] = 1
    kind: Literal["profile"]
    name: Annotated[str, Field(pattern=NAME)]
    created: datetime
    feature_schema: FeatureSchema
    feature_count: Annotated[int, Field(ge=1, le=1024)]
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

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.feature_count != len(self.feature_schema.features):
            count = len(self.feature_schema.features)
            raise ValueError(f"feature_count: expected {count}, got {self.feature_count}")
        return self


class Manifest(Draft):
    """The content of manifest.json."""

    weights: Weights
