"""Numbers of `/status.json` that need no model: the lines, the reason; NaN becomes null."""

from typing import Any

from monitoring.levels import CRITICAL, MAJOR, WARNING
from monitoring.snapshot import Level, Snapshot
from service.trust import Finding

Section = dict[str, Any]


def lines() -> dict[str, float]:
    """Return where the score's lines are, on its scale on which 1 is the alarm."""
    levels = {"critical": CRITICAL, "major": MAJOR, "warning": WARNING}
    return {name: level / CRITICAL for name, level in levels.items()}


def reason(finding: Finding, snapshot: Snapshot | None) -> Section:
    """Return a code, the model it is about, and the numbers of the sentence."""
    window = max((v.prompt_count for v in snapshot.levels.values()), default=0) if snapshot else 0
    return {
        "code": finding.code,
        "model": snapshot.model if snapshot else "",
        "value": plain(finding.value),
        "limit": plain(finding.limit),
        "leave": plain(finding.leave),
        "clears_in_seconds": plain(finding.clears_in_seconds),
        "prompts": window,
        "runbook": finding.runbook,
    }


def levels(snapshot: Snapshot) -> dict[str, Section]:
    """Return the window of every warm channel of the gate, to which others can add theirs."""
    warm = {channel: one for channel, one in snapshot.levels.items() if one.gate == one.gate}
    return {channel: _level(one) for channel, one in warm.items()}


def _level(level: Level) -> Section:
    """Return all digits: a spread is got from the difference of two of these numbers."""
    mean, lower = level.clipped_mean, level.gate
    return {"mean": mean, "lower": lower, "prompts": level.prompt_count}


def plain(value: float) -> float | None:
    """Return a number with four digits; nothing for one that is not known.

    >>> plain(1.23456), plain(float("nan"))
    (1.235, None)
    """
    return float(f"{value:.4g}") if abs(value) < float("inf") else None


def plain_time(seconds: float) -> int | None:
    """Return whole Unix seconds; nothing for a moment that never was."""
    return round(seconds) or None
