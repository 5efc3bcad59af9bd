"""From the shadow to the promotion.

SHADOWING: the candidate answers beside the version in force; its paired sums decide. PROMOTING: the
pointer is moved, once: whoever comes here again looks at the pointer first.
"""

import logging
from collections.abc import Mapping

from model.store_pointer import Pointer
from model.version_folder import StoreError
from monitoring.paired import Bounds, Paired
from monitoring.policy import Action, Decision, Shadow, Situation, decide_shadow, is_look
from service.evaluation_record import Evaluation, State
from service.gather import SHARE_MIN, Gathered, gather
from service.lifecycle_parts import Parts, bounds_of, inputs_of
from service.promotion import check_promotion

log = logging.getLogger("sonoba")

LOOK_SECONDS = 1.0
PROMPTS_ASKED = 20  # of the version in force: only the pairs are wanted, so the smallest sums
VERSIONS_KEPT = 20  # of a model, beside those that the pointer names


def look_at_shadow(parts: Parts, evaluation: Evaluation) -> float:
    """Decide by what candidate and served version did side by side. Return seconds to wait."""
    model, candidate, rules = (
        evaluation.model,
        evaluation.candidate_version,
        parts.rules_of(evaluation),
    )
    pointer = parts.store.current(model)
    situation = parts.situation(evaluation, has_changed=pointer.etag != evaluation.etag)
    found = gather(
        parts.replicas, model, evaluation.model_version, candidate, prompt_count=PROMPTS_ASKED
    )
    shadow = _shadow(evaluation, found)
    if not _is_everywhere(found) and not (
        situation.has_changed or shadow.refusal or shadow.seconds >= rules.shadow_seconds_max
    ):
        return LOOK_SECONDS  # replicas are away, or have not loaded it yet
    decision = decide_shadow(situation, shadow, rules)
    if decision.action is not Action.WAIT:
        _conclude(parts, evaluation, pointer, found.paired, decision, (situation, shadow))
    elif is_look(shadow, rules):
        parts.move(evaluation, State.SHADOWING, noting={"looked": shadow.prompt_count})
    return 0.0 if decision.action is not Action.WAIT else _pace(evaluation)


def promote(parts: Parts, evaluation: Evaluation) -> float:
    """Put the candidate in force, unless it is already. Return the seconds to wait."""
    model, candidate = evaluation.model, evaluation.candidate_version
    pointer = parts.store.current(model)
    if pointer.version != candidate:
        if pointer.etag != evaluation.etag:
            situation = parts.situation(evaluation, has_changed=True)
            decision = decide_shadow(situation, Shadow(), parts.rules_of(evaluation))
            reject(parts, evaluation, decision, (situation,))
            return 0.0
        check_promotion(parts.store, model, candidate)
        parts.reached("promote")
        pointer = _promoted(parts, evaluation)
        parts.reached("promoted")
    parts.move(evaluation, State.WATCHING, etag=pointer.etag)
    parts.tally.promoted(model, "ok")
    _prune(parts, model)
    return LOOK_SECONDS


def withdraw(parts: Parts, evaluation: Evaluation) -> None:
    """Take back a nomination, if it is this evaluation's; a fault is left to the next look."""
    try:
        pointer = parts.store.current(evaluation.model)
        if pointer.candidate and pointer.candidate == evaluation.candidate_version:
            parts.reached("withdraw")
            parts.store.nominate(evaluation.model, "", pointer.etag)
    except StoreError as error:
        log.warning("evaluation %s: the candidate is still nominated: %s", evaluation.id, error)


def reject(
    parts: Parts,
    evaluation: Evaluation,
    decision: Decision,
    inputs: tuple[object, ...],
    progress: Mapping[str, object] | None = None,
) -> None:
    """End an evaluation whose candidate is not wanted."""
    told = {"in_force": parts.in_force.version(evaluation.model), **(progress or {})}
    parts.move(
        evaluation, State.REJECTED, decision=decision, inputs=inputs_of(*inputs), noting=told
    )
    parts.tally.promoted(evaluation.model, "rejected")
    withdraw(parts, evaluation)


def _conclude(
    parts: Parts,
    evaluation: Evaluation,
    pointer: Pointer,
    paired: Paired | None,
    decision: Decision,
    inputs: tuple[Situation, Shadow],
) -> None:
    """Do what was decided on a shadow."""
    told: dict[str, object] = {"shadow": _told(paired)}
    if decision.action is Action.REJECT:
        reject(parts, evaluation, decision, inputs, told)
        return
    if decision.action is Action.PROMOTE:
        check_promotion(parts.store, evaluation.model, evaluation.candidate_version)
        state, is_automatic = State.PROMOTING, True
    else:
        state, is_automatic = State.PROPOSED, False
        told["in_force"] = pointer.version
    parts.move(
        evaluation,
        state,
        decision=decision,
        inputs=inputs_of(*inputs),
        noting=told,
        is_automatic=is_automatic,
    )
    if state is State.PROPOSED:
        withdraw(parts, evaluation)


def _promoted(parts: Parts, evaluation: Evaluation) -> Pointer:
    """Move the pointer; a fault after it moved is none."""
    model, candidate = evaluation.model, evaluation.candidate_version
    try:
        return parts.store.promote(model, candidate, evaluation.etag)
    except StoreError:
        pointer = parts.store.current(model)
        if pointer.version != candidate:
            raise
        return pointer


def _prune(parts: Parts, model: str) -> None:
    try:
        parts.store.prune(model, VERSIONS_KEPT)
    except StoreError as error:
        log.warning("%s: old versions stay: %s", model, error)


def _shadow(evaluation: Evaluation, found: Gathered) -> Shadow:
    paired = found.paired
    return Shadow(
        prompt_count=0 if paired is None else paired.prompt_count,
        seconds=evaluation.in_state_seconds,
        gain=None if paired is None else Bounds(*paired.gain()),
        looked_count=int(str(evaluation.progress.get("looked", 0))),
        refusal=found.refusal,
    )


def _is_everywhere(found: Gathered) -> bool:
    """Return whether the candidate answers in enough replicas to speak for all."""
    return found.is_enough and len(found.beside) >= SHARE_MIN * len(found.replicas)


def _told(paired: Paired | None) -> dict[str, object] | None:
    """Return a shadow as a report keeps it."""
    if paired is None:
        return None
    bounds = {name: getattr(paired, name)() for name in ("gain", "served", "candidate")}
    told: dict[str, object] = {
        name: bounds_of(Bounds(*interval)) for name, interval in bounds.items()
    }
    return told | {"prompt_count": paired.prompt_count}


def _pace(evaluation: Evaluation) -> float:
    """Return how long to wait: a shadow of hours is not asked about every second."""
    return min(max(LOOK_SECONDS, evaluation.in_state_seconds / 60.0), 30.0)
