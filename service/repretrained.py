"""A profile pretrained again, from prompts that tenants let the servers keep.

Every prompt is a group, as a week or a store is in a history: its examples are rows of one task.
The steps are those of `sonoba pretrain`, but for the held-out groups: candidates are judged on
later prompts. Its reference is its own, so an operator decides.
"""

from collections.abc import Sequence

from model.checkpoint import FOUNDATION_FILE, load
from model.coordinates import INTERCEPT
from model.foundation import FoundationModel
from model.history import Group, History
from model.intervals import LEVELS
from model.manifest import (
    Calibration,
    Draft,
    FeatureSchema,
    Metrics,
    Reference,
    State,
    Training,
)
from model.profile import ProfileModel
from model.profile_fit import fit
from model.profile_parameters import ProfileParameters
from model.profile_support import held_out_folds
from model.prompt import Block, Examples
from service import __version__
from service.candidates import Candidate, Parent
from service.profile_fit import Fitted, calibrated_profile
from service.reference_fit import watched_profile

LAYERS = 4


def fitted_profile(parent: Parent, blocks: Sequence[Block], seed: int) -> ProfileModel | None:
    """Return a profile of kept prompts (B = 1 each); None where they are too short or too few."""
    parameters = _fit(parent, history_of(blocks), seed)
    return _model(Fitted(parameters)) if parameters.buckets else None


def _fit(parent: Parent, history: History, seed: int) -> ProfileParameters:
    """Return what the prompts teach, in the parent's coordinates: choosing anew takes seconds."""
    served = parent.artifact.model
    known = served.parameters.buckets if isinstance(served, ProfileModel) else ()
    coordinates = known[-1].coordinates if known else INTERCEPT
    return fit(history, seed=seed, layer_count=LAYERS, coordinates=coordinates)


def history_of(blocks: Sequence[Block]) -> History:
    """Return the examples of prompts as groups; a prompt sent as sums has none."""
    groups = []
    for place, block in enumerate(blocks):
        if isinstance(block.context, Examples):
            groups.append(Group(str(place), block.context.x[0], block.context.y[0]))
    return History(tuple(groups), is_ordered=False)


def repretrained(parent: Parent, blocks: Sequence[Block], seed: int) -> Candidate | None:
    """Return the profile of kept prompts under the parent's name, with a reference of its own.

    None where prompts are too short or too few, or where the parent names no features to learn.
    """
    schema = None if parent.manifest is None else parent.manifest.feature_schema
    if schema is None:
        return None
    history = history_of(blocks)
    fitted = Fitted(_fit(parent, history, seed))
    if not fitted.parameters.buckets:
        return None
    folds = held_out_folds(history, fitted.parameters, seed)
    fitted = watched_profile(calibrated_profile(fitted, folds), folds, seed)
    draft = _draft(parent, schema, fitted, history, seed)
    return Candidate("repretrained", draft, fitted.arrays(), _model(fitted), fitted.reference)


def _model(fitted: Fitted) -> ProfileModel:
    shipped = load(FOUNDATION_FILE).model
    assert isinstance(shipped, FoundationModel)
    return ProfileModel(
        fitted.parameters,
        fallback=shipped,
        calibration=fitted.calibration,
        doubts=fitted.doubts,
    )


def _draft(
    parent: Parent, schema: FeatureSchema, fitted: Fitted, history: History, seed: int
) -> Draft:
    rows = sum(len(group.y) for group in history.groups)
    count = len(history.groups)
    return Draft(
        kind="profile",
        name=parent.artifact.name,
        created=parent.created,
        feature_schema=schema,
        feature_count=len(schema.features),
        coordinates=fitted.coordinates(),
        lengths=fitted.lengths(history),
        reference=Reference(
            row_count=rows,
            group_count=count,
            arrays=(),
            monitoring="" if fitted.reference is None else fitted.reference.id,
        ),
        calibration=_calibration(fitted),
        training=_training(rows, count, seed),
        metrics=_metrics(fitted, count),
        origin=parent.origin,
    )


def _calibration(fitted: Fitted) -> Calibration:
    if fitted.calibration is None:
        return Calibration(evidence="none")
    return Calibration(evidence="held-out groups", levels=LEVELS)


def _training(row_count: int, group_count: int, seed: int) -> Training:
    return Training(
        source="reservoir",
        evidence="rows",
        group="prompt",
        order=None,
        seed=seed,
        row_count=row_count,
        used_row_count=row_count,
        group_count=group_count,
        layer_count=LAYERS,
        seconds=0.0,
        code_version=__version__,
    )


def _metrics(fitted: Fitted, group_count: int) -> Metrics:
    state: State = "healthy" if fitted.parameters.state == "healthy" else "provisional"
    sentence = (
        f"pretrained again on {group_count} prompts that tenants let the servers keep; "
        "how it did on later ones stands in the report of its re-evaluation"
    )
    return Metrics(scores=(), held_out_group_count=0, state=state, sentence=sentence)
