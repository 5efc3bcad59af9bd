"""What is logged of calls: errors and slow calls, a few a second, and a share of all if asked.

A line tells of a call what happened and how large it was; never a number of a prompt, a name of a
column or a group, a token, or the sentence of a refusal, which may quote them: the caller has it.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.call import Call
from service.pace import Pace
from service.shapes import claimed
from service.trace_context import Asked, trace_id_of

log = logging.getLogger("sonoba")

SLOW = "SLOW_CALL"  # what slow calls are paced by, as refusals are by their reasons
LEVELS = {
    "INTERNAL": logging.ERROR,
    "UNAVAILABLE": logging.WARNING,
    "RESOURCE_EXHAUSTED": logging.WARNING,
    "DEADLINE_EXCEEDED": logging.WARNING,
    "UNAUTHENTICATED": logging.WARNING,
    "PERMISSION_DENIED": logging.WARNING,
}
"""How loud a refusal is, by its code; what a caller did wrong is INFO."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answered calls are logged (0: none), and whether lines name tenants."""

    slow_seconds: float = 0.0
    share: float = 0.0
    names_tenants: bool = False


def nobody(asked: str) -> str:
    """Know no model by its name."""
    return ""


class CallLog:
    """The lines about calls of one method.

    `known` returns the served model that a request's name stands for, empty where there is none.
    `least_seconds` is the time from which on an answered call must be shown to `answered`.
    """

    def __init__(
        self,
        method: str,
        wanted: Wanted | None = None,
        pace: Pace | None = None,
        known: Callable[[str], str] = nobody,
    ) -> None:
        self._method, self._pace, self._known = method, pace or Pace(), known
        self._wanted = wanted or Wanted()
        self._slow_seconds = self._wanted.slow_seconds or float("inf")
        self.least_seconds = 0.0 if self._wanted.share else self._slow_seconds

    def answered(self, call: Call, wire: bytes, context: Asked | None, seconds: float) -> None:
        """Log a call that was slow, or that chance chose."""
        if seconds >= self._slow_seconds and self._pace.lets(SLOW):
            self._write(logging.WARNING, "slow", "OK", call, wire, context, seconds)
        elif random.random() < self._wanted.share:
            self._write(logging.INFO, "call", "OK", call, wire, context, seconds)

    def refused(
        self, call: Call | None, wire: bytes, context: Asked | None, reason: str, code: str
    ) -> None:
        """Log a refusal; a bug with the place of the exception that is being handled.

        A call that was refused at arrival is none yet (None).
        """
        if self._pace.lets(reason):
            seconds = 0.0 if call is None else time.monotonic() - call.begun
            self._write(LEVELS.get(code, logging.INFO), reason, code, call, wire, context, seconds)

    def _write(
        self,
        level: int,
        what: str,
        code: str,
        call: Call | None,
        wire: bytes,
        context: Asked | None,
        seconds: float,
    ) -> None:
        """Write one line; `what` is a reason in capitals or an event."""
        reason, is_bug = what if what.isupper() else "", what == "INTERNAL"
        asked, shape = claimed(self._method, wire) if wire else (None, {})
        told = {
            "event": what if not reason else "bug" if is_bug else "refused",
            "trace_id": trace_id_of(context) if context is not None else "",
            "method": self._method,
            "code": code,
            "reason": reason,
            "model": self._known(asked) if asked is not None else "",
            "shape": shape,
            "duration_seconds": round(seconds, 6),
        }
        if call is not None:
            told["request_id"] = call.request_id
            told["tenant"] = call.caller if self._wanted.names_tenants else ""
        sentence = f"{self._method}: {reason or what + ' call'}"
        if is_bug and call is not None:
            sentence = f"bug in {self._method}, request {call.request_id}"
        log.log(level, "%s", sentence, exc_info=is_bug, extra=told)
