"""The audit log: append-only, each line bound to the one before by its hash.

hash = sha256 of the JSON of the line and of the hash before: who changes, drops or inserts a line
breaks every hash behind it (docs/adr/0018). It holds who did what, when and by which numbers; never
a row, a label or a prompt.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One line."""

    number: int
    time_seconds: float  # Unix, of the wall clock of the machine that wrote it
    actor: str
    action: str
    model: str
    evaluation_id: str
    detail: dict[str, object]
    previous: str
    hash: str


class Verified(NamedTuple):
    """Whether the log is whole."""

    entry_count: int
    head: str  # hash of the last line; who notes it elsewhere can prove that nothing was cut off
    fault: str  # one sentence that names the line; empty where the log is whole


class AuditLog:
    """Reads the audit log of a ledger; a store that cannot be written will do."""

    def __init__(self, path: Path) -> None:
        raise NotImplementedError

    def entries(self, model: str = "", since_seconds: float = 0.0) -> Iterator[Entry]:
        """Yield lines, the oldest first, of one model and from a Unix time on."""
        raise NotImplementedError

    def verify(self, expected_head: str = "") -> Verified:
        """Walk the chain; also that every evaluation stands where the log left it."""
        raise NotImplementedError
