"""Versions that a re-evaluation made: ready for the store, not in force.

A recalibrated version keeps the errors of its parent's reference as what is normal (the owner's
promise), and takes covariates and scene of the window it was made for. A foundation model that
stands in under a profile's name has no reference: its first prompts become one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.calibration import Calibration
from model.checkpoint import FOUNDATION_FILE, Artifact, Model, load
from model.foundation import FoundationModel
from model.layer_draft import layer_draft
from model.layer_manifest import AnyDraft, AnyManifest, LayerDraft
from model.manifest import Manifest, Origin
from model.packing import Leaf
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_parameters import BucketParameters, ProfileParameters
from model.recalibrate import recalibrated_profile
from model.recalibrate_paper import recalibrated_paper
from model.window import Window
from monitoring.attribution import Sums
from monitoring.evidence import Evidence
from monitoring.reference import Reference
from monitoring.renewal import Rows, renewed_reference
from service.expected import expected_excess
from service.profile_fit import Fitted
from service.recalibrated_draft import recalibrated_draft

Array = NDArray[np.float64]
Kind = Literal["recalibrated", "repretrained", "foundation"]
"""What was done; `foundation` stands in for a version that nothing repairs."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version for `Store.add(draft, arrays)`."""

    kind: Kind
    draft: AnyDraft
    arrays: Mapping[str, Leaf] = field(repr=False)
    model: Model = field(repr=False)
    reference: Reference | None = field(default=None, repr=False)


class Parent(NamedTuple):
    """The version that candidates are made from, and what they say of their making."""

    artifact: Artifact
    manifest: AnyManifest | None
    reference: Reference
    origin: Origin
    created: datetime


def recalibrated(
    parent: Parent, windows: Sequence[Window], parts: Sequence[Evidence]
) -> Candidate | None:
    """Return the parent fitted to the sums of a window; None of a kind that has nothing to fit.

    parts are the sums that the windows were made of. ValueError where they are too few, or say
    nothing.
    """
    model = parent.artifact.model
    if isinstance(model, ProfileModel):
        return _profile(parent, model, windows, parts)
    if isinstance(model, PaperModel):
        made = recalibrated_paper(model, windows)
        excess = expected_excess(model, made, windows, parent.reference)
        reference = _reference(parent, windows, [(part, None, None) for part in parts], excess)
        return _layer("recalibrated", parent, made, reference)
    return None


def foundation(parent: Parent) -> Candidate | None:
    """Return the shipped layers under the parent's name; None where these are what is served.

    Errors of `foundation` are in the prompt's own deviations: no other model's are its normal.
    """
    if isinstance(parent.artifact.model, FoundationModel):
        return None
    made = load(FOUNDATION_FILE).model
    assert isinstance(made, FoundationModel)
    made = replace(made, feature_count=parent.artifact.feature_count)
    return _layer("foundation", parent, made, None)


def _layer(
    kind: Kind, parent: Parent, model: PaperModel | FoundationModel, reference: Reference | None
) -> Candidate:
    draft, arrays = layer_draft(
        parent.artifact.name,
        model,
        parent.artifact.schema,
        parent.created,
        origin=parent.origin,
        reference=None if reference is None else reference.to_arrays(),
        reference_id="" if reference is None else reference.id,
        feature_schema=None if parent.manifest is None else parent.manifest.feature_schema,
        source=parent.manifest.source if isinstance(parent.manifest, LayerDraft) else "",
    )
    return Candidate(kind, draft, arrays, model, reference)


def _profile(
    parent: Parent, model: ProfileModel, windows: Sequence[Window], parts: Sequence[Evidence]
) -> Candidate:
    assert isinstance(parent.manifest, Manifest)  # a profile is always a stored one
    old = model.parameters
    new = recalibrated_profile(old, windows)
    calibration = _calibration(model.calibration, old, new)
    lengths = [round(part.rows / part.prompts) for part in parts]
    changed = [(part, old.bucket(M), new.bucket(M)) for part, M in zip(parts, lengths, strict=True)]
    made = model.renewed(new, calibration)
    excess = expected_excess(model, made, windows, parent.reference)
    reference = _reference(parent, windows, changed, excess)
    arrays = Fitted(new, calibration, model.doubts, reference).arrays()
    draft = recalibrated_draft(
        parent.manifest, new, reference.normal, reference.id, parent.origin, parent.created
    )
    return Candidate("recalibrated", draft, arrays, made, reference)


def _calibration(
    known: Calibration | None, old: ProfileParameters, new: ProfileParameters
) -> Calibration | None:
    """Return the quantiles of history, with the noise that the window shows.

    A length that another one answers now has that one's quantiles.
    """
    if known is None:
        return None
    answering = [new.bucket(round(float(length))) for length in known.lengths]
    rows = [known.bucket(bucket.length) for bucket in answering]
    grown = [
        bucket.noise_variance / old.bucket(bucket.length).noise_variance for bucket in answering
    ]
    return Calibration(
        known.lengths,
        known.prior_freedom[rows],
        known.prior_variance[rows] * np.array(grown),
        *(column[rows] for column in (known.quantiles, known.prompt_counts, known.group_counts)),
    )


def _reference(
    parent: Parent,
    windows: Sequence[Window],
    changed: Sequence[tuple[Evidence, BucketParameters | None, BucketParameters | None]],
    excess: float,
) -> Reference:
    """Return the parent's reference on the covariates of the windows; gaps are from the new prior.

    Of each part, the bucket that answered it and the one that would now.
    """
    scenes = []
    for part, before, now in changed:
        scene = part.scene
        if len(scene.means) != len(parent.reference.scene.means):
            continue  # in other coordinates than most
        if before is not None and now is not None:
            if before.coordinates != now.coordinates:
                continue
            moved = now.prior_mean - before.prior_mean  # (p,)
            scene = scene._replace(gaps=scene.gaps - scene.moments @ moved)
        scenes.append(scene)
    if not scenes:
        raise ValueError("prompts: expected some in the reference's coordinates, got none")
    scene = reduce(Sums.joined, scenes)
    return renewed_reference(parent.reference, scene, _covariates(windows), excess)


def _covariates(windows: Sequence[Window]) -> Rows:
    """Return the law of the rows of all windows."""
    shares = np.array([one.row_count for one in windows])  # (k,)
    shares = shares / shares.sum()  # (k,)
    means = np.stack([one.feature_mean for one in windows])  # (k, d)
    mean = shares @ means  # (d,)
    off = means - mean  # (k, d)
    between = np.tensordot(shares, np.stack([one.feature_between for one in windows]), axes=1)
    within = np.tensordot(shares, np.stack([one.feature_within for one in windows]), axes=1)
    length = 1.0 / float(shares @ np.array([1.0 / one.length for one in windows]))
    return Rows(mean, between + (off * shares[:, None]).T @ off, within, length)
