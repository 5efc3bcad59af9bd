"""What a server tells of its calls, put around them at start: log lines, and spans if wanted.

Without an exporter of traces nothing is put around anything.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from service.call_log import CallLog, Wanted
from service.pace import Pace
from service.shadow import Tap
from service.slot import Slots
from service.tally import ExemplaryTally, MethodTally
from service.tracing import Tracing

if TYPE_CHECKING:
    from service.settings import Settings

Method = Callable[[Any, Any], Any]
Count = Callable[[str], None]


class Telemetry:
    """Composes what is called for each call from what is told of calls."""

    def __init__(self, settings: "Settings", slots: Slots, tracing: Tracing | None = None) -> None:
        self._wanted = Wanted(
            settings.slow_call_seconds, settings.log_calls_share, settings.log_tenants
        )
        self._slots, self._default, self._tracing = slots, settings.default_model, tracing
        self.pace = Pace()

    def _known(self, asked: str) -> str:
        """Return the served model that a request's name stands for; empty where there is none."""
        served = self._slots.get(asked or self._default)
        return "" if served is None else served.name

    def log_of(self, method: str) -> CallLog:
        """Return the log of one method's calls; together they keep the pace."""
        return CallLog(method, self._wanted, self.pace, self._known)

    def tally(self, kind: str, service: str, method: str) -> MethodTally:
        """Return the tally of one method, with exemplars where there are traces."""
        chosen = MethodTally if self._tracing is None else ExemplaryTally
        return chosen(kind, service, method)

    @property
    def traces(self) -> bool:
        """Whether there are traces."""
        return self._tracing is not None

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
