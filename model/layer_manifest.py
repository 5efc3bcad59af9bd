"""What a stored layer says of itself: `paper` and `foundation`, which need no history.

Beside `model.manifest`, the manifest of a profile; a manifest of either kind is `AnyManifest`.
"""

from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from model.document import Document
from model.manifest import NAME, Draft, FeatureSchema, Manifest, Origin, Reference, Weights
from model.schema import Column, Schema

LayerKind = Literal["paper", "foundation"]


class LayerColumn(Document, kw_only=True):
    """One feature as the model takes it."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    unit: Annotated[str, Meta(max_length=256)] = ""
    description: str = ""


class LayerDraft(Document, kw_only=True):
    """Everything a layer's manifest says but of its weights, which the store adds."""

    format: Literal[1] = 1
    kind: LayerKind
    name: Annotated[str, Meta(pattern=NAME)]
    created: datetime
    columns: Annotated[tuple[LayerColumn, ...], Meta(max_length=1024)] = ()
    """The features in order; empty where they have no names."""
    label_unit: Annotated[str, Meta(max_length=256)] = ""
    feature_count: Annotated[int, Meta(ge=0, le=1024)]
    """d, or 0 for any."""
    feature_schema: FeatureSchema | None = None
    """Ranges and sources of the columns, where the version stands in for a profile."""
    reference: Reference
    source: Annotated[str, Meta(max_length=256)] = ""
    """Name of the file it was imported from, without its folder."""
    origin: Origin | None = None

    def schema_of_model(self) -> Schema:
        """Return the schema that requests are checked against."""
        columns = tuple(Column(c.name, c.unit, c.description) for c in self.columns)
        return Schema(columns, self.label_unit)

    def __post_init__(self) -> None:
        if self.columns and len(self.columns) != self.feature_count:
            count = len(self.columns)
            raise ValueError(f"feature_count: expected {count}, got {self.feature_count}")
        if self.kind == "paper" and not self.feature_count:
            raise ValueError("feature_count: expected that of the weights, got 0")
        schema = self.schema_of_model()
        if self.feature_schema is not None and self.feature_schema.schema_of_model() != schema:
            raise ValueError("feature_schema: expected the columns, got others")
        if PurePath(self.source).name != self.source:
            raise ValueError("source: expected a file's name without a folder")


class LayerManifest(LayerDraft, kw_only=True):
    """The content of a layer's manifest.json."""

    weights: Weights


AnyDraft: TypeAlias = Draft | LayerDraft
AnyManifest: TypeAlias = Manifest | LayerManifest
