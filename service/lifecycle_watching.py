"""WATCHING: the first prompts after a promotion; live error beyond its bound takes it back."""

import logging
import math

from model.store_pointer import Pointer
from monitoring.paired import Bounds
from monitoring.policy import Action, Watched, decide_watch
from monitoring.reference import Reference
from monitoring.state import State as Sums
from service.evaluation_record import Evaluation, State
from service.gather import Gathered, gather
from service.in_force import Loaded
from service.lifecycle_parts import Parts, bounds_of, inputs_of
from service.live_error import live_error
from service.monitors import reference_of

log = logging.getLogger("sonoba")

LOOK_SECONDS = 1.0
TAKING_BACK = "taking_back"  # noted before the pointer is moved: who comes again knows who moved it


def watch(parts: Parts, evaluation: Evaluation) -> float:
    """Judge a promoted version by its live error. Return the seconds to wait."""
    model, candidate = evaluation.model, evaluation.candidate_version
    pointer = parts.store.current(model)
    if TAKING_BACK in evaluation.progress:
        return _take_back(parts, evaluation, pointer)
    found = gather(parts.replicas, model, candidate)
    watched = _watched(parts, evaluation, pointer, found)
    decision = decide_watch(watched, parts.rules_of(evaluation))
    if decision.action is Action.WAIT:
        return min(max(LOOK_SECONDS, evaluation.in_state_seconds / 60.0), 30.0)
    told = _told(parts, evaluation, watched, found.state)
    inputs = inputs_of(watched)
    if decision.action is Action.ROLL_BACK:
        progress = told | {TAKING_BACK: pointer.etag}
        noted = parts.move(
            evaluation, State.WATCHING, decision=decision, inputs=inputs, noting=progress
        )
        return _take_back(parts, noted, pointer)
    told["in_force"] = pointer.version
    parts.move(evaluation, State.DONE, decision=decision, inputs=inputs, noting=told)
    return 0.0


def _take_back(parts: Parts, evaluation: Evaluation, pointer: Pointer) -> float:
    """Put the version before in force again, unless that was done or somebody else was quicker."""
    if pointer.version == evaluation.candidate_version:
        parts.reached("roll back")
        pointer = parts.store.rollback(evaluation.model, pointer.etag)
        parts.reached("rolled back")
    parts.move(
        evaluation,
        State.ROLLED_BACK,
        is_automatic=True,
        noting={"in_force": pointer.version},
        etag=pointer.etag,
    )
    parts.tally.promoted(evaluation.model, "rolled_back")
    return 0.0


def _watched(parts: Parts, evaluation: Evaluation, pointer: Pointer, found: Gathered) -> Watched:
    state = found.state
    return Watched(
        prompt_count=found.prompt_count,
        seconds=evaluation.in_state_seconds,
        error=None if state is None else _error(parts, evaluation, state),
        shadow_error=_shadow_error(evaluation),
        gate=_gate(state),
        refusal=found.refusal,
        has_changed=pointer.version != evaluation.candidate_version,
    )


def _error(parts: Parts, evaluation: Evaluation, state: Sums) -> Bounds | None:
    """Return the live error over the normal of the version before; None without references."""
    new, old = (
        _reference(parts.in_force.load(evaluation.model, version))
        for version in (evaluation.candidate_version, evaluation.model_version)
    )
    if new is None or old is None or state.reference != new.id:
        return None
    return live_error(state, new, old)


def _reference(loaded: Loaded) -> Reference | None:
    return reference_of(loaded.artifact)


def _shadow_error(evaluation: Evaluation) -> Bounds | None:
    shadow = evaluation.progress.get("shadow")
    if not isinstance(shadow, dict):
        return None
    return Bounds(**shadow["candidate"])


def _gate(state: Sums | None) -> float:
    known = [] if state is None else [level.gate for level in state.levels().values()]
    return max((gate for gate in known if math.isfinite(gate)), default=math.nan)


def _told(
    parts: Parts, evaluation: Evaluation, watched: Watched, state: Sums | None
) -> dict[str, object]:
    """Return the live error as a report keeps it: over the new version's own normal."""
    level = None if state is None else state.levels().get("loo")
    if level is None or not math.isfinite(level.gate):
        return {}
    mean = level.clipped_mean
    own = Bounds(mean, level.gate, 2.0 * mean - level.gate)
    told: dict[str, object] = {"error": bounds_of(own), "prompt_count": level.prompt_count}
    if watched.error and watched.shadow_error and watched.error.mean > 0.0:
        margin = 1.0 + parts.rules_of(evaluation).rollback_margin
        told["limit"] = watched.shadow_error.upper * margin * mean / watched.error.mean
    return {"after": told}
