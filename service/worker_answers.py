"""What each worker says of itself, and what one that has gone last said.

A process that dies takes with it what it had seen: where it said WATCH or NO, its successor knows
nothing yet, and the page would turn to YES for no better reason. What it said is therefore kept
until the successor has measured, serves another version, or as long as an alarm needs of calm.
"""

import http.client
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from service.standing import Standing
from service.status_numbers import Section
from service.trust import Trust

ANSWER_SECONDS = 1.5
Ask = Callable[[Standing, str | None], Section | None]
"""Asks a worker for its status of one model (None: its worst); None where it does not answer."""


class Heard(NamedTuple):
    """One worker, with its own status or, where that knows less, the last one before it."""

    standing: Standing
    report: Section | None
    is_kept: bool = False  # said by a process that has ended, or does not answer

    @property
    def trust(self) -> Trust:
        """The worker's answer."""
        return Trust(self.report["answer"]) if self.report else Trust.NOT_MEASURED


class _Last(NamedTuple):
    report: Section
    process: int  # its number among the worker's processes
    seconds: float


class Answers:
    """Remembers the last measured answer of every worker; times are Unix seconds."""

    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._last: dict[int, _Last] = {}

    def heard(self, standing: Standing, report: Section | None, now: float) -> Heard:
        """Return what counts of a worker after it was asked once more."""
        number, process = standing.number, standing.restart_count
        if report is not None and report["answer"] != Trust.NOT_MEASURED:
            self._last[number] = _Last(report, process, now)
            return Heard(standing, report)
        last = self._last.get(number)
        if last is not None and self._counts(last, process, report, now):
            return Heard(standing, last.report, is_kept=True)
        self._last.pop(number, None)
        return Heard(standing, report)

    def _counts(self, last: _Last, process: int, report: Section | None, now: float) -> bool:
        """Return whether what was said before says more than what is said now."""
        if Trust(last.report["answer"]).severity < Trust.WATCH.severity:
            return False
        if now - last.seconds > self._keep_seconds:
            return False
        if report is None:
            return True
        return process != last.process and _version(report, last) == _version(last.report, last)


def _version(report: Section, last: _Last) -> str:
    """Return which version of the model that was the reason a report knows."""
    model = last.report["reason"]["model"]
    found = (one["version"] for one in report["models"] if one["model"] == model)
    return next(found, "")


def ask_over_http(host: str) -> Ask:
    """Return what asks the workers at a host for `/status.json`."""

    def ask(standing: Standing, model: str | None) -> Section | None:
        if not (standing.is_ready and standing.metrics_port):
            return None
        query = f"?{urlencode({'model': model})}" if model else ""
        connection = http.client.HTTPConnection(host, standing.metrics_port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", f"/status.json{query}")
            answer = connection.getresponse()
            body = answer.read()
            return None if answer.status != http.client.OK else dict(json.loads(body))
        except (OSError, http.client.HTTPException, ValueError):
            return None  # it ends or begins at this moment
        finally:
            connection.close()

    return ask


def worst(heard: Sequence[Heard]) -> Heard:
    """Return the worker with the most serious answer, of equals the one with the highest score."""

    def rank(one: Heard) -> tuple[int, float]:
        score = one.report["score"] if one.report else None
        return one.trust.severity, float("-inf") if score is None else float(score)

    return max(heard, key=rank)
