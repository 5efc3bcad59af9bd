"""The audit log: every way of changing what was written is found and named."""

import hashlib
import json
import shutil
import sqlite3

import pytest

from service.audit import AuditLog
from service.evaluation_record import State, Trigger
from service.ledger import Ledger


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A ledger of one evaluation and some reads."""
    path = tmp_path_factory.mktemp("store") / "audit.sqlite"
    ledger = Ledger(path)
    name = ledger.ask("bikes", Trigger.ALERT, "k", reason="警報").evaluation_id
    ledger.move(name, State.ASKED, State.GATHERING, progress={"asked": ["a:1"]})
    numbers = {"gain": 0.12, "gate": float("inf"), "shadow": (1.0, float("nan"))}
    ledger.move(name, State.GATHERING, State.JUDGED, verdict="KEEP", detail=numbers)
    for reader in ("ana", "bo", "ana"):
        ledger.record(reader, "REPORT_READ", "bikes", {"report": name}, name)
    ledger.close()
    return path


@pytest.fixture
def path(written, tmp_path):
    return shutil.copy(written, tmp_path / "audit.sqlite")


def tamper(path, *statements):
    """Change the file as somebody may who has it, triggers taken away."""
    file = sqlite3.connect(path)
    names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]
    for statement in (*(f"DROP TRIGGER {name}" for name in names), *statements):
        file.execute(statement)
    file.commit()
    file.close()


def test_a_whole_log_says_how_long_it_is_and_what_its_head_is(path):
    entries = list(AuditLog(path).entries())
    verified = AuditLog(path).verify()

    assert verified == (6, entries[-1].hash, "")
    assert [one.action for one in entries[:3]] == ["ASKED", "GATHERING", "JUDGED"]
    assert json.loads(entries[2].detail)["why"] == {
        "gain": 0.12,
        "gate": "inf",
        "shadow": [1.0, "nan"],
    }
    assert AuditLog(path).verify(entries[2].hash).fault == ""


def test_the_hash_is_what_the_documents_say(path):
    *content, found = list(AuditLog(path).entries())[1]
    text = json.dumps(content, separators=(",", ":"))

    assert found == hashlib.sha256(text.encode()).hexdigest()


def test_lines_can_be_had_by_model_and_time(path):
    log = AuditLog(path)
    entries = list(log.entries())

    assert list(log.entries("cars")) == []
    assert list(log.entries("bikes")) == entries
    assert list(log.entries(since_seconds=entries[3].time_seconds)) == entries[3:]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bo' WHERE number = 2",
        "DELETE FROM audit WHERE number = 6",
        "DELETE FROM evaluations",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE number = 2",
        "INSERT INTO audit SELECT 9, time_seconds, clock_seconds, boot, boot_seconds, actor,"
        " action, model, evaluation, changed_by, detail, hash, 'x' FROM audit WHERE number = 6",
        "INSERT INTO audit SELECT 7, time_seconds, clock_seconds, boot, boot_seconds, actor,"
        " action, model, evaluation, changed_by, detail, previous, 'x' FROM audit WHERE number = 6",
    ],
)
def test_the_file_itself_refuses_to_change_what_is_written(path, statement):
    file = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match=r"only appended to|evaluations are kept"):
        file.execute(statement)
    file.close()

    assert AuditLog(path).verify().fault == ""


TAMPERED = [
    (["UPDATE audit SET actor = 'bo' WHERE number = 4"], "line 4 was changed"),
    (["UPDATE audit SET time_seconds = time_seconds + 1e-5 WHERE number = 1"], "line 1 was"),
    (["UPDATE audit SET detail = replace(detail, '0.12', '0.13')"], "line 3 was changed"),
    (["DELETE FROM audit WHERE number = 3"], "line 3 is missing"),
    (["DELETE FROM audit WHERE number = 1"], "line 1 is missing"),
    (["DELETE FROM audit WHERE number > 4"], "line 5 and what came after it are gone"),
    (["UPDATE audit SET previous = 'x' WHERE number = 5"], "line 5 does not follow line 4"),
    (["UPDATE evaluations SET state = 'DONE'"], "state is not as the log left it"),
    (["UPDATE evaluations SET verdict = 'RECALIBRATE'"], "verdict is not as the log left it"),
    (["UPDATE evaluations SET progress = '{}'"], "progress is not as the log left it"),
    (["DELETE FROM keys", "DELETE FROM evaluations"], "not in both"),
]


@pytest.mark.parametrize(("statements", "sentence"), TAMPERED)
def test_a_change_behind_its_back_is_found_and_named(path, statements, sentence):
    tamper(path, *statements)

    assert sentence in AuditLog(path).verify().fault


def test_a_chain_forged_from_a_line_on_is_betrayed_by_a_head_noted_before(path):
    head = AuditLog(path).verify().head
    forged = path.parent / "forged.sqlite"
    ledger = Ledger(forged)
    for _ in range(6):
        ledger.record("bo", "READ")
    ledger.close()

    assert AuditLog(forged).verify().fault == ""
    assert "was cut off or replaced" in AuditLog(forged).verify(head).fault


def test_a_log_that_goes_on_keeps_the_heads_noted_before(path):
    head = AuditLog(path).verify().head
    ledger = Ledger(path)
    ledger.record("ana", "READ")

    assert AuditLog(path).verify(head).fault == ""  # read while it is open elsewhere
    ledger.close()
