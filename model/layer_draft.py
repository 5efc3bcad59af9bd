"""A `paper` or `foundation` model as a version for the store, and a stored one as a model again.

The weights are what the model is made of, so that the two answer alike to the last bit:
`paper.law.*` or `paper.sums.*` (model/paper_weights.py), `foundation.*`, and `monitoring.*`, the
reference, where one travels with the version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.foundation import FoundationModel
from model.layer_manifest import LayerColumn, LayerDraft, LayerKind, LayerManifest
from model.layers import certificate
from model.manifest import FeatureSchema, Origin, Reference
from model.packing import Leaf, below, pack, unpack
from model.paper import PaperModel
from model.paper_weights import EmpiricalSums, Law, check_moment
from model.schema import Schema

Array = NDArray[np.float64]


class Layer(NamedTuple):
    """A version for `Store.add(*layer)`."""

    draft: LayerDraft
    arrays: dict[str, Leaf]


@dataclass(frozen=True, slots=True)
class _Foundation:
    steps: Array  # (L, 2)
    lambda_grid: Array  # (K,)
    correction_bound: float


@dataclass(frozen=True, slots=True)
class _Paper:
    centred: bool
    law: Law | None = None
    sums: EmpiricalSums | None = None


def layer_draft(
    name: str,
    model: PaperModel | FoundationModel,
    schema: Schema,
    created: datetime,
    *,
    origin: Origin | None = None,
    reference: Mapping[str, Leaf] | None = None,
    reference_id: str = "",
    feature_schema: FeatureSchema | None = None,
    source: str = "",
) -> Layer:
    """Return the version of a layer model under a name.

    schema holds the columns that requests are checked against, none where any will do;
    feature_schema the ranges and sources of a profile it stands in for. reference are the arrays
    of monitoring's reference, with its id; without, the first prompts become what is normal. The
    columns of a `foundation` version fix its number of features.
    """
    columns = tuple(
        LayerColumn(name=c.name, unit=c.unit, description=c.description) for c in schema.columns
    )
    kind: LayerKind = "foundation" if isinstance(model, FoundationModel) else "paper"
    draft = LayerDraft(
        kind=kind,
        name=name,
        created=created,
        columns=columns,
        label_unit=schema.label_unit,
        feature_count=model.feature_count or len(columns),
        feature_schema=feature_schema,
        reference=_reference(origin, reference_id),
        source=source,
        origin=origin,
    )
    arrays = {f"{kind}.{path}": leaf for path, leaf in _weights(model).items()}
    return Layer(draft, arrays | {f"monitoring.{n}": leaf for n, leaf in (reference or {}).items()})


def _reference(origin: Origin | None, monitoring: str) -> Reference:
    row_count = 0 if origin is None else origin.row_count
    return Reference(row_count=row_count, group_count=0, arrays=(), monitoring=monitoring)


def _weights(model: PaperModel | FoundationModel) -> dict[str, Leaf]:
    if isinstance(model, FoundationModel):
        steps, grid = np.array(model.steps), np.array(model.lambda_grid)  # (L, 2), (K,)
        return pack(_Foundation(steps, grid, model.correction_bound))
    parameters, centred = model.parameters, model.centred
    if isinstance(parameters, Law):
        return pack(_Paper(centred, law=parameters))
    return pack(_Paper(centred, sums=parameters))


def stored_layer(
    manifest: LayerManifest, arrays: Mapping[str, Leaf]
) -> PaperModel | FoundationModel:
    """Return the model of a stored layer; ValueError where its weights are none."""
    leaves = below(arrays, f"{manifest.kind}.")
    if manifest.kind == "foundation":
        return _foundation(unpack(_Foundation, leaves), manifest.feature_count)
    found = unpack(_Paper, leaves)
    parameters = found.law or found.sums
    if parameters is None:
        raise ValueError("weights: expected a law or sums, got neither")
    if isinstance(parameters, Law):
        check_moment("covariance", parameters.covariance)
    if parameters.feature_count != manifest.feature_count:
        sentence = f"expected {manifest.feature_count}, got {parameters.feature_count}"
        raise ValueError(f"features of the weights: {sentence}")
    return PaperModel.of(parameters, found.centred)


def _foundation(found: _Foundation, feature_count: int) -> FoundationModel:
    if found.steps.ndim != 2 or found.steps.shape[1] != 2 or found.lambda_grid.ndim != 1:
        raise ValueError("weights: expected steps of two numbers and a grid, got other shapes")
    if not (found.lambda_grid.size and (found.lambda_grid > 0.0).all()):
        raise ValueError("lambda_grid: expected numbers above 0, got others")
    steps = tuple((float(a), float(b)) for a, b in found.steps)
    check_steps(steps)
    grid = tuple(float(value) for value in found.lambda_grid)
    return FoundationModel(steps, grid, found.correction_bound, feature_count)


def check_steps(steps: Sequence[tuple[float, float]]) -> None:
    """Refuse layers that could diverge on some prompt."""
    low, high, inverse = certificate(steps)
    if not (low >= -0.1 and high < 1.0 and inverse > 0.0):
        raise ValueError(
            "steps: expected layers with a residual in [-0.1, 1) and a positive inverse, "
            f"got a residual in [{low:.3g}, {high:.3g}] and an inverse of {inverse:.3g}"
        )
