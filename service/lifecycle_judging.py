"""From a request to a verdict, and from the verdict to what the rules make of it.

ASKED: note what is in force. GATHERING: wait for enough prompts of enough replicas, judge, and
write the candidate where one helps; nothing is in force by that. JUDGED: the business rules decide.
"""

import logging
import math
from datetime import UTC, datetime
from typing import Any

from model.version_folder import StoreError
from monitoring.policy import Action, Decision, decide
from monitoring.state import State as Sums
from monitoring.verdict import Verdict
from service.candidates import Candidate
from service.drift_report import NO_REFERENCE, not_comparable
from service.evaluating import Evaluated, Kept, NotComparable, Sources, evaluate
from service.evaluation_record import Evaluation, State, Trigger
from service.findings import Findings
from service.gather import Gathered, collect, gather
from service.insufficient import insufficient
from service.lifecycle_parts import ACTOR, Parts, inputs_of
from service.promotion import check_promotion
from service.report_codes import in_short
from service.tenant_loss import worst_tenant_loss
from service.words import Words

log = logging.getLogger("sonoba")

LOOK_SECONDS = 1.0  # between two looks at replicas that have too little yet
AGAIN_SECONDS = 15.0  # until prompts that could not be judged are judged again
LOOKBACK_SECONDS = 3600.0  # of an evaluation that no alert asked for
ALERT_SECONDS_MIN = 1.0  # 0 would mean without bound
NOT_IN_STORE = Decision(
    Action.TELL,
    "not_in_store",
    "Servers take this model from a file, so no version of it can be put in force from here.",
    "このモデルはファイルから読み込まれているため、ここからは切り替えられません。",
)


def ask(parts: Parts, evaluation: Evaluation) -> float:
    """Begin: note which version is judged. Return the seconds until the next step."""
    version = parts.in_force.version(evaluation.model)
    url = parts.records.url(evaluation.id)
    parts.move(evaluation, State.GATHERING, model_version=version, report_url=url)
    return 0.0


def gather_and_judge(parts: Parts, evaluation: Evaluation) -> float:
    """Judge as soon as there is enough to judge by, or no more time to wait."""
    model, rules = evaluation.model, parts.rules_of(evaluation)
    version = parts.in_force.version(model)
    if version != evaluation.model_version:
        parts.move(evaluation, State.ASKED)  # starts clean: sums of another version say nothing
        return 0.0
    age = _age_seconds(evaluation)
    found = gather(parts.replicas, model, version, age_seconds=age)
    _note_calm(parts, evaluation, found.state, rules.error_leave)
    is_watched = bool(parts.in_force.load(model, version).artifact.reference)
    is_late = not is_watched or evaluation.in_state_seconds >= rules.gather_seconds_max
    is_ready = found.is_enough and found.prompt_count >= rules.minimum_prompts
    if not is_ready and not is_late:
        return LOOK_SECONDS
    kept = _kept(parts, evaluation, version, age)
    evaluated = _evaluated(parts, evaluation, found, kept, age)
    if evaluated.findings.verdict == Verdict.INSUFFICIENT and not is_late:
        return AGAIN_SECONDS
    _write_down(parts, evaluation, found, kept, evaluated)
    return 0.0


def decide_on(parts: Parts, evaluation: Evaluation) -> float:
    """Do what the business rules make of the verdict."""
    pointer = parts.in_force.pointer(evaluation.model)
    candidate = evaluation.candidate_version
    has_changed = parts.in_force.version(evaluation.model) != evaluation.model_version
    situation = parts.situation(evaluation, has_changed)
    decision = decide(situation, parts.rules_of(evaluation))
    inputs = inputs_of(situation)
    if decision.action is Action.SHADOW and pointer is not None:
        check_promotion(parts.store, evaluation.model, candidate)  # a corrupt one ends here
        if pointer.candidate != candidate:
            parts.reached("nominate")
            pointer = parts.store.nominate(evaluation.model, candidate, pointer.etag)
            parts.reached("nominated")
        parts.move(evaluation, State.SHADOWING, decision=decision, inputs=inputs, etag=pointer.etag)
        return LOOK_SECONDS
    if pointer is None and decision.action in (Action.SHADOW, Action.PROPOSE):
        decision = NOT_IN_STORE
    ends = {Action.PROPOSE: State.PROPOSED, Action.REJECT: State.REJECTED}
    progress = {"in_force": parts.in_force.version(evaluation.model)}
    state = ends.get(decision.action, State.DONE)
    parts.move(evaluation, state, decision=decision, inputs=inputs, noting=progress)
    if state is State.REJECTED:
        parts.tally.promoted(evaluation.model, "rejected")
    return 0.0


def _kept(parts: Parts, evaluation: Evaluation, version: str, age_seconds: float) -> Kept | None:
    """Return the prompts that tenants let us keep; that they were read is written down first."""
    model = evaluation.model
    kept = collect(parts.replicas, model, version, age_seconds, f"re-evaluation {evaluation.id}")
    if kept is not None:
        detail = {"model_version": version, "prompt_count": len(kept.blocks)}
        parts.ledger.record(ACTOR, "prompts.read", model, detail, evaluation.id)
    return kept


