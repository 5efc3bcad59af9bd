"""What a recalibrated profile says of itself: as its parent, but for what the sums changed."""

from datetime import datetime

import numpy as np

from model.document import changed, remade
from model.manifest import Draft, Feature, FeatureSchema, Length, Manifest, Origin
from model.profile_parameters import ProfileParameters
from monitoring.covariates import Normal

MOVED = 0.25  # deviations of a mean, or as a share of a deviation


def recalibrated_draft(
    manifest: Manifest,
    new: ProfileParameters,
    normal: Normal,
    reference_id: str,
    origin: Origin,
    created: datetime,
) -> Draft:
    """Return the manifest of a profile that was fitted to a window of another one's prompts.

    normal is the law of the window's covariates.
    """
    sentence = (
        f"recalibrated on sums of {origin.prompt_count} prompts; the errors on held-out groups are "
        f"those of version {origin.parent}, which it was made from"
    )
    told = {
        "created": created,
        "origin": origin,
        "feature_schema": _schema(manifest.feature_schema, normal),
        "coordinates": ", ".join(bucket.coordinates for bucket in new.buckets),
        "lengths": tuple(_length(one, new) for one in manifest.lengths),
        "reference": changed(
            manifest.reference, row_count=origin.row_count, arrays=(), monitoring=reference_id
        ),
        "metrics": changed(manifest.metrics, sentence=sentence),
    }
    return remade(Draft, manifest, **told)


def _length(known: Length, new: ProfileParameters) -> Length:
    """Return what is learnt for a length now, as the manifest says it."""
    own = [bucket for bucket in new.buckets if bucket.length == known.example_count]
    if not own:
        return Length(example_count=known.example_count, group_count=known.group_count)
    (bucket,) = own
    return Length(
        example_count=known.example_count,
        group_count=known.group_count,
        noise=float(np.sqrt(bucket.noise_variance)),
        prior_mean=tuple(bucket.prior_mean.tolist()),
        prior_deviation=tuple(np.sqrt(np.diag(bucket.prior_covariance)).tolist()),
    )


def _schema(known: FeatureSchema, normal: Normal) -> FeatureSchema:
    """Return the features with the means of the window; ranges stay where they lie as they did."""
    rows = zip(known.features, normal.mean.tolist(), normal.deviation.tolist(), strict=True)
    return changed(known, features=tuple(_feature(*row) for row in rows))


def _feature(known: Feature, mean: float, deviation: float) -> Feature:
    told: dict[str, float | None] = {"mean": mean, "deviation": deviation}
    moved = abs(mean - known.mean) > MOVED * known.deviation
    if (
        moved
        or not known.deviation < (1.0 + MOVED) * deviation < (1.0 + MOVED) ** 2 * known.deviation
    ):
        told |= {"minimum": None, "maximum": None}
    return changed(known, **told)
