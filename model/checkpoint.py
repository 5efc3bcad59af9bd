"""A model as a file: what is read, what is checked, and the version that names it.

A version is the hash of the file's content, so that two servers with one version answer alike.
Files are JSON: `foundation` holds the trained steps of the layers, `paper` the law its weights are
made for.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from msgspec import Meta

from model.answer import Answer, Mode
from model.calibration import Calibration
from model.document import Document, read
from model.foundation import FoundationModel
from model.layer_draft import check_steps, stored_layer
from model.layer_manifest import LayerManifest
from model.manifest import NAME
from model.packing import Leaf, below, unpack
from model.paper import PaperModel
from model.paper_weights import check_moment
from model.profile import ProfileModel
from model.profile_doubts import DoubtLimits
from model.profile_parameters import ProfileParameters
from model.prompt import Block
from model.schema import Column, Schema
from model.store import Store
from model.support import Supported, Wanted
from model.version_folder import Stored, StoreError

FOUNDATION_FILE = Path(__file__).with_name("foundation.json")
LARGEST_FILE_BYTES = 16 * 2**20

Positive = Annotated[float, Meta(gt=0)]


class Model(Protocol):
    """What every model can do; d is 0 for a model of any number of features."""

    @property
    def mode(self) -> Mode:
        """How the model answers when nothing stands against it."""

    @property
    def example_count_min(self) -> int:
        """Fewest examples of a prompt."""

    @property
    def feature_count(self) -> int:
        """d, or 0 for any."""

    def answer(self, block: Block) -> Answer:
        """Answer every prompt of a block."""


@runtime_checkable
class Supporting(Protocol):
    """What a model can do besides that offers intervals and explanations."""

    def support(self, block: Block, wanted: Wanted) -> Supported:
        """Answer every prompt as `answer` does, and give what is wanted beside."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version of one model, ready to answer."""

    name: str
    version: str
    schema: Schema
    created: datetime
    model: Model
    reference: Mapping[str, Leaf] = field(default_factory=dict)
    """What monitoring compares its prompts with; empty where the version has no reference."""

    @property
    def feature_count(self) -> int:
        """d of its prompts: a model of any number takes as many as it has columns; 0 for any."""
        return self.model.feature_count or len(self.schema.columns)


class ArtifactError(Exception):
    """A model file that cannot be served, and why."""


class _ColumnEntry(Document, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    unit: Annotated[str, Meta(max_length=256)] = ""
    description: str = ""


class _Entry(Document, kw_only=True, tag_field="kind"):
    name: Annotated[str, Meta(pattern=NAME)]
    provenance: dict[str, Any] = msgspec.field(default_factory=dict)


class _FoundationEntry(_Entry, kw_only=True, tag="foundation"):
    steps: Annotated[list[tuple[float, float]], Meta(min_length=1, max_length=64)]
    lambda_grid: Annotated[list[Positive], Meta(min_length=1, max_length=64)]
    correction_bound: Positive

    def build(self) -> tuple[Model, Schema]:
        steps = tuple(self.steps)
        check_steps(steps)
        grid = tuple(self.lambda_grid)
        return FoundationModel(steps, grid, self.correction_bound), Schema()


class _PaperEntry(_Entry, kw_only=True, tag="paper"):
    covariance: Annotated[list[list[float]], Meta(min_length=1, max_length=1024)]
    noise_variance: Annotated[float, Meta(ge=0)] = 0.0
    task_variance: Positive = 1.0
    centred: bool = True
    columns: list[_ColumnEntry] = msgspec.field(default_factory=list)
    label_unit: str = ""

    def build(self) -> tuple[Model, Schema]:
        d = len(self.covariance)
        if any(len(row) != d for row in self.covariance):
            raise ValueError(f"covariance: expected {d} rows of {d} numbers, got another length")
        matrix = np.array(self.covariance)  # (d, d)
        check_moment("covariance", matrix)
        if self.columns and len(self.columns) != d:
            raise ValueError(f"columns: expected {d} (covariance), got {len(self.columns)}")
        columns = tuple(Column(c.name, c.unit, c.description) for c in self.columns)
        model = PaperModel(matrix, self.noise_variance, self.task_variance, self.centred)
        return model, Schema(columns, self.label_unit)


def load(path: Path) -> Artifact:
    """Return the model of a file; raise `ArtifactError` with its name and the first fault."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise ValueError(f"expected at most {LARGEST_FILE_BYTES} bytes, got {size}")
        raw = path.read_bytes()
        entry: _FoundationEntry | _PaperEntry = read(_FoundationEntry | _PaperEntry, raw)
        model, schema = entry.build()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ArtifactError(f"{path.name}: {reason}") from None
    version = hashlib.sha256(raw).hexdigest()[:12]
    return Artifact(entry.name, version, schema, _created(entry), model)


def load_stored(
    folder: Path, name: str, version: str = "", fallback: FoundationModel | None = None
) -> Artifact:
    """Return a version of a store, by default the one in force.

    Prompts that are not of a profile's kind go to `fallback`.
    """
    try:
        stored = Store(folder).load(name, version)
        model = _stored_model(stored, fallback)
    except (StoreError, ValueError) as error:
        raise ArtifactError(str(error)) from None
    manifest, reference = stored.manifest, below(stored.arrays, "monitoring.")
    schema = manifest.schema_of_model()
    return Artifact(name, stored.version, schema, manifest.created, model, reference)


def _stored_model(stored: Stored, fallback: FoundationModel | None) -> Model:
    """Return what answers; ValueError where an array is missing or says nothing."""
    if isinstance(stored.manifest, LayerManifest):
        return stored_layer(stored.manifest, stored.arrays)
    errors, limits = below(stored.arrays, "calibration."), below(stored.arrays, "doubts.")
    return ProfileModel(
        unpack(ProfileParameters, below(stored.arrays, "profile.")),
        fallback=fallback,
        calibration=unpack(Calibration, errors) if errors else None,
        doubts=unpack(DoubtLimits, limits) if limits else None,
        no_better_than_mean=stored.manifest.metrics.no_better_than_mean,
    )


def _created(entry: _Entry) -> datetime:
    """Return when the model was made, by its own provenance; the epoch when it does not say."""
    try:
        made = datetime.fromisoformat(str(entry.provenance.get("date", "1970-01-01")))
    except ValueError:
        made = datetime.fromtimestamp(0, UTC)
    return made if made.tzinfo else made.replace(tzinfo=UTC)
