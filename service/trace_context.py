"""The trace that a call belongs to, by W3C Trace Context (traceparent); read without any library.

A `Trace` is what the thread of a call has at hand while spans are made of calls; without them the
caller's own id still finds its way into errors and logs.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Protocol

HEADER = "traceparent"
FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# version - trace id - parent id - flags; a later version may append fields after a dash
Metadata = Iterable[tuple[str, str | bytes]]


class Asked(Protocol):
    """A call in progress, as far as it is asked for what came with it."""

    def invocation_metadata(self) -> Metadata:
        """Return the metadata of the call."""


class Trace:
    """The trace of the call that a thread is answering."""

    __slots__ = ("is_sampled", "prompt_count", "span", "trace_id")

    def __init__(self, trace_id: str, is_sampled: bool, span: object = None) -> None:
        self.trace_id, self.is_sampled, self.span = trace_id, is_sampled, span
        self.prompt_count = 0  # answered so far


CURRENT: ContextVar[Trace | None] = ContextVar("sonoba_trace", default=None)


def trace_id_in(metadata: Metadata) -> str:
    """Return the trace id that a caller sent; empty where it sent none, or no valid one.

    >>> trace_id_in([("traceparent", f"00-{'a1' * 16}-{'b2' * 8}-01")])
    'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1'
    >>> trace_id_in([("traceparent", f"00-{'0' * 32}-{'b2' * 8}-01")])
    ''
    """
    for key, value in metadata:
        if key == HEADER and isinstance(value, str):
            form = FORM.fullmatch(value) if value.startswith("00") else FORM.match(value)
            return form[1] if form else ""
    return ""


def trace_id_of(context: Asked) -> str:
    """Return the trace id of a call: of its span, else of its caller; empty where there is none."""
    trace = CURRENT.get()
    return trace.trace_id if trace else trace_id_in(context.invocation_metadata())
