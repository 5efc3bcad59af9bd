"""What every step of an evaluation works with, and the one way in which it moves on."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Unpack

from model.store import Store
from monitoring.paired import Bounds
from monitoring.policy import Decision, Situation
from monitoring.rules import Rules
from monitoring.verdict import Reason, Verdict
from service.business_rules import BusinessRules
from service.evaluation_record import Changes, Evaluation, State
from service.in_force import InForce
from service.ledger import Ledger
from service.lifecycle_records import Records, decision_entry
from service.reevaluation_tally import ReevaluationTally
from service.replicas import Replicas

ACTOR = "reevaluator"
DAY_SECONDS = 86_400.0


class Overtaken(Exception):
    """Somebody else moved the evaluation in between; it is looked at again."""


def _nowhere(_: str) -> None:
    """Be told of a point between two changes, and do nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The store, the ledger and the replicas, and who is told what came of it."""

    store: Store
    in_force: InForce
    ledger: Ledger
    replicas: Replicas
    rules: BusinessRules
    records: Records
    tally: ReevaluationTally = field(default_factory=ReevaluationTally)
    acting: threading.RLock = field(default_factory=threading.RLock)
    """Held by whoever changes what is in force, so that one does at a time."""
    calm: dict[str, float] = field(default_factory=dict)
    """Since when, on the monotonic clock, the error is normal again, by evaluation."""
    reached: Callable[[str], None] = _nowhere
    """Is told the name of every point between two changes, where a process may die."""
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def rules_of(self, evaluation: Evaluation) -> Rules:
        """Return the rules in force for an evaluation's model."""
        return self.rules.for_model(evaluation.model)

    def move(
        self,
        evaluation: Evaluation,
        new: State,
        *,
        decision: Decision | None = None,
        inputs: Mapping[str, object] | None = None,
        noting: Mapping[str, object] | None = None,
        is_automatic: bool = False,
        actor: str = ACTOR,
        **changes: Unpack[Changes],
    ) -> Evaluation:
        """Move an evaluation on, tell of it and return it; `Overtaken` where it stands elsewhere.

        `inputs` are what the decision was made of; they go to the audit log. `noting` is added to
        the evaluation's progress.
        """
        known: dict[str, Any] = {**evaluation.progress, **(noting or {})}
        if decision is not None:
            decided = decision_entry(decision, self.now())
            known["decisions"] = [*known.get("decisions", ()), decided]
            changes["action"], changes["rule"] = str(decision.action), decision.rule
        if new is not evaluation.state:
            step = {"state": new.value, "time": datetime.fromtimestamp(self.now(), UTC).isoformat()}
            known["history"] = [*known.get("history", ()), step]
        changes["progress"] = known
        is_moved = self.ledger.move(
            *(evaluation.id, evaluation.state, new),
            actor=actor,
            is_automatic=is_automatic,
            detail=dict(inputs or {}),
            **changes,
        )
        after = self.ledger.get(evaluation.id)
        if not is_moved or after is None:
            raise Overtaken(evaluation.id)
        self.reached(f"moved {new.value}")
        if new is not evaluation.state:
            self.records.tell(after)
        return after

    def situation(self, evaluation: Evaluation, has_changed: bool) -> Situation:
        """Return what the business rules ask to know of an evaluation that has its verdict."""
        known: Mapping[str, Any] = evaluation.progress
        model, since = evaluation.model, self.calm.get(evaluation.id)
        return Situation(
            verdict=Verdict(evaluation.verdict),
            reason=Reason(evaluation.reason),
            candidate=str(known.get("candidate", "")),
            changes_kind=bool(known.get("changes_kind", False)),
            prompt_count=int(known.get("prompt_count", 0)),
            gate=math.nan if known.get("gate") is None else float(known["gate"]),
            calm_seconds=0.0 if since is None else max(0.0, self.monotonic() - since),
            requested_by=evaluation.trigger.value.lower(),
            seconds_since_action=self.ledger.seconds_since_action(model),
            worst_tenant_loss=known.get("worst_tenant_loss"),
            actions_in_day=self.ledger.actions_since(model, DAY_SECONDS),
            has_changed=has_changed,
        )


def inputs_of(*several: object) -> dict[str, object]:
    """Return the numbers of a decision as the audit log keeps them."""
    return {
        name: _plain(value)
        for one in several
        for name, value in asdict(one).items()  # type: ignore[call-overload]
    }


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Bounds | tuple):
        return [_plain(one) for one in value]
    return value


def bounds_of(interval: Bounds) -> dict[str, float]:
    """Return an interval as a report keeps it."""
    return {"mean": interval.mean, "lower": interval.lower, "upper": interval.upper}
