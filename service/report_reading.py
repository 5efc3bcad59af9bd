"""What a report comes to at a glance: may predictions be trusted, what was done, what is left.

The lines are those of the alerts and of the status page, so that no two places disagree.
"""

from typing import NamedTuple

from monitoring.levels import CRITICAL, LEAVE
from service.evaluation_record import State
from service.report import IDLE, DecisionTold, Report
from service.trust import Trust


class Light(NamedTuple):
    """The answer for today's predictions, the key of its sentence, and the numbers in it."""

    trust: Trust
    key: str
    error: float = 1.0  # over normal
    lower: float = 1.0  # its lower 95 % bound
    before: float = 1.0  # error before the promotion


def light(report: Report) -> Light:
    """Return whether predictions could be trusted when the report was written last.

    After a promotion by the live error since, otherwise by what the window showed.
    """
    found = report.findings
    levels = found.levels.values() if found else ()
    seen = max((level.mean for level in levels), default=1.0)
    lower = max((level.lower for level in levels), default=1.0)
    if is_promoted(report):
        if report.after is None:
            return Light(Trust.WATCH, "light_too_new")
        error = report.after.error
        trust = _trust(error.mean, error.lower)
        return Light(trust, "light_after", error.mean, error.lower, before=seen)
    if found is None or not found.levels:
        return Light(Trust.NOT_MEASURED, "light_unknown")
    if found.verdict == "INSUFFICIENT":
        return Light(Trust.NOT_MEASURED, "light_few")
    trust = _trust(lower, lower)
    return Light(trust, f"light_{trust.lower()}", seen, lower)


def is_promoted(report: Report) -> bool:
    """Return whether the version that the evaluation made is the one that answers."""
    made = report.versions.candidate
    at_end = report.versions.in_force or (made if report.state == "WATCHING" else "")
    return bool(made) and at_end == made


def deciding(report: Report) -> DecisionTold | None:
    """Return the decision that changed something; where none did, the last one."""
    acts = [one for one in report.decisions if one.action not in IDLE]
    return next(reversed(acts or list(report.decisions)), None)


def outcome(report: Report) -> str:
    """Return the key of what was done."""
    if is_promoted(report) and report.state in ("DONE", "PROPOSED"):
        return "outcome_PROMOTED" if report.state == "DONE" else "outcome_DOUBTED"
    if report.state == "DONE" and report.decisions and report.decisions[-1].action == "TELL":
        return "outcome_TELL"
    return f"outcome_{report.state}"


class ToDo(NamedTuple):
    """What is left to do: a sentence's key, empty where the findings' own advice says it."""

    key: str
    command: str = ""  # that does it; the reason is for the audit log


def to_do(report: Report) -> ToDo:
    """Return what is left to do, and the command for it where there is one."""
    model, told = report.model, '--address HOST:PORT --reason "…"'
    back = f"sonoba models rollback {model} {told}"
    if not State(report.state).is_finished:
        return ToDo("todo_OPEN")
    if is_promoted(report) and report.state == "DONE":
        more = report.findings is not None and report.findings.verdict.endswith("_REPRETRAIN")
        return ToDo("todo_REPRETRAIN" if more else "todo_PROMOTED", back)
    if is_promoted(report):
        return ToDo("todo_DOUBTED", back)
    if report.state == "PROPOSED":
        made = report.versions.candidate
        return ToDo("todo_PROPOSED", f"sonoba models promote {model} {made} {told}")
    if report.state == "FAILED":
        return ToDo("todo_FAILED", f"sonoba evaluate {model} {told}")
    return ToDo("" if report.state == "DONE" else f"todo_{report.state}")


def _trust(error: float, lower: float) -> Trust:
    """Return the answer for an error over normal that is known to lie above its bound."""
    if lower > CRITICAL:
        return Trust.NO
    return Trust.WATCH if error > LEAVE else Trust.YES