def _age_seconds(evaluation: Evaluation) -> float:
    """Return how far back prompts may have begun: to the alert, or an hour before the request."""
    if evaluation.trigger is Trigger.ALERT:
        return max(evaluation.began_seconds_ago, ALERT_SECONDS_MIN)
    return LOOKBACK_SECONDS + evaluation.age_seconds


def _evaluated(
    parts: Parts,
    evaluation: Evaluation,
    found: Gathered,
    kept: Kept | None,
    age_seconds: float,
) -> Evaluated:
    """Return the verdict; INSUFFICIENT where nothing can be judged."""
    loaded = parts.in_force.load(evaluation.model, evaluation.model_version)
    if not loaded.artifact.reference:
        return Evaluated(insufficient(loaded.artifact, found, age_seconds, NO_REFERENCE), None)
    if not found.is_enough or found.state is None:
        return Evaluated(insufficient(loaded.artifact, found, age_seconds), None)
    try:
        return evaluate(
            loaded.artifact,
            found.state,
            kept,
            parts.rules_of(evaluation).limits(),
            Sources(age_seconds, found.replicas, found.missing),
            manifest=loaded.manifest,
            evaluation=evaluation.id,
            created=datetime.fromtimestamp(evaluation.created_seconds, UTC),
        )
    except NotComparable as error:
        why = not_comparable(error)
        return Evaluated(insufficient(loaded.artifact, found, age_seconds, why), None)


def _write_down(
    parts: Parts,
    evaluation: Evaluation,
    found: Gathered,
    kept: Kept | None,
    evaluated: Evaluated,
) -> None:
    """Keep the candidate and the findings, then the verdict; each before what names it."""
    findings, version = evaluated.findings, _add(parts, evaluation, evaluated.candidate)
    try:
        parts.records.keep(evaluation, findings)
    except OSError as error:
        sentence = f"the report cannot be written: {error.strerror or error}"
        raise StoreError(f"{evaluation.model}: {sentence}") from None
    words, loss = _words(findings), _worst_loss(parts, evaluation, kept, evaluated)
    parts.move(
        evaluation,
        State.JUDGED,
        inputs=_numbers(findings),
        noting={**_noted(parts, evaluated), "gate": _gate(found.state), "worst_tenant_loss": loss},
        verdict=str(findings.verdict),
        reason=str(findings.reason),
        sentence_en=words.en,
        sentence_ja=words.ja,
        candidate_version=version,
    )
    parts.tally.judged(
        evaluation.model, str(findings.verdict), evaluation.age_seconds, findings.regret
    )


def _words(findings: Findings) -> Words:
    """Return what was found in words for the ledger, which is kept for ever: no feature's name."""
    if findings.verdict == Verdict.INSUFFICIENT:
        return findings.sentence  # of counts and servers
    return in_short(findings.verdict, findings.reason)


def _add(parts: Parts, evaluation: Evaluation, candidate: Candidate | None) -> str:
    """Write a candidate into the store and return its version; empty where there is none."""
    if candidate is None or parts.in_force.pointer(evaluation.model) is None:
        return ""
    parts.reached("add")
    version = parts.store.add(candidate.draft, candidate.arrays)
    parts.reached("added")
    return version


def _noted(parts: Parts, evaluated: Evaluated) -> dict[str, object]:
    """Return what the business rules ask to know later."""
    findings, candidate = evaluated
    return {
        "judged": datetime.fromtimestamp(parts.now(), UTC).isoformat(),
        "prompt_count": findings.window.prompt_count,
        "candidate": "" if candidate is None else candidate.kind,
        "changes_kind": candidate is not None and candidate.draft.kind != findings.kind,
    }


def _worst_loss(
    parts: Parts, evaluation: Evaluation, kept: Kept | None, evaluated: Evaluated
) -> float | None:
    if evaluated.candidate is None:
        return None
    served = parts.in_force.load(evaluation.model, evaluation.model_version).artifact
    return worst_tenant_loss(served, evaluated.candidate, kept, parts.in_force.fallback)


def _numbers(findings: Findings) -> dict[str, object]:
    """Return what the verdict was made of, without a name or a value of a feature."""
    told: dict[str, Any] = findings.model_dump(
        mode="json", include={"window", "levels", "ratios", "regret", "signature", "step"}
    )
    return told


def _gate(state: Sums | None) -> float | None:
    """Return the larger lower bound of the window; None where there is none."""
    gates = [level.gate for level in state.levels().values()] if state is not None else []
    known = [gate for gate in gates if math.isfinite(gate)]
    return max(known) if known else None


def _note_calm(parts: Parts, evaluation: Evaluation, state: Sums | None, leave: float) -> None:
    """Remember since when the error is below the line at which an alert ends."""
    gate = _gate(state)
    if gate is None or gate >= leave:
        parts.calm.pop(evaluation.id, None)
    else:
        parts.calm.setdefault(evaluation.id, parts.monotonic())
