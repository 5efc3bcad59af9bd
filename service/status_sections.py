"""The parts of `/status.json` that depend on one snapshot or on the trend; NaN becomes null."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from model.checkpoint import Artifact
from model.last_evaluation import LastEvaluation
from monitoring.snapshot import FeatureMove, Snapshot
from service.report_codes import in_short, verdict_words
from service.status_numbers import Section, levels, plain, plain_time
from service.trend import Errors, Point

SHOWN_COUNT = 5  # features and directions
NO_ERRORS = Errors(*[float("nan")] * 4)


def models(artifacts: Sequence[Artifact], snapshots: Mapping[str, Snapshot]) -> list[Section]:
    """Return every model served, and how far its monitor is."""
    return [_model(one, snapshots.get(one.name)) for one in artifacts]


def series(points: Sequence[Point], model: str) -> Section:
    """Return `time`, Unix seconds, and beside it one list for each quantity of one model."""
    errors = [point.errors.get(model, NO_ERRORS) for point in points]
    columns = {name: [getattr(one, name) for one in errors] for name in Errors._fields}
    columns["calls_per_second"] = [point.rates.calls_per_second for point in points]
    columns["p99_seconds"] = [point.rates.p99_seconds for point in points]
    return {
        "time": [round(point.seconds) for point in points],
        "series": {name: [plain(value) for value in column] for name, column in columns.items()},
    }


def evaluation(found: LastEvaluation | None, page_names: bool = False) -> Section | None:
    """Return what the last re-evaluation of a model concluded; None where there was none.

    Its own sentence may name features; without `page_names` verdict and reason are said instead.
    """
    if found is None:
        return None
    sentence = found.sentence if page_names else asdict(in_short(found.verdict, found.reason))
    return {
        "time": round(found.time_seconds),
        "evaluation_id": found.evaluation_id,
        "verdict": found.verdict,
        "reason": found.reason,
        "action": found.action,
        "words": asdict(verdict_words(found.verdict)),
        "sentence": sentence,
        "report_url": found.report_url,
    }


def attribution(snapshot: Snapshot | None, names: Sequence[str] | None) -> Section:
    """Return what moved and what hurts; without `names` no name and no value of a feature."""
    if snapshot is None:
        return {"moved": [], "directions": [], "shift_kind": "", "signature": "", "skipped": {}}
    shares = sorted(enumerate(snapshot.direction_shares), key=lambda pair: -pair[1])
    return {
        "moved": [_moved(feature, names) for feature in snapshot.features[:SHOWN_COUNT]],
        "directions": [
            {"place": place, "harm_share": plain(share)} for place, share in shares[:SHOWN_COUNT]
        ],
        "shift_kind": snapshot.kind,
        "signature": snapshot.signature,
        "skipped": dict(snapshot.skipped),
    }


def kind_of(artifact: Artifact) -> str:
    """Return what sort of model it is."""
    return artifact.model.mode.name.lower()


def _model(artifact: Artifact, snapshot: Snapshot | None) -> Section:
    state = "UNWATCHED"
    if snapshot is not None:
        state = "WARMING" if snapshot.is_warming else "WATCHING"
    return {
        "model": artifact.name,
        "version": artifact.version,
        "kind": kind_of(artifact),
        "reference": snapshot.reference if snapshot else "",
        "state": state,
        "prompts": snapshot.prompt_count if snapshot else 0,
        "last_update": plain_time(snapshot.last_update_seconds) if snapshot else None,
        "levels": levels(snapshot) if snapshot else {},
    }


def _moved(feature: FeatureMove, names: Sequence[str] | None) -> Section:
    known = {
        "place": feature.place,
        "name": None,
        "score": plain(feature.score),
        "harm_share": plain(feature.harm_share),
    }
    if names is None:
        return known
    return known | {
        "name": names[feature.place] if feature.place < len(names) else None,
        "mean": plain(feature.mean),
        "deviation": plain(feature.deviation),
        "reference_mean": plain(feature.reference_mean),
        "reference_deviation": plain(feature.reference_deviation),
    }
