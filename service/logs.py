"""Log lines in a fixed form: JSON for machines, one line of text for people.

docs/observability.md has the table of fields. Of an exception the lines have type and place, never
what it says of itself, which may quote a caller's numbers or names.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

from service.trace_context import CURRENT

log = logging.getLogger("sonoba")

ALWAYS = ("time", "level", "logger", "message", "event")
SOMETIMES = (
    *("worker", "request_id", "trace_id", "method", "code", "reason", "model", "version"),
    *("tenant", "shape", "duration_seconds", "suppressed_count", "listening", "exception"),
)
FIELDS = (*ALWAYS, *SOMETIMES)
"""The fields of a line, in their order; of the second kind only those that say something."""
NOTE = "note"  # the event of lines that have none of their own
Format = Literal["auto", "console", "json"]


def configure(
    form: Format, level: str, worker: str = "", stream: TextIO | None = None
) -> Literal["console", "json"]:
    """Send every line of this process to a stream (stderr), and return in which form.

    `auto` is text where the stream is a terminal, else JSON. Lines of libraries, warnings and
    uncaught exceptions take the same way. `worker` names the process in every line.
    """
    stream = stream or sys.stderr
    chosen = form if form != "auto" else "console" if stream.isatty() else "json"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ConsoleLines(worker) if chosen == "console" else JsonLines(worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a line that cannot be written is lost, and nothing with it
    logging.captureWarnings(True)
    sys.excepthook = _crashed
    threading.excepthook = lambda args: _crashed(
        args.exc_type, args.exc_value, args.exc_traceback, args.thread
    )
    return chosen


def frames(exception: BaseException) -> str:
    """Return where exceptions came from, each with its type, the first cause first; no texts."""
    cause = exception.__cause__ or (
        None if exception.__suppress_context__ else exception.__context__
    )
    before = frames(cause) if cause is not None else ""
    places = "".join(traceback.format_tb(exception.__traceback__))
    return f"{before}{places}{type(exception).__qualname__}\n"


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII, its keys those of FIELDS in their order."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return json.dumps(dict(fields_of(record, self._worker)), default=str)


class ConsoleLines(logging.Formatter):
    """Time, level, message, then what else there is as name=value; control characters escaped."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; where an exception came from follows in lines of its own."""
        found = dict(fields_of(record, self._worker))
        time, level, _, message, event = (found.pop(name) for name in ALWAYS)
        places = found.pop("exception", "")
        more = "".join(f" {name}={_text(value)}" for name, value in found.items())
        if event != NOTE:
            more = f" event={event}{more}"
        line = f"{time} {level:<8}{_printable(str(message))}{' ' + more if more else ''}"
        return f"{line}\n{str(places).rstrip()}" if places else line


def fields_of(record: logging.LogRecord, worker: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a line, in their order."""
    time = datetime.fromtimestamp(record.created, UTC)
    yield "time", time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield from (("level", record.levelname), ("logger", record.name))
    yield "message", record.getMessage()
    own = record.__dict__
    yield "event", own.get("event") or NOTE
    trace = CURRENT.get()
    known = {"worker": worker, "trace_id": trace.trace_id if trace else ""}
    if record.exc_info and record.exc_info[1] is not None:
        known["exception"] = frames(record.exc_info[1])
    for name in SOMETIMES:
        value = own.get(name) or known.get(name)
        if value:
            yield name, value


def _crashed(
    kind: type[BaseException],
    exception: BaseException | None,
    places: TracebackType | None,
    thread: threading.Thread | None = None,
) -> None:
    """Log an exception that nobody caught; Ctrl-C is none."""
    if not issubclass(kind, KeyboardInterrupt) and exception is not None:
        where = f"the thread {thread.name}" if thread else "the process"
        told = (kind, exception, places)
        log.critical("%s ended by an error", where, exc_info=told, extra={"event": "crash"})


def _printable(text: str) -> str:
    """Return a text that stays on its line and moves no cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ",".join(f"{name}:{_text(one)}" for name, one in value.items())
    return _printable(str(value))
