"""What an operator puts in force: checked by the rules, on the record before and after.

The etag says what he saw, so that nobody changes what he has not seen. A forced promotion passes
every rule but that one, and never brings other columns; it is written down as forced.
"""

from collections.abc import Callable
from typing import NamedTuple

from model.refusal import Refusal
from model.store_pointer import Conflict, Pointer
from model.version_folder import StoreError
from monitoring.paired import Bounds
from monitoring.policy import Action, Request, decide_request
from service.evaluation_record import Evaluation, State
from service.ledger import LedgerError
from service.lifecycle_parts import Overtaken, Parts
from service.promotion import PromotionRefused, check_promotion

REASONS = {  # by the rule that turned a request down
    "changed_meanwhile": "CONFLICT",
    "version_refused": "VERSION_REFUSED",
    "cool_down": "COOL_DOWN",
}


class Wish(NamedTuple):
    """What an operator wants to be in force, and what he saw when he decided it."""

    model: str
    etag: str
    reason: str
    actor: str
    version: str = ""
    is_forced: bool = False


def promote_for(parts: Parts, wish: Wish) -> Pointer:
    """Put a version in force and return the pointer; `Refusal` where that must not be."""
    with parts.acting:
        pointer = _seen(parts, wish)
        if wish.version not in parts.store.versions(wish.model):
            sentence = f"expected a stored version of {wish.model}, got {wish.version[:64]!r}"
            raise Refusal("VERSION_NOT_FOUND", "version", sentence)
        if pointer.version == wish.version:
            raise Refusal("BAD_ARGUMENT", "version", f"{wish.version} is in force already")
        proposal = _proposal(parts, wish)
        _allow(parts, wish, proposal)
        if proposal is None:
            return _on_record(parts, wish, "promotion", lambda: _promoted(parts, wish))
        return _on_record(parts, wish, "promotion", lambda: _approved(parts, wish, proposal))


def roll_back_for(parts: Parts, wish: Wish) -> Pointer:
    """Put the version before in force and return the pointer; `Refusal` where there is none."""
    with parts.acting:
        pointer = _seen(parts, wish)
        if not pointer.previous:
            sentence = f"{wish.model} has no version before the one in force"
            raise Refusal("VERSION_NOT_FOUND", "model", sentence)
        if fault := _fault(parts, wish._replace(version=pointer.previous, is_forced=False)):
            raise Refusal("VERSION_REFUSED", "model", fault)
        pointer = _on_record(
            parts, wish, "rollback", lambda: parts.store.rollback(wish.model, wish.etag)
        )
        parts.tally.promoted(wish.model, "rolled_back")
        return pointer


def _seen(parts: Parts, wish: Wish) -> Pointer:
    """Return what is in force; refuse whoever saw something else, and a model of a file."""
    pointer = parts.in_force.pointer(wish.model)
    if pointer is None:
        sentence = f"servers take {wish.model} from a file, so nothing can be changed here"
        raise Refusal("VERSION_REFUSED", "model", sentence)
    if wish.etag != pointer.etag:
        sentence = f"expected {pointer.etag} (what is in force now), got {wish.etag[:64]!r}"
        raise Refusal("CONFLICT", "etag", f"{sentence}: somebody changed it in between")
    return pointer


def _allow(parts: Parts, wish: Wish, proposal: Evaluation | None) -> None:
    """Refuse what the rules do not allow, unless it is forced; never let other columns pass."""
    fault = _fault(parts, wish)
    if fault and wish.is_forced:
        raise Refusal("VERSION_REFUSED", "version", fault)
    shadow = None if proposal is None else proposal.progress.get("shadow")
    request = Request(
        is_forced=wish.is_forced,
        refusal=fault,
        is_judged=proposal is not None,
        gain=Bounds(**shadow["gain"]) if isinstance(shadow, dict) else None,
        seconds_since_action=parts.ledger.seconds_since_action(wish.model),
    )
    decision = decide_request(request, parts.rules.for_model(wish.model))
    if decision.action is not Action.PROMOTE:
        detail = _detail(wish) | {"rule": decision.rule, "fault": fault}
        parts.ledger.record(wish.actor, "promotion.refused", wish.model, detail)
        sentence = f"{decision.sentence_en} {fault}".strip()
        raise Refusal(REASONS.get(decision.rule, "NOT_APPROVED"), "version", sentence)


def _fault(parts: Parts, wish: Wish) -> str:
    """Return why a version must not come into force; empty where it may."""
    try:
        check_promotion(parts.store, wish.model, wish.version, wish.is_forced)
    except (PromotionRefused, StoreError) as error:
        return str(error)
    return ""


def _proposal(parts: Parts, wish: Wish) -> Evaluation | None:
    """Return the evaluation that proposed a version, and waits for a person."""
    for one in parts.ledger.list(wish.model).evaluations:
        if one.state is State.PROPOSED and one.candidate_version == wish.version:
            return one
    return None


def _promoted(parts: Parts, wish: Wish) -> Pointer:
    pointer = parts.store.promote(wish.model, wish.version, wish.etag)
    parts.tally.promoted(wish.model, "ok")
    return pointer


def _approved(parts: Parts, wish: Wish, proposal: Evaluation) -> Pointer:
    """Promote what was proposed; it is watched from then on, as if the rules had promoted it."""
    if any(one.model == wish.model for one in parts.ledger.unfinished()):
        pointer = _promoted(parts, wish)
        parts.move(proposal, State.DONE, actor=wish.actor, noting={"in_force": pointer.version})
        return pointer
    going = parts.move(proposal, State.PROMOTING, actor=wish.actor, etag=wish.etag)
    try:
        return parts.store.promote(wish.model, wish.version, wish.etag)  # counted by its watch
    except StoreError as error:
        parts.move(going, State.FAILED, actor=wish.actor, fault=str(error))
        raise


def _on_record(parts: Parts, wish: Wish, what: str, change: Callable[[], Pointer]) -> Pointer:
    """Change what is in force between two lines of the audit log."""
    detail = _detail(wish)
    parts.ledger.record(wish.actor, f"{what}.asked", wish.model, detail)
    parts.reached(f"{what} asked")
    try:
        pointer = change()
    except (Conflict, Overtaken):
        parts.ledger.record(wish.actor, f"{what}.refused", wish.model, detail)
        raise Refusal("CONFLICT", "etag", "somebody changed what is in force meanwhile") from None
    except StoreError as error:
        parts.ledger.record(
            wish.actor, f"{what}.failed", wish.model, {**detail, "fault": str(error)}
        )
        raise
    done = {"version": pointer.version, "previous": pointer.previous, "etag": pointer.etag}
    try:
        parts.ledger.record(
            wish.actor, f"{what}.done", wish.model, {**detail, **done}, changes_force=True
        )
    except LedgerError as error:
        raise LedgerError(f"{wish.model}: {pointer.version} is in force, but {error}") from None
    return pointer


def _detail(wish: Wish) -> dict[str, object]:
    return {"version": wish.version, "reason": wish.reason, "forced": wish.is_forced}
