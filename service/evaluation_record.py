"""One evaluation as the ledger keeps it: where it stands, and which way it may go from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypedDict


class State(StrEnum):
    """Where an evaluation stands."""

    ASKED = "ASKED"
    GATHERING = "GATHERING"
    JUDGED = "JUDGED"
    SHADOWING = "SHADOWING"
    PROMOTING = "PROMOTING"
    WATCHING = "WATCHING"
    DONE = "DONE"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    ROLLED_BACK = "ROLLED_BACK"
    PROPOSED = "PROPOSED"

    @property
    def is_finished(self) -> bool:
        """Whether a new evaluation of the model may begin; a proposal waits for a person."""
        return self in FINISHED


FINISHED: Final = frozenset(
    {State.DONE, State.FAILED, State.REJECTED, State.ROLLED_BACK, State.PROPOSED}
)
_ENDS: Final = frozenset({State.DONE, State.FAILED, State.REJECTED, State.PROPOSED})
MOVES: Final[dict[State, frozenset[State]]] = {  # any state may also stay and change its fields
    State.ASKED: frozenset({State.GATHERING}) | _ENDS,
    State.GATHERING: frozenset({State.ASKED, State.JUDGED}) | _ENDS,  # ASKED: starts clean
    State.JUDGED: frozenset({State.GATHERING, State.SHADOWING, State.PROMOTING}) | _ENDS,
    State.SHADOWING: frozenset({State.PROMOTING}) | _ENDS,
    State.PROMOTING: frozenset({State.WATCHING, State.ROLLED_BACK}) | _ENDS,
    State.WATCHING: frozenset({State.ROLLED_BACK}) | _ENDS,
    State.PROPOSED: frozenset({State.PROMOTING, State.REJECTED, State.DONE}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.ROLLED_BACK: frozenset(),
}


class Trigger(StrEnum):
    """Why an evaluation was asked for."""

    ALERT = "ALERT"
    SCHEDULE = "SCHEDULE"
    OPERATOR = "OPERATOR"


class Changes(TypedDict, total=False):
    """Fields of an evaluation that a move may set."""

    verdict: str
    reason: str
    sentence_en: str
    sentence_ja: str
    action: str
    rule: str
    model_version: str
    candidate_version: str
    etag: str
    report_url: str
    fault: str
    progress: dict[str, object]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation; times of people are Unix seconds, `age_seconds` knows no clock's jump."""

    id: str
    number: int
    """In the order they were asked for."""
    model: str
    state: State
    trigger: Trigger
    key: str
    actor: str
    asked_reason: str
    """Why somebody asked, in his words or the alert's."""
    labels: dict[str, str]
    """Of the alert."""
    created_seconds: float
    updated_seconds: float
    age_seconds: float
    """Since it was asked for."""
    in_state_seconds: float
    """Since it came into its state."""
    began_seconds_ago: float
    """Since the alert began, or it was asked for."""
    verdict: str
    reason: str
    sentence_en: str
    sentence_ja: str
    action: str
    rule: str
    model_version: str
    candidate_version: str
    etag: str
    report_url: str
    fault: str
    """What went wrong; empty where nothing did."""
    progress: dict[str, object]
    """What a re-evaluator that starts again must know."""


class Asked(NamedTuple):
    """The evaluation that answers a request, and whether the request made it."""

    evaluation_id: str
    is_new: bool


class Page(NamedTuple):
    """Evaluations, the newest first, and the token of the next page; empty on the last."""

    evaluations: list[Evaluation]
    next_token: str


def evaluation_of(row: Mapping[str, Any], clock_seconds: float) -> Evaluation:
    """Return the evaluation of a row of the table, at a time of the ledger's clock."""
    values = {field.name: row[field.name] for field in fields(Evaluation) if field.name in row}
    values |= {name: json.loads(row[name]) for name in ("labels", "progress")}
    values |= {"state": State(row["state"]), "trigger": Trigger(row["trigger"])}
    ages = {"age_seconds": "created", "in_state_seconds": "entered", "began_seconds_ago": "began"}
    values |= {name: clock_seconds - row[f"{since}_clock"] for name, since in ages.items()}
    return Evaluation(**values)
