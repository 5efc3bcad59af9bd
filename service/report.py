"""The report of one evaluation: what happened, kept as `<id>.json` and `<id>.html` in one folder.

The JSON is the record, the page beside it the same for people. Both hold names of features, so the
folder is for who may see those; times are UTC.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from model.version_folder import sync_folder, write_through
from service.findings import BoundsTold, Findings, Finite
from service.words import Words

EVALUATION = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,79}")  # no dot, no slash: a file's name
IDLE = ("NOTHING", "WAIT")  # actions after which all is as before
FOLDER_MODE, FILE_MODE = 0o750, 0o640  # names of features are not for everybody on the machine

EvaluationId = Annotated[str, Field(pattern=f"^{EVALUATION.pattern}$")]
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

    evaluation: EvaluationId
    model: str
    asked: AwareDatetime
    ended: AwareDatetime | None
    state: State
    verdict: str = ""
    """Empty until judged."""
    action: str = ""
    """Of the last decision that changed something, else of the last; empty before the first."""


class _Decision(BaseModel):
    action: str


class _Found(BaseModel):
    verdict: str


class _Head(BaseModel):
    """What the list needs of a kept report; the rest of the file is not looked at."""

    evaluation: EvaluationId
    model: str
    asked: AwareDatetime
    ended: AwareDatetime | None
    state: State
    findings: _Found | None
    decisions: tuple[_Decision, ...]


def write(report: Report, folder: Path) -> None:
    """Write `<id>.json` and `<id>.html`, each whole or not at all; the folder is made if needed.

    Written again at every step of an evaluation. `OSError` where the folder cannot be written.
    """
    from service.report_page import page

    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    # The page first: whoever finds the record finds a page that says no less.
    _replace(folder / f"{report.evaluation}.html", page(report).encode())
    _replace(folder / f"{report.evaluation}.json", report.model_dump_json(indent=1).encode())
    sync_folder(folder)


def read(folder: Path, evaluation: str) -> Report:
    """Return a report by its id; `ReportError` for no such id, none kept or a damaged file."""
    raw = read_file(folder, evaluation, "json")
    try:
        return Report.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise ReportError(f"report {evaluation}: {place}: {first['msg'].lower()}") from None


def read_file(folder: Path, evaluation: str, ending: str) -> bytes:
    """Return a kept file as it is, by its ending: html or json; `ReportError` as of `read`."""
    if not EVALUATION.fullmatch(evaluation):
        raise ReportError(f"expected the id of an evaluation, got {evaluation[:80]!r}")
    try:
        return (folder / f"{evaluation}.{ending}").read_bytes()
    except FileNotFoundError:
        raise ReportError(f"report {evaluation}: there is none, or it is kept no longer") from None
    except OSError as error:
        raise ReportError(f"report {evaluation}: {error.strerror or 'cannot be read'}") from None


def listed(folder: Path, model: str = "") -> list[Listed]:
    """Return what is kept of one model or of all, the newest first; damaged files are left out."""
    found = [_head(path) for path in folder.glob("*.json")]
    heads = [one for one in found if one is not None and model in ("", one.model)]
    return sorted(heads, key=lambda one: (one.asked, one.evaluation), reverse=True)


def latest(folder: Path, model: str = "") -> str | None:
    """Return the id of the newest report, of one model or of all; None where there is none."""
    return next((one.evaluation for one in listed(folder, model)), None)


def prune(
    folder: Path, keep_days: float, keep_count: int, now: datetime | None = None
) -> list[str]:
    """Delete ended reports older than `keep_days` and the oldest above `keep_count`.

    Returns the ids that went. A report whose evaluation has not ended stays.
    """
    oldest = (now or datetime.now(UTC)) - timedelta(days=keep_days)
    gone = [
        one.evaluation
        for place, one in enumerate(listed(folder))
        if one.ended is not None and (place >= keep_count or one.ended < oldest)
    ]
    for evaluation in gone:  # the record last: interrupted in between, it goes the next time
        (folder / f"{evaluation}.html").unlink(missing_ok=True)
        (folder / f"{evaluation}.json").unlink(missing_ok=True)
    for left in folder.glob(".*.part"):  # of a writer that was killed
        if left.stat().st_mtime < oldest.timestamp():
            left.unlink(missing_ok=True)
    return gone


def _head(path: Path) -> Listed | None:
    """Return the line of one file; None of one that is no report."""
    try:
        head = _Head.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    if head.evaluation != path.stem:
        return None
    actions = [one.action for one in head.decisions]
    acts = [one for one in actions if one not in IDLE] or actions
    return Listed(
        **head.model_dump(include={"evaluation", "model", "asked", "ended", "state"}),
        verdict=head.findings.verdict if head.findings else "",
        action=acts[-1] if acts else "",
    )


def _replace(path: Path, content: bytes) -> None:
    """Replace a file in one step; what a killed writer left is written over."""
    unfinished = path.with_name(f".{path.name}.part")
    write_through(unfinished, content)
    unfinished.chmod(FILE_MODE)
    os.replace(unfinished, path)
