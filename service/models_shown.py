"""A stored version as lines and tables for people: `sonoba models list` and `show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.layer_manifest import AnyManifest, LayerManifest
from model.manifest import Feature, Manifest, Origin
from model.schema import Schema
from model.store import Store
from model.version_folder import StoreError

if TYPE_CHECKING:
    from rich.table import Table

UNBROKEN = ("", "version", "kind", "made")  # columns


def row(store: Store, name: str, version: str) -> tuple[list[str], str]:
    """Return the cells of a version, and its fault if it has one."""
    try:
        manifest = store.load(name, version).manifest
    except StoreError as error:
        return ["", "", "", "", "broken"], str(error)
    if isinstance(manifest, Manifest):
        training = manifest.training
        learnt = f"{training.used_row_count:,} rows, {training.group_count:,} groups"
        state: str = manifest.metrics.state
    else:
        learnt, state = manifest.source, ""
    if manifest.origin is not None:
        learnt = f"{manifest.origin.parent} and {manifest.origin.prompt_count:,} prompts"
    features = str(manifest.feature_count or "any")
    return [manifest.kind, _made(manifest)[:10], features, learnt, state], ""


def _made(manifest: AnyManifest) -> str:
    """Return when a version was made; a file need not tell."""
    made = manifest.created
    return f"{made:%Y-%m-%d %H:%M}" if made.timestamp() else ""


def lines(version: str, manifest: AnyManifest) -> Iterator[str]:
    """Yield what a version says of itself, but for its tables."""
    if isinstance(manifest, Manifest):
        yield from _profile_lines(version, manifest)
    else:
        yield from _layer_lines(version, manifest)
    if (origin := manifest.origin) is not None:
        yield _recalibrated(origin)
    watched = f"reference {manifest.reference.monitoring}" if manifest.reference.monitoring else ""
    yield f"watched   {watched or 'from its first prompts on'}"
    if isinstance(manifest, Manifest):
        for notice in manifest.training.notices:
            yield f"notice    {notice}"


def _recalibrated(origin: Origin) -> str:
    return (
        f"from      version {origin.parent}, recalibrated on {origin.prompt_count:,} prompts "
        f"({origin.row_count:,} rows) by evaluation {origin.evaluation}"
    )


def _layer_lines(version: str, manifest: LayerManifest) -> Iterator[str]:
    unit = f" ({manifest.label_unit})" if manifest.label_unit else ""
    features = f"{manifest.feature_count or 'any number of'} features"
    yield f"model     {manifest.name}, version {version}, kind {manifest.kind}"
    yield f"predicts  a label{unit} from {features}"
    source, made = manifest.source and f"from {manifest.source}", _made(manifest)
    if source or made:
        yield f"made      {' '.join(part for part in (made and f'{made} UTC', source) if part)}"
    yield f"schema    {manifest.schema_of_model().hash or 'any columns'}"


def tables(manifest: AnyManifest) -> Iterator[Table]:
    """Yield the tables of a version: its features, and of a profile its errors."""
    schema = manifest.feature_schema
    if schema is not None:
        found = table("feature", "unit", "mean", "sd", "from", "to")
        for feature in schema.features:
            found.add_row(feature.name, feature.unit, *_numbers(feature))
        label = f"{schema.label.name} (label)"
        found.add_row(label, schema.label.unit, *_numbers(schema.label))
        yield found
    elif manifest.schema_of_model().columns:
        yield _column_table(manifest.schema_of_model())
    if isinstance(manifest, Manifest):
        yield _score_table(manifest)


def _column_table(schema: Schema) -> Table:
    found = table("feature", "unit", "description")
    for column in schema.columns:
        found.add_row(column.name, column.unit, column.description)
    return found


def _profile_lines(version: str, manifest: Manifest) -> Iterator[str]:
    training, schema = manifest.training, manifest.feature_schema
    unit = f" ({schema.label.unit})" if schema.label.unit else ""
    yield f"model     {manifest.name}, version {version}, {manifest.metrics.state}"
    yield f"predicts  {schema.label.name}{unit} from {manifest.feature_count} features"
    yield (
        f"learnt    {manifest.created:%Y-%m-%d %H:%M} UTC from {training.source}: "
        f"{training.used_row_count:,} rows, {training.group_count:,} groups of {training.group}"
    )
    order = f"in the order of {training.order}" if training.order else "in no order"
    yield f"rows      {order}; seed {training.seed}, {training.layer_count} layers"
    yield f"schema    {schema.hash}"
    evidence = manifest.calibration.evidence
    calibrated = "not calibrated" if evidence == "none" else f"calibrated on {evidence}"
    yield f"intervals {calibrated}"


def _numbers(feature: Feature) -> list[str]:
    values = (feature.mean, feature.deviation, feature.minimum, feature.maximum)
    return ["?" if value is None else f"{value:.4g}" for value in values]


def _score_table(manifest: Manifest) -> Table:
    """Return the held-out errors by length and method."""
    scores = manifest.metrics.scores
    methods = list(dict.fromkeys(name for score in scores for name in score.error))
    found = table("examples", "groups", *methods)
    found.title, found.title_justify = "median error on groups not seen (NRMSE)", "left"
    for score in scores:
        errors = [f"{score.error[name]:.3f}" if name in score.error else "" for name in methods]
        found.add_row(str(score.example_count), str(score.group_count), *errors)
    return found


def table(*headings: str) -> Table:
    """Return an empty table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading in UNBROKEN)
    return made
