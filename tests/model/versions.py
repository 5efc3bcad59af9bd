"""A small version to store, for tests of the store and of what reads it."""

from datetime import UTC, datetime

import numpy as np

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
    Score,
    Training,
)
from model.schema import Column, Schema

ARRAYS = {"slopes": np.array([[1.0, 2.0], [3.0, 4.0]]), "mode": np.array("int")}


def a_draft(name="bikes", row_count=100):
    training = Training(
        source="bikes.csv",
        evidence="rows",
        group="week",
        order=None,
        seed=0,
        row_count=row_count,
        used_row_count=row_count,
        group_count=10,
        layer_count=4,
        seconds=1.0,
        code_version="0.1.0",
    )
    schema = FeatureSchema(
        features=(Feature(name="temp", unit="celsius", mean=12.34, deviation=5.0),),
        label=Label(name="sold", unit="pieces", mean=100.0, deviation=10.0),
        sources=(Number(name="temp", unit="celsius"),),
        hash=Schema((Column("temp", "celsius"),)).hash,
    )
    score = Score(example_count=8, prompt_count=9, group_count=3, error={"profile": 0.5})
    return Draft(
        kind="profile",
        name=name,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        feature_schema=schema,
        feature_count=1,
        lengths=(Length(example_count=8, group_count=10),),
        reference=Reference(row_count=row_count, group_count=10, arrays=()),
        calibration=Calibration(evidence="none"),
        training=training,
        metrics=Metrics(
            scores=(score,), held_out_group_count=3, state="healthy", sentence="It is good."
        ),
    )
