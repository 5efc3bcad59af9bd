"""The models of the bench as versions that a re-evaluation can judge, store or none."""

from datetime import UTC, datetime

from bench.drift_subjects import Subject
from model.checkpoint import Artifact
from model.features import Number
from model.foundation import FoundationModel
from model.manifest import (
    Array,
    Calibration,
    Feature,
    FeatureSchema,
    Label,
    Length,
    Manifest,
    Metrics,
    Reference,
    Training,
    Weights,
)
from model.paper import PaperModel
from model.profile import ProfileModel
from model.schema import Column, Schema
from monitoring.reference import Reference as Normal

VERSION = "0" * 12
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def columns(d: int) -> Schema:
    """Return d named columns."""
    return Schema(tuple(Column(f"x{place}", "") for place in range(d)))


def artifact_of(subject: Subject) -> Artifact:
    """Return a subject as an artifact with its reference."""
    assert isinstance(subject.model, PaperModel | FoundationModel | ProfileModel)
    schema, arrays = columns(subject.reference.feature_count), subject.reference.to_arrays()
    return Artifact(subject.kind, VERSION, schema, CREATED, subject.model, arrays)


def manifest_of(subject: Subject) -> Manifest | None:
    """Return what a stored profile says of itself; None of the other kinds."""
    model, normal = subject.model, subject.reference
    if not isinstance(model, ProfileModel):
        return None
    known = model.parameters
    return Manifest(
        kind="profile",
        name=subject.kind,
        created=CREATED,
        feature_schema=_schema(normal),
        feature_count=known.feature_count,
        lengths=tuple(
            Length(example_count=bucket.length, group_count=bucket.group_count)
            for bucket in known.buckets
        ),
        reference=Reference(
            row_count=normal.row_count,
            group_count=normal.group_count,
            arrays=(),
            monitoring=normal.id,
        ),
        calibration=Calibration(evidence="none"),
        training=_training(normal),
        metrics=Metrics(scores=(), held_out_group_count=0, state="healthy", sentence=""),
        weights=Weights(bytes=1, sha256="0" * 64, arrays={"a": Array(shape=(1,), dtype="<f8")}),
    )


def _schema(normal: Normal) -> FeatureSchema:
    schema, rows = columns(normal.feature_count), normal.normal
    return FeatureSchema(
        features=tuple(
            Feature(name=column.name, mean=mean, deviation=deviation)
            for column, mean, deviation in zip(
                schema.columns, rows.mean.tolist(), rows.deviation.tolist(), strict=True
            )
        ),
        label=Label(name="y", mean=0.0, deviation=1.0),
        sources=tuple(Number(name=column.name) for column in schema.columns),
        hash=schema.hash,
    )


def _training(normal: Normal) -> Training:
    return Training(
        source="worlds",
        evidence="rows",
        group="task",
        order=None,
        seed=0,
        row_count=normal.row_count,
        used_row_count=normal.row_count,
        group_count=normal.group_count,
        layer_count=4,
        seconds=0.0,
        code_version="0",
    )
