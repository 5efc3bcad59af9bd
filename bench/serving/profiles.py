"""Profiles to serve: learnt from tasks of the law that the prompts come from, and stored.

As `sonoba pretrain` stores them (intervals, doubts, what monitoring compares with), except that the
coordinates are given: choosing them takes nine times as long as fitting, and these are chosen.
"""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bench.serving import prompts
from bench.serving.prompts import Shape
from bench.serving.servers import Models
from model.features import Number
from model.manifest import (
    Calibration,
    Draft,
    Feature,
    FeatureSchema,
    Label,
    Length,
    Metrics,
    Reference,
    Training,
)
from model.profile_fit import fit
from model.profile_support import held_out_folds
from model.store import Store
from service.profile_fit import Fitted, calibrated_profile
from service.reference_fit import watched_profile

COORDINATES = "intercept"
GROUPS, ROWS = 40, 120
WIDE, WIDE_GROUPS, WIDE_ROWS = 32, 16, 200  # from so many features on, few groups of more rows
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def write_profiles(folder: Path, shapes: Iterable[Shape]) -> Path:
    """Store a profile for the features of every shape, about 35 s for all three; return the store.

    The widest has no reference of monitoring: a history this short cannot say what is normal.
    """
    store = folder / "store"
    for shape in shapes:
        found = _learnt(shape.d)
        Store(store).save(_draft(shape, found), found.arrays())
    return store


def _learnt(d: int) -> Fitted:
    groups, rows = (GROUPS, ROWS) if d < WIDE else (WIDE_GROUPS, WIDE_ROWS)
    history = prompts.history(d, groups, rows)
    fitted = Fitted(fit(history, coordinates=COORDINATES))
    folds = held_out_folds(history, fitted.parameters, 0)
    return watched_profile(calibrated_profile(fitted, folds), folds, 0)


def _draft(shape: Shape, found: Fitted) -> Draft:
    known = found.parameters
    rows = known.group_count * ROWS
    return Draft(
        kind="profile",
        name=prompts.model_name("profile", shape),
        created=CREATED,
        feature_schema=_schema(shape.d),
        feature_count=shape.d,
        coordinates=found.coordinates(),
        lengths=tuple(
            Length(example_count=bucket.length, group_count=bucket.group_count)
            for bucket in known.buckets
        ),
        reference=Reference(
            row_count=rows,
            group_count=known.group_count,
            arrays=(),
            monitoring="" if found.reference is None else found.reference.id,
        ),
        calibration=Calibration(evidence="held-out groups"),
        training=_training(rows, known.group_count),
        metrics=Metrics(scores=(), held_out_group_count=0, state="healthy", sentence=""),
    )


def _schema(d: int) -> FeatureSchema:
    schema = prompts.schema(d)
    return FeatureSchema(
        features=tuple(Feature(name=name, mean=0.0, deviation=1.0) for name in schema.names),
        label=Label(name="y", mean=0.0, deviation=1.0),
        sources=tuple(Number(name=name) for name in schema.names),
        hash=schema.hash,
    )


def _training(row_count: int, group_count: int) -> Training:
    return Training(
        source="drawn",
        evidence="rows",
        group="task",
        order=None,
        seed=0,
        row_count=row_count,
        used_row_count=row_count,
        group_count=group_count,
        layer_count=4,
        seconds=0.0,
        code_version="bench",
    )


def alone(models: Models, shape: Shape, folder: Path) -> Models:
    """Return a store with nothing but the profile of a shape, copied from one with several."""
    assert models.store is not None
    name = prompts.model_name("profile", shape)
    store = folder / f"only-{name}"
    if not store.exists():
        shutil.copytree(models.store / name, store / name)
    return Models(store=store)
