"""The SQLite file of the ledger: how it is opened, what is in it, and its faults as sentences.

Write-ahead log, every commit on disk before it returns (synchronous=FULL), and triggers that let
nobody change or delete a line of the audit log through any connection (docs/adr/0018).
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from service.evaluation_record import FINISHED

FORMAT: Final = 1
BUSY_SECONDS: Final = 10.0  # for which a locked file is waited for
_OPEN: Final = " AND ".join(f"state <> '{state}'" for state in sorted(FINISHED))
SCHEMA: Final = f"""
CREATE TABLE evaluations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
    state TEXT NOT NULL, trigger TEXT NOT NULL, key TEXT NOT NULL, actor TEXT NOT NULL,
    asked_reason TEXT NOT NULL, labels TEXT NOT NULL,
    created_seconds REAL NOT NULL, updated_seconds REAL NOT NULL,
    created_clock REAL NOT NULL, entered_clock REAL NOT NULL, began_clock REAL NOT NULL,
    verdict TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    sentence_en TEXT NOT NULL DEFAULT '', sentence_ja TEXT NOT NULL DEFAULT '',
    action TEXT NOT NULL DEFAULT '', rule TEXT NOT NULL DEFAULT '',
    model_version TEXT NOT NULL DEFAULT '', candidate_version TEXT NOT NULL DEFAULT '',
    etag TEXT NOT NULL DEFAULT '', report_url TEXT NOT NULL DEFAULT '',
    fault TEXT NOT NULL DEFAULT '', progress TEXT NOT NULL DEFAULT '{{}}');
CREATE UNIQUE INDEX one_unfinished ON evaluations (model) WHERE {_OPEN};
CREATE TABLE keys (
    model TEXT NOT NULL, key TEXT NOT NULL, evaluation TEXT NOT NULL REFERENCES evaluations (id),
    PRIMARY KEY (model, key));
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time_seconds REAL NOT NULL,
    clock_seconds REAL NOT NULL, boot TEXT NOT NULL, boot_seconds REAL NOT NULL,
    actor TEXT NOT NULL, action TEXT NOT NULL, model TEXT NOT NULL, evaluation TEXT NOT NULL,
    changed_by TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE);
CREATE INDEX changes_of_force ON audit (model, clock_seconds) WHERE changed_by <> '';
CREATE TRIGGER audit_is_appended BEFORE INSERT ON audit
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM audit)
    OR NEW.previous <> COALESCE((SELECT hash FROM audit ORDER BY number DESC LIMIT 1), '')
BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER evaluations_are_kept BEFORE DELETE ON evaluations
BEGIN SELECT RAISE(ABORT, 'evaluations are kept'); END;
PRAGMA user_version = {FORMAT};
"""
_CAUSES: Final = {  # by the beginning of SQLite's own name of the fault
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it cannot be written to",
    "SQLITE_PERM": "it cannot be written to",
    "SQLITE_CANTOPEN": "it cannot be opened, or its folder not be written to",
    "SQLITE_BUSY": "another process has locked it for too long",
    "SQLITE_LOCKED": "another process has locked it for too long",
    "SQLITE_CORRUPT": "it is damaged; move it away and put a copy in its place",
    "SQLITE_NOTADB": "it is no database; move it away and put a copy in its place",
    "SQLITE_IOERR": "the disk is full or does not answer",
}


class LedgerError(Exception):
    """The ledger cannot be used, in one sentence."""


def open_writer(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open the file, and make it and its folder if there is none; its owner alone may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LedgerError(f"{path.name}: it cannot be written to: {reason}") from None
    with _told(path):
        connection = _connect(str(path), busy_seconds)
    try:
        with _told(path):
            _prepare(connection, busy_seconds)
            _check_format(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file to read it only; a folder that cannot be written to will do."""
    if not path.exists():
        raise LedgerError(f"{path}: there is no audit log yet; the re-evaluator begins one")
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    pending = path.with_name(f"{path.name}-wal")
    with _told(path):
        connection = _connect(uri, BUSY_SECONDS)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if pending.exists() and pending.stat().st_size:
                raise  # what is written but not yet in the file would be left out
            connection = _connect(f"{uri}&immutable=1", BUSY_SECONDS)
    with _told(path):
        _check_format(path, connection)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Run statements as one change: all of it is on disk when this ends, or none of it ever."""
    with _told(path):
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def reading(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Run queries that all see one moment of the file."""
    with _told(path):
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's faults into a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        cause = next((told for begin, told in _CAUSES.items() if name.startswith(begin)), "")
        raise LedgerError(f"{path.name}: {cause or error}") from error


def _connect(place: str, busy_seconds: float) -> sqlite3.Connection:
    """Open a path or a file: address; transactions are begun by us, threads kept apart by us."""
    return sqlite3.connect(
        place,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=place.startswith("file:"),
    )


def _prepare(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Set the connection up, and make the tables once."""
    connection.execute("PRAGMA foreign_keys = ON")
    _write_ahead(connection, time.monotonic() + busy_seconds)
    connection.execute("PRAGMA synchronous = FULL")
    if _format(connection):
        return
    connection.execute("BEGIN IMMEDIATE")  # of several that come first, one makes them
    try:
        if not _format(connection):
            for statement in _statements(SCHEMA):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _write_ahead(connection: sqlite3.Connection, until: float) -> None:
    """Ask for a write-ahead log; while the file is new SQLite does not wait for others itself."""
    while True:
        try:
            with closing(connection.execute("PRAGMA journal_mode = WAL")) as cursor:
                cursor.fetchone()
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            if not is_busy or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit what is open."""
    statement = ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _format(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_format(path: Path, connection: sqlite3.Connection) -> None:
    found = _format(connection)
    if found != FORMAT:
        connection.close()
        raise LedgerError(f"{path.name}: expected a ledger of format {FORMAT}, got {found}")
