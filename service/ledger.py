"""The ledger: which evaluations there are and where each stands, in one SQLite file.

Every change and its line of the audit log are one transaction, so that neither is ever without the
other (docs/adr/0018). Times are written for people; order is by number, and how long ago something
was is reckoned by a clock that no jump moves (service/ledger_clock.py).
"""

import builtins
import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Unpack

from service import audit
from service.audit import ChangedBy, Event, clean, json_of
from service.evaluation_record import (
    FINISHED,
    MOVES,
    Asked,
    Changes,
    Evaluation,
    Page,
    State,
    Trigger,
    evaluation_of,
)
from service.ledger_clock import Clock, now
from service.ledger_file import BUSY_SECONDS, LedgerError, open_writer, reading, transaction

__all__ = ["Ledger", "LedgerError"]

PAGE_SIZE_MAX: Final = 100
KEY_CHARACTERS_MAX: Final = 512  # a longer one is kept as its hash
LABELS_MAX, LABEL_CHARACTERS_MAX = 64, 256
_OPEN: Final = tuple(state for state in State if state not in FINISHED)
_IS_OPEN: Final = f"state IN ({', '.join('?' * len(_OPEN))})"


class Ledger:
    """Evaluations and audit log of one store; any number of threads and processes may use it.

    Every method raises `LedgerError` with one sentence where the file cannot be used (disk full,
    read-only, locked, damaged), and then nothing is half-written.
    """

    def __init__(self, path: Path, clock: Clock = now, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open the file, by name `<store>/audit.sqlite`; it is made with its folder."""
        self._path, self._now, self._lock = path, clock, threading.RLock()
        self._connection = open_writer(path, busy_seconds)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def ask(
        self,
        model: str,
        trigger: Trigger,
        key: str = "",
        actor: str = "",
        reason: str = "",
        started_seconds_ago: float = 0.0,
        labels: Mapping[str, str] | None = None,
    ) -> Asked:
        """Ask for an evaluation; one key makes one, and an empty key is always another.

        While one of the model is unfinished, whoever asks is given that one, and its key is
        remembered as a key of it.
        """
        key = _short(clean(key)) or f"once:{secrets.token_hex(8)}"
        asked = {"actor": clean(actor or trigger.lower()), "asked_reason": clean(reason[:1024])}
        fields = {"model": clean(model), "trigger": str(trigger), "key": key, **asked}
        fields["labels"] = json_of(_cut(labels or {}))
        with self._change() as file:
            if known := _by_key(file, model, key):
                return Asked(known, False)
            if opened := _open_one(file, model):
                self._remember(file, model, key, opened)
                detail = {"why": {"key": key, "asked_reason": fields["asked_reason"]}}
                self._append(file, Event(asked["actor"], "JOINED", model, opened, "", detail))
                return Asked(opened, False)
            return Asked(self._begin(file, fields, max(0.0, started_seconds_ago)), True)

    def move(
        self,
        evaluation_id: str,
        expected: State,
        new: State,
        *,
        actor: str = "reevaluator",
        is_automatic: bool = False,
        detail: Mapping[str, object] | None = None,
        **changes: Unpack[Changes],
    ) -> bool:
        """Move an evaluation if it stands where expected; False, and nothing, if it does not.

        `is_automatic`: this move changes what is in force and no person asked for it, so it counts
        for cool-down and the most actions a day. `detail` goes to the audit log only: the inputs
        of the decision. `new` may be `expected`: then only fields change.
        """
        if new is not expected and new not in MOVES[expected]:
            raise LedgerError(f"{evaluation_id}: {expected} does not lead to {new}")
        fields: dict[str, object] = {"state": str(new), **changes}
        by: ChangedBy = "program" if is_automatic else ""
        with self._change() as file:
            model = _model_of(file, evaluation_id, expected)
            if model is None:
                return False
            if expected.is_finished and not new.is_finished and (other := _open_one(file, model)):
                raise LedgerError(f"{evaluation_id}: {other} of {model} is not finished yet")
            action = "NOTED" if new is expected else str(new)
            told = {"from": str(expected), "set": dict(fields), "why": dict(detail or {})}
            entry = self._append(file, Event(actor, action, model, evaluation_id, by, told))
            fields |= {"updated_seconds": entry.time_seconds}
            if new is not expected:
                fields |= {"entered_clock": entry.clock_seconds}
            _update(file, evaluation_id, fields)
        return True

    def record(
        self,
        actor: str,
        action: str,
        model: str = "",
        detail: Mapping[str, object] | None = None,
        evaluation_id: str = "",
        changes_force: bool = False,
    ) -> int:
        """Append one line to the audit log and return its number; for reads and people's acts.

        `changes_force`: a person put another version in force; the cool-down begins anew.
        """
        by: ChangedBy = "person" if changes_force else ""
        event = Event(actor, action, model, evaluation_id, by, {"why": dict(detail or {})})
        with self._change() as file:
            return self._append(file, event).number

    def get(self, evaluation_id: str) -> Evaluation | None:
        """Return one evaluation."""
        found = self._select("WHERE id = ?", (evaluation_id,))
        return found[0] if found else None

    def unfinished(self) -> builtins.list[Evaluation]:
        """Return what a re-evaluator has to go on with, the oldest first."""
        return self._select(f"WHERE {_IS_OPEN} ORDER BY number", _OPEN)

    def list(self, model: str = "", size: int = 100, token: str = "") -> Page:
        """Return a page of evaluations; a token that is none raises `LedgerError`."""
        if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
            raise LedgerError(f"page_token: expected one that a page gave, got {token[:64]!r}")
        size = min(size or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
        where = "WHERE (? = '' OR model = ?) AND number < ? ORDER BY number DESC LIMIT ?"
        before = int(token) if token else 2**62
        found = self._select(where, (model, model, before, size + 1))
        return Page(found[:size], str(found[size - 1].number) if len(found) > size else "")

    def actions_since(self, model: str, seconds: float) -> int:
        """Return how often a version was changed automatically within some seconds."""
        query = "SELECT COUNT(*) FROM audit WHERE model = ? AND changed_by = 'program'"
        with self._read() as (file, clock):
            row = file.execute(f"{query} AND clock_seconds >= ?", (model, clock - seconds))
            return int(row.fetchone()[0])

    def seconds_since_action(self, model: str) -> float:
        """Return for how long nobody, program or person, has changed what is in force; else inf."""
        query = "SELECT MAX(clock_seconds) FROM audit WHERE model = ? AND changed_by <> ''"
        with self._read() as (file, clock):
            (when,) = file.execute(query, (model,)).fetchone()
            return float("inf") if when is None else clock - float(when)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._connection, self._path) as file:
            yield file

    @contextmanager
    def _read(self) -> Iterator[tuple[sqlite3.Connection, float]]:
        """Give the file and what the ledger's clock shows now."""
        with self._lock, reading(self._connection, self._path) as file:
            yield file, audit.clock(audit.last(file), self._now())

    def _append(self, file: sqlite3.Connection, event: Event) -> audit.Entry:
        return audit.append(file, self._now(), event)

    def _begin(self, file: sqlite3.Connection, fields: dict[str, str], ago: float) -> str:
        """Write a new evaluation and return its id."""
        (number,) = file.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM evaluations").fetchone()
        name = f"{number:06d}-{secrets.token_hex(3)}"
        told = {"set": {**fields, "state": str(State.ASKED)}, "started_seconds_ago": ago}
        event = Event(fields["actor"], str(State.ASKED), fields["model"], name, "", told)
        entry = self._append(file, event)
        clock = entry.clock_seconds
        row = {"id": name, "number": number, "state": str(State.ASKED), **fields}
        row |= {"created_seconds": entry.time_seconds, "updated_seconds": entry.time_seconds}
        row |= {"created_clock": clock, "entered_clock": clock, "began_clock": clock - ago}
        marks = ", ".join("?" * len(row))
        file.execute(
            f"INSERT INTO evaluations ({', '.join(row)}) VALUES ({marks})", [*row.values()]
        )
        self._remember(file, fields["model"], fields["key"], name)
        return name

    def _remember(self, file: sqlite3.Connection, model: str, key: str, name: str) -> None:
        file.execute("INSERT INTO keys VALUES (?, ?, ?)", (model, key, name))

    def _select(self, where: str, values: tuple[object, ...]) -> builtins.list[Evaluation]:
        with self._read() as (file, clock):
            cursor = file.execute(f"SELECT * FROM evaluations {where}", values)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [evaluation_of(row, clock) for row in rows]


def _by_key(file: sqlite3.Connection, model: str, key: str) -> str:
    query = "SELECT evaluation FROM keys WHERE model = ? AND key = ?"
    row = file.execute(query, (model, key)).fetchone()
    return str(row[0]) if row else ""


def _open_one(file: sqlite3.Connection, model: str) -> str:
    query = f"SELECT id FROM evaluations WHERE model = ? AND {_IS_OPEN}"
    row = file.execute(query, (model, *_OPEN)).fetchone()
    return str(row[0]) if row else ""


def _model_of(file: sqlite3.Connection, evaluation_id: str, expected: State) -> str | None:
    """Return whose evaluation it is, if it stands where expected."""
    query = "SELECT model FROM evaluations WHERE id = ? AND state = ?"
    row = file.execute(query, (evaluation_id, str(expected))).fetchone()
    return str(row[0]) if row else None


def _update(file: sqlite3.Connection, evaluation_id: str, fields: dict[str, object]) -> None:
    plain = {n: json_of(v) if isinstance(v, Mapping) else v for n, v in fields.items()}
    plain |= {n: clean(v) for n, v in plain.items() if isinstance(v, str)}
    places = ", ".join(f"{name} = ?" for name in plain)
    file.execute(f"UPDATE evaluations SET {places} WHERE id = ?", [*plain.values(), evaluation_id])


def _short(key: str) -> str:
    if len(key) <= KEY_CHARACTERS_MAX:
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"


def _cut(labels: Mapping[str, str]) -> dict[str, str]:
    """Return what of an alert's labels is kept, so that no sender can fill the disk."""
    kept = list(labels.items())[:LABELS_MAX]
    return {n[:LABEL_CHARACTERS_MAX]: v[:LABEL_CHARACTERS_MAX] for n, v in kept}
