"""What a stored profile says of itself, made of the history, the fit and the held-out errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.document import remade
from model.features import columns
from model.intervals import LEVELS
from model.manifest import (
    Calibration,
    Draft,
    Feature,
    FeatureSchema,
    Label,
    Metrics,
    Reference,
    Score,
    Training,
)
from model.moments import Sums
from model.packing import Leaf
from model.schema import Column, Schema
from service.admission import Admission
from service.held_out import Cell
from service.history_sums import HistoryRead
from service.profile_fit import Fitted

Array = NDArray[np.float64]


class Normal(NamedTuple):
    """Means and second moments of all rows: what a later shift is measured from."""

    mean: Array  # (d + 1,) the label last
    within: Array  # (d + 1, d + 1) of rows about the mean of their group
    between: Array  # (d + 1, d + 1) of the groups' means about the mean, groups by their rows

    @property
    def deviation(self) -> Array:
        """Return the standard deviations (d + 1,) over all rows."""
        total: Array = np.sqrt(np.maximum(np.diag(self.within + self.between), 0.0))  # (d + 1,)
        return total


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller said, and what of it must be remembered."""

    name: str
    target: str
    target_unit: str
    training: Training
    created: datetime


def normal(sums: Sequence[Sums]) -> Normal:
    """Return the moments of all groups together, from their sums."""
    moments = [one.centred() for one in sums]
    counts = np.array([one.count for one in moments], np.float64)  # (G,)
    means = np.array([np.append(one.mean[0], one.label_mean[0]) for one in moments])  # (G, d + 1)
    mean = counts @ means / counts.sum()  # (d + 1,)
    within = np.zeros((len(mean), len(mean)))  # (d + 1, d + 1)
    for one in moments:
        assert one.scatter is not None
        products = one.products[0][:, None]  # (d, 1)
        within += np.block([[one.scatter[0], products], [products.T, one.label_scatter[0]]])
    gaps = (means - mean) * np.sqrt(counts / counts.sum())[:, None]  # (G, d + 1)
    return Normal(mean, within / counts.sum(), gaps.T @ gaps)


def reference_arrays(found: Normal) -> dict[str, Leaf]:
    """Return the reference as named arrays; the label is the last row and column."""
    return {f"reference.{name}": array for name, array in found._asdict().items()}


def draft(
    told: Told, read: HistoryRead, fitted: Fitted, cells: Sequence[Cell], admission: Admission
) -> Draft:
    """Return the manifest of a fitted profile, without its weights."""
    found = normal(read.sums)
    schema = feature_schema(told, read, found)
    return Draft(
        kind="profile",
        name=told.name,
        created=told.created,
        feature_schema=schema,
        feature_count=len(schema.features),
        coordinates=fitted.coordinates(),
        lengths=fitted.lengths(read.history),
        reference=Reference(
            row_count=sum(one.count for one in read.sums),
            group_count=len(read.sums),
            arrays=tuple(reference_arrays(found)),
            monitoring="" if fitted.reference is None else fitted.reference.id,
        ),
        calibration=_calibration(fitted),
        training=told.training,
        metrics=metrics(cells, admission),
    )


def _calibration(fitted: Fitted) -> Calibration:
    if fitted.calibration is None:
        return Calibration(evidence="none")
    return Calibration(evidence="held-out groups", levels=LEVELS)


def feature_schema(told: Told, read: HistoryRead, found: Normal) -> FeatureSchema:
    """Return the features and the label with their ranges."""
    listed = columns(read.sources)
    label = Column(told.target, told.target_unit)
    features = tuple(_feature(column, read, found, j) for j, column in enumerate(listed))
    return FeatureSchema(
        features=features,
        label=remade(Label, _feature(label, read, found, len(listed))),
        sources=read.sources,
        missing={name: share for name, share in read.missing.items() if share},
        hash=Schema(listed, told.target_unit).hash,
    )


def metrics(cells: Sequence[Cell], admission: Admission) -> Metrics:
    """Return the held-out errors and the verdict."""
    scores = tuple(
        Score(
            example_count=cell.example_count,
            prompt_count=len(cell.group),
            group_count=len(np.unique(cell.group)),
            error={name: cell.median(name) for name in cell.error},
        )
        for cell in cells
    )
    groups = np.concatenate([cell.group for cell in cells])  # (all prompts,)
    return Metrics(
        scores=scores,
        held_out_group_count=len(np.unique(groups)),
        state=admission.state,
        sentence=admission.sentence,
        no_better_than_mean=admission.no_better_than_mean,
    )


def _feature(column: Column, read: HistoryRead, found: Normal, j: int) -> Feature:
    low, high = float(read.low[j]), float(read.high[j])
    known = low <= high  # NaN where only sums were given
    return Feature(
        name=column.name,
        unit=column.unit,
        description=column.description,
        mean=float(found.mean[j]),
        deviation=float(found.deviation[j]),
        minimum=low if known else None,
        maximum=high if known else None,
    )
