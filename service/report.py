"""The report of one evaluation: what happened, kept as `<id>.json` and `<id>.html` in one folder.

The JSON is the record, the page beside it the same for people. Both hold names of features, so the
folder is for who may see those; times are UTC.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.findings import BoundsTold, Findings, Finite, Words

EvaluationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")]
Trigger = Literal["alert", "schedule", "operator"]
State = Literal[
    "ASKED",
    "GATHERING",
    "JUDGED",
    "SHADOWING",
    "PROMOTING",
    "WATCHING",
    "DONE",
    "FAILED",
    "REJECTED",
    "ROLLED_BACK",
    "PROPOSED",
]


class ReportError(Exception):
    """A report that is not there or cannot be read; the sentence names it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlertTold(_Part):
    """What asked for the evaluation; no other label of an alert is kept."""

    alertname: str
    severity: str


class Step(_Part):
    """A state, and when it was entered."""

    state: State
    time: AwareDatetime


class DecisionTold(_Part):
    """What the business rules made of it: after the verdict, after the shadow, while watching."""

    action: str
    """One of `monitoring.policy`'s, for example SHADOW."""
    rule: str
    """Name of the rule that decided."""
    sentence: Words
    time: AwareDatetime


class ShadowTold(_Part):
    """The candidate beside the served version on the same live prompts, over one normal."""

    gain: BoundsTold
    """Share of the served error that the candidate saves."""
    served: BoundsTold
    candidate: BoundsTold
    prompt_count: int


class AfterTold(_Part):
    """Live error since the promotion, over the normal of the version that was promoted."""

    error: BoundsTold
    limit: Finite | None = None
    """Above it the promotion is taken back."""
    prompt_count: int


class VersionsTold(_Part):
    """Versions of the model; empty where there is none."""

    served: str
    """In force when the evaluation was asked for."""
    candidate: str = ""
    in_force: str = ""
    """At the end; empty while the evaluation goes on."""


class Report(_Part):
    """All of one evaluation; what is not known yet is None."""

    evaluation: EvaluationId
    model: str
    trigger: Trigger
    alerts: tuple[AlertTold, ...] = ()
    asked: AwareDatetime
    judged: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    """None while the evaluation goes on; such a report is never pruned."""
    state: State
    history: tuple[Step, ...]
    """Every state with its time, the first first."""
    findings: Findings | None = None
    decisions: tuple[DecisionTold, ...] = ()
    """The first first; the last one is what was done."""
    rules: dict[str, str | int | Finite | bool | None] = {}
    """Every business rule in force, name → value, as it is shown."""
    shadow: ShadowTold | None = None
    after: AfterTold | None = None
    versions: VersionsTold
    failure: str | None = None
    """Why the evaluation came to no end of its own, one sentence."""


class Listed(_Part):
    """One line of the list of reports."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    evaluation: EvaluationId
    model: str
    asked: AwareDatetime
    ended: AwareDatetime | None
    state: State
    verdict: str = ""
    """Empty until judged."""
    action: str = ""
    """Of the last decision; empty before the first."""


def write(report: Report, folder: Path) -> None:
    """Write `<id>.json` and `<id>.html`, each whole or not at all; the folder is made if needed.

    Written again at every step of an evaluation. `OSError` where the folder cannot be written.
    """
    raise NotImplementedError


def read(folder: Path, evaluation: str) -> Report:
    """Return a report by its id; `ReportError` for no such id, none kept or a damaged file."""
    raise NotImplementedError


def listed(folder: Path, model: str = "") -> list[Listed]:
    """Return what is kept of one model or of all, the newest first; damaged files are left out."""
    raise NotImplementedError


def latest(folder: Path, model: str) -> str | None:
    """Return the id of a model's newest report; None where there is none."""
    raise NotImplementedError


def prune(
    folder: Path, keep_days: float, keep_count: int, now: datetime | None = None
) -> list[str]:
    """Delete ended reports older than `keep_days` and the oldest above `keep_count`.

    Returns the ids that went. A report whose evaluation has not ended stays.
    """
    raise NotImplementedError
