"""The audit log: append-only, each line bound to the one before by its hash.

hash = sha256 of the JSON of the line and of the hash before: who changes, drops or inserts a line
breaks every hash behind it (docs/adr/0018). It holds who did what, when and by which numbers; never
a row, a label or a prompt.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple

from service.ledger_clock import Moment, passed_seconds
from service.ledger_file import LedgerError, open_reader, reading

ChangedBy = Literal["", "program", "person"]
DETAIL_BYTES_MAX: Final = 262_144
_COLUMNS: Final = (
    "number, time_seconds, clock_seconds, boot, boot_seconds, actor, action, model, evaluation,"
    " changed_by, detail, previous, hash"
)


class Entry(NamedTuple):
    """One line."""

    number: int
    time_seconds: float  # Unix, of the wall clock of the machine that wrote it
    clock_seconds: float  # since the first line; no jump of a wall clock moves it
    boot: str
    boot_seconds: float
    actor: str
    action: str
    model: str
    evaluation_id: str
    changed_by: ChangedBy  # who changed with it what is in force; empty where nobody did
    detail: str  # JSON
    previous: str
    hash: str

    @property
    def moment(self) -> Moment:
        """When it was written."""
        return Moment(self.time_seconds, self.boot, self.boot_seconds)

    def told(self) -> dict[str, object]:
        """Return its fields by name, the detail as a mapping."""
        return {**self._asdict(), "detail": json.loads(self.detail)}


class Event(NamedTuple):
    """What a line is to say."""

    actor: str
    action: str
    model: str = ""
    evaluation_id: str = ""
    changed_by: ChangedBy = ""
    detail: Mapping[str, object] | None = None


class Verified(NamedTuple):
    """Whether the log is whole."""

    entry_count: int
    head: str  # hash of the last line; who notes it elsewhere can prove that nothing was cut off
    fault: str  # one sentence that names the line; empty where the log is whole


def last(connection: sqlite3.Connection) -> Entry | None:
    """Return the newest line."""
    query = f"SELECT {_COLUMNS} FROM audit ORDER BY number DESC LIMIT 1"
    row = connection.execute(query).fetchone()
    return Entry(*row) if row else None


def clock(before: Entry | None, moment: Moment) -> float:
    """Return the seconds since the first line, reckoned on from the newest one."""
    return before.clock_seconds + passed_seconds(before.moment, moment) if before else 0.0


def append(connection: sqlite3.Connection, moment: Moment, event: Event) -> Entry:
    """Write a line within the transaction that is open, and return it."""
    before = last(connection)
    detail = json_of(event.detail or {})
    if len(detail) > DETAIL_BYTES_MAX:
        got = f"got {len(detail)}"
        raise LedgerError(f"detail: expected at most {DETAIL_BYTES_MAX} characters, {got}")
    entry = Entry(
        number=before.number + 1 if before else 1,
        time_seconds=float(moment.unix_seconds),
        clock_seconds=float(clock(before, moment)),
        boot=moment.boot,
        boot_seconds=float(moment.boot_seconds),
        actor=clean(event.actor),
        action=clean(event.action),
        model=clean(event.model),
        evaluation_id=clean(event.evaluation_id),
        changed_by=event.changed_by,
        detail=detail,
        previous=before.hash if before else "",
        hash="",
    )
    entry = entry._replace(hash=hash_of(entry))
    marks = ", ".join("?" * len(entry))
    connection.execute(f"INSERT INTO audit ({_COLUMNS}) VALUES ({marks})", entry)
    return entry


def hash_of(entry: Entry) -> str:
    """Return the hash of a line's content and of the hash before it."""
    content = json.dumps(entry[:-1], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def json_of(value: object) -> str:
    """Return a value as JSON; a number that JSON does not know becomes a word."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def clean(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair, as JSON may bring, becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case str():
            return clean(value)
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case Mapping():
            return {clean(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return str(value)


class AuditLog:
    """Reads the audit log of a ledger; a store that cannot be written will do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, model: str = "", since_seconds: float = -math.inf) -> Iterator[Entry]:
        """Yield lines, the oldest first, of one model and from a Unix time on."""
        since = max(since_seconds, -1e300)  # SQLite knows no infinity
        query = (
            f"SELECT {_COLUMNS} FROM audit WHERE (? = '' OR model = ?) AND time_seconds >= ?"
            " ORDER BY number"
        )
        with closing(open_reader(self._path)) as file, reading(file, self._path):
            for row in file.execute(query, (model, model, since)):
                yield Entry(*row)

    def verify(self, expected_head: str = "") -> Verified:
        """Walk the chain; also that every evaluation stands where the log left it."""
        with closing(open_reader(self._path)) as file, reading(file, self._path):
            walk = _Walk()
            for row in file.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY number"):
                walk.step(Entry(*row))
            fault = walk.fault or _cut(file, walk) or _moved(file, walk)
        if not fault and expected_head and expected_head not in walk.hashes:
            fault = f"no line has the hash {expected_head:.64}: the log was cut off or replaced"
        return Verified(walk.count, walk.head, fault)


class _Walk:
    """Follows the chain from the first line and remembers where it left every evaluation."""

    def __init__(self) -> None:
        self.count, self.head, self.fault = 0, "", ""
        self.hashes: set[str] = set()
        self.evaluations: dict[str, dict[str, object]] = {}

    def step(self, entry: Entry) -> None:
        """Take the next line; only the first fault is kept."""
        self.fault = self.fault or self._fault(entry)
        self.count, self.head = entry.number, entry.hash
        self.hashes.add(entry.hash)
        left = {} if self.fault else json.loads(entry.detail).get("set", {})
        if left:
            self.evaluations.setdefault(entry.evaluation_id, {}).update(left)

    def _fault(self, entry: Entry) -> str:
        due = self.count + 1
        if entry.number != due:
            return f"line {due} is missing" if entry.number > due else f"line {entry.number} again"
        if entry.previous != self.head:
            return f"line {entry.number} does not follow line {self.count}"
        return "" if entry.hash == hash_of(entry) else f"line {entry.number} was changed"


def _cut(file: sqlite3.Connection, walk: _Walk) -> str:
    """Say whether the newest lines are gone; SQLite remembers the largest number it gave."""
    row = file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    given = int(row[0]) if row else 0
    return f"line {walk.count + 1} and what came after it are gone" if given > walk.count else ""


def _moved(file: sqlite3.Connection, walk: _Walk) -> str:
    """Say whether an evaluation is not as the log left it."""
    cursor = file.execute("SELECT * FROM evaluations ORDER BY number")
    names = [column[0] for column in cursor.description]
    found = {row[names.index("id")]: dict(zip(names, row, strict=True)) for row in cursor}
    if odd := found.keys() ^ walk.evaluations.keys():
        return f"evaluation {min(odd)} is either in the log or in the table, not in both"
    for name, left in walk.evaluations.items():
        for field, value in left.items():
            text = value if isinstance(value, str) else json_of(value)
            if found[name][field] != text:
                return f"evaluation {name}: {field} is not as the log left it"
    return ""
