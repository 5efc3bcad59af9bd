"""What a server tells of its calls, put around them at start: log lines, and spans if wanted.

Without an exporter of traces nothing is put around anything.
"""

from collections.abc import Callable
from typing import Any

from service.call_log import CallLog, Wanted, nobody
from service.pace import Pace
from service.shadow import Tap
from service.tally import ExemplaryTally, MethodTally
from service.tracing import Tracing

Method = Callable[[Any, Any], Any]
Count = Callable[[str], None]


class Telemetry:
    """Composes what is called for each call from what is told of calls.

    `known` returns the served model that a request's name stands for.
    """

    def __init__(
        self,
        wanted: Wanted,
        tracing: Tracing | None = None,
        known: Callable[[str], str] = nobody,
    ) -> None:
        self._wanted, self._tracing, self._known = wanted, tracing, known
        self.pace = Pace()

    def log_of(self, method: str) -> CallLog:
        """Return the log of one method's calls; together they keep the pace."""
        return CallLog(method, self._wanted, self.pace, self._known)

    def tally(self, kind: str, service: str, method: str) -> MethodTally:
        """Return the tally of one method, with exemplars where there are traces."""
        chosen = MethodTally if self._tracing is None else ExemplaryTally
        return chosen(kind, service, method)

    def unary(self, behaviour: Method, method: str) -> Method:
        """Return a unary method, inside a span where there are traces."""
        return behaviour if self._tracing is None else self._tracing.unary(behaviour, method)

    def stream(self, behaviour: Method, method: str) -> Method:
        """Return a bidirectional method, inside a span where there are traces."""
        return behaviour if self._tracing is None else self._tracing.stream(behaviour, method)

    def watch(self, tap: Tap) -> Tap:
        """Return a tap of answered prompts that also tells the span of them."""
        if self._tracing is None:
            return tap
        note = self._tracing.note

        def both(*answered: Any) -> None:
            tap(*answered)
            note(*answered)

        return both

    def count(self, count: Count) -> Count:
        """Return a count of refusals that also tells the span of them."""
        if self._tracing is None:
            return count
        tell = self._tracing.reason

        def both(reason: str) -> None:
            count(reason)
            tell(reason)

        return both

    def close(self) -> None:
        """Say and send what has not been said and sent."""
        self.pace.say()
        if self._tracing is not None:
            self._tracing.close()
