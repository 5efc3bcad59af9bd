"""A model as `GetModel` tells it."""

from model.answer import Mode
from model.checkpoint import Supporting
from model.intervals import LEVELS
from model.profile import ProfileModel
from model.schema import Schema
from service.gaps import fills_gaps
from service.slot import Served
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb

KINDS = {
    Mode.PAPER: pb.MODEL_KIND_PAPER,
    Mode.FOUNDATION: pb.MODEL_KIND_FOUNDATION,
    Mode.PROFILE: pb.MODEL_KIND_PROFILE,
}


def describe(artifact: Served, limits: Limits, is_harmed: bool) -> pb.Model:
    """Return what a caller needs to know of a model before calling it.

    `is_harmed` says that a harmful shift of it is open.
    """
    model, schema = artifact.model, artifact.schema
    message = pb.Model(
        name=artifact.name,
        kind=KINDS[model.mode],
        version=artifact.version,
        versions=[artifact.version],
        feature_count=artifact.feature_count,
        columns=_columns(schema),
        schema_hash=schema.hash,
        label_unit=schema.label_unit,
        example_count_min=model.example_count_min,
        example_count_max=limits.example_count_max,
        query_count_max=limits.query_count_max,
        batch_prompt_count_max=limits.batch_prompt_count_max,
        message_bytes_max=limits.message_bytes_max,
        confidence_levels=LEVELS if isinstance(model, Supporting) else (),
        state=_state(artifact, is_harmed),
        reference=artifact.reference_id,
        missing_values_supported=fills_gaps(model),
        feature_count_max=artifact.feature_count or limits.feature_count_max,
        element_count_max=limits.element_count_max,
    )
    message.create_time.FromDatetime(artifact.created)
    return message


def _state(artifact: Served, is_harmed: bool) -> pb.ModelState:
    """Return whether a model can be trusted today; harm is told before anything else."""
    if is_harmed:
        return pb.MODEL_STATE_HARMED
    if not artifact.reference_id:
        return pb.MODEL_STATE_WARMING
    is_provisional = isinstance(artifact.model, ProfileModel) and artifact.model.is_provisional
    return pb.MODEL_STATE_PROVISIONAL if is_provisional else pb.MODEL_STATE_HEALTHY


def _columns(schema: Schema) -> list[pb.Column]:
    return [pb.Column(name=c.name, unit=c.unit, description=c.description) for c in schema.columns]
