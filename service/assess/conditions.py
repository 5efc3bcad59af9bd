"""Step 3, changed conditions: what the answers bear, and which alert tells of the rest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.profile_fit import Tick
from model.support import Wanted
from service.assess.alerting import RUNS, Alarm, Replay
from service.assess.answered import answer, effect, errors
from service.assess.changes import Changed, Scene, changes
from service.assess.findings import Change, Conditions
from service.assess.judged import judge
from service.assess.relation import relation, usual
from service.assess.stale import stale

if TYPE_CHECKING:
    from service.assess.material import Material

Array = NDArray[np.float64]

STAGE = "changed conditions"
NO_PROFILE = "expected a profile, got the model that knows no history: nothing is normal for it"


def conditions(material: "Material", tick: Tick) -> Conditions:
    """Return what changed conditions do to the answers to held-out prompts."""
    tick(STAGE, 0.0)
    if not material.prompts:
        return Conditions(0, (), 0.0, 0, 0, _unwatched(material))
    scene = scene_of(material)
    replay = _replay(material, scene)
    found = []
    every = [*changes(scene)]
    for place, change in enumerate(_judged(material, scene, every, replay)):
        found.append(change)
        tick(STAGE, (place + 1) / (len(every) + 1))
    found += _stale(material)
    tick(STAGE, 1.0)
    runs = (0.0, 0, 0) if replay is None else (replay.quiet_share, replay.run_prompts, RUNS)
    return Conditions(material.length, tuple(found), *runs, _unwatched(material))


def _unwatched(material: "Material") -> str:
    if material.fitted.reference is not None:
        return ""
    return material.fitted.unwatched or NO_PROFILE


def scene_of(material: "Material") -> Scene:
    """Return the held-out prompts that most is said of, and what changes need of the history."""
    prompts, known = material.prompts[material.length], usual(material.known)
    places, which = np.unique(prompts.groups, return_inverse=True)  # (G,), (P,)
    groups = material.unseen.chosen(places.tolist()).groups
    own = relation(groups, material.known, known.deviation)
    buckets = material.fitted.parameters.buckets
    noise = own.noise
    if buckets:
        bucket = material.fitted.parameters.bucket(material.length)
        noise = float(np.sqrt(bucket.reference.noise_variance))
    sources, slopes = material.found.sources, own.slopes[which]  # (P, d)
    reliance = relied_upon(material, slopes)
    return Scene(prompts, known, sources, slopes, noise, reliance, material.seed)


def relied_upon(material: "Material", slopes: Array) -> Array:
    """Return by source (sources,) how far it moves the answers: the deviation of bᵀ(x - x̄).

    The middle over prompts of the deviation over queries, b the served coefficients; where none are
    had, the slopes (P, d) of the groups themselves.
    """
    prompts = material.prompts[material.length]
    explanation = material.model.support(prompts.block, Wanted(explanation=True)).explanation
    b = slopes if explanation is None else explanation.coefficients  # (P, d)
    b = np.where(np.isfinite(b), b, slopes)  # (P, d)
    adds = b[:, None] * (prompts.queries - prompts.x.mean(axis=1, keepdims=True))  # (P, Q, d)
    ends = np.cumsum([len(source.columns()) for source in material.found.sources])
    parts = np.split(adds, ends[:-1], axis=2)
    moved = [float(np.sqrt((part.sum(axis=2) ** 2).mean(axis=1)).mean()) for part in parts]
    return np.array(moved)


def _replay(material: "Material", scene: Scene) -> Replay | None:
    reference = material.fitted.reference
    if reference is None:
        return None
    model, prompts = material.model, scene.prompts
    quiet = judge(model, reference, answer(model, prompts), prompts.weight)
    return Replay.of(reference, quiet, material.seed) if quiet.watched.any() else None


def _judged(
    material: "Material", scene: Scene, every: list[Changed], replay: Replay | None
) -> Iterator[Change]:
    """Yield what every change does, in turn."""
    model, unit = material.model, scene.prompts.y.std(axis=1)  # (P,)
    before = answer(model, scene.prompts)
    known = errors(scene.prompts, before, unit)  # (P,)
    for one in every:
        after = answer(model, one.prompts)
        changed = errors(one.prompts, after, unit)  # (P,)
        told = effect(one.prompts, before, known, after, changed, material.seed)
        alarm = Alarm()
        if replay is not None:
            seen = judge(model, replay.reference, after, one.prompts.weight)
            alarm = replay.alarm(seen)
        yield Change(
            *(one.code, one.strength, one.columns, *told),
            *(alarm.alert, alarm.severity, alarm.prompts, alarm.share),
        )


def _stale(material: "Material") -> list[Change]:
    found = stale(material)
    if found is None:
        return []
    return [Change(found.code, found.share, (), *found.effect, "", None, None, 0.0)]
