"""`sonoba audit`, on a real ledger."""

import json
import sqlite3

import pytest
from click.testing import CliRunner

from service.audit_command import audit
from service.evaluation_record import State, Trigger
from service.ledger import Ledger


@pytest.fixture
def store(tmp_path):
    ledger = Ledger(tmp_path / "audit.sqlite")
    name = ledger.ask("bikes", Trigger.ALERT, "k", "alertmanager", "critical").evaluation_id
    ledger.move(name, State.ASKED, State.GATHERING)
    ledger.move(name, State.GATHERING, State.JUDGED, verdict="RECALIBRATE", rule="shadow_first")
    ledger.move(name, State.JUDGED, State.PROMOTING, is_automatic=True)
    ledger.record("ana", "REPORT_READ", "cars")
    ledger.close()
    return tmp_path


def run(store, *arguments):
    return CliRunner().invoke(audit, [*arguments, "--store", str(store)], env={"COLUMNS": "160"})


def test_the_list_tells_who_did_what(store):
    listed = run(store, "list")

    assert listed.exit_code == 0
    for words in ("alertmanager", "asked_reason critical", "verdict RECALIBRATE", "REPORT_READ"):
        assert words in listed.stdout
    assert "in force, by a program" in listed.stdout


def test_json_is_one_whole_line_each(store):
    lines = [json.loads(line) for line in run(store, "list", "--json").stdout.splitlines()]

    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[2]["detail"]["set"]["verdict"] == "RECALIBRATE"
    assert all(len(line["hash"]) == 64 for line in lines)


def test_lines_are_chosen_by_model_and_time(store):
    assert len(run(store, "list", "--json", "--model", "cars").stdout.splitlines()) == 1
    assert len(run(store, "list", "--json", "--since", "1h").stdout.splitlines()) == 5
    assert len(run(store, "list", "--json", "--since", "2026-01-01").stdout.splitlines()) == 5
    assert "nothing was done" in run(store, "list", "--since", "2999-01-01T00:00").stdout
    wrong = run(store, "list", "--since", "yesterday")
    assert wrong.exit_code == 1 and "--since: expected a date" in wrong.stderr


def test_a_whole_log_ends_with_0_and_a_broken_one_with_1(store):
    whole = run(store, "verify")
    head = whole.stdout.split()[-1]
    again, other = run(store, "verify", "--head", head), run(store, "verify", "--head", "0" * 64)
    file = sqlite3.connect(store / "audit.sqlite")
    file.execute("DROP TRIGGER audit_is_not_changed")
    file.execute("UPDATE audit SET actor = 'bo' WHERE number = 2")
    file.commit()
    file.close()
    broken = run(store, "verify")

    assert whole.exit_code == 0 and whole.stdout.startswith("whole: 5 lines, head ")
    assert again.exit_code == 0 and other.exit_code == 1
    assert broken.exit_code == 1 and "broken: line 2 was changed" in broken.stderr


def test_a_store_without_a_log_says_who_begins_one(tmp_path):
    for command in ("list", "verify"):
        missing = run(tmp_path, command)

        assert missing.exit_code == 1
        assert "there is no audit log yet" in missing.stderr
