"""Reports kept in a folder: whole, found again, listed, pruned, and reached by no other name."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from service.evaluation_record import State as LedgerState
from service.report import (
    Report,
    ReportError,
    State,
    latest,
    listed,
    prune,
    read,
    read_file,
    write,
)
from tests.service.reports import ALL, BEGIN, failed, kept, promoted, shadowing

BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "x.json",
    ".hidden",
    "a" * 81,
    "é",
    "-a",
]


def at(minutes, make=kept, **changes):
    """Return a report that was asked for some minutes later; its id tells."""
    moved = timedelta(minutes=minutes)
    whole = make()
    ended = None if whole.ended is None else whole.ended + moved
    known = {"evaluation": f"e{minutes}", "asked": whole.asked + moved, "ended": ended}
    return whole.model_copy(update=known | changes)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_report_comes_back_as_it_was_written(tmp_path, make):
    report = make()

    write(report, tmp_path / "reports")

    assert read(tmp_path / "reports", report.evaluation) == report
    assert read_file(tmp_path / "reports", report.evaluation, "html").startswith(b"<!doctype html>")


def test_times_are_written_in_utc_and_alerts_with_two_labels(tmp_path):
    write(promoted(), tmp_path)

    told = json.loads(read_file(tmp_path, promoted().evaluation, "json"))
    assert told["asked"] == "2026-11-04T10:32:05Z"
    assert told["alerts"] == [{"alertname": "SonobaErrorInflationCritical", "severity": "critical"}]


def test_the_states_are_those_of_the_ledger():
    assert set(get_args(State)) == {state.value for state in LedgerState}


def test_a_report_is_for_its_owner_and_group_only(tmp_path):
    write(kept(), tmp_path / "reports")

    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "reports").iterdir()}
    assert modes == {0o640}
    assert (tmp_path / "reports").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("evaluation", BAD_IDS)
def test_what_is_no_id_reaches_no_file(tmp_path, evaluation):
    (tmp_path / "x.json").write_text("{}")

    with pytest.raises(ReportError, match="expected the id of an evaluation"):
        read(tmp_path / "reports", evaluation)
    with pytest.raises(ValidationError):
        Report(**(kept().model_dump() | {"evaluation": evaluation}))


def test_what_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(ReportError, match="report e1: there is none"):
        read(tmp_path, "e1")
    (tmp_path / "e1.json").write_text('{"evaluation": "e1"}')
    with pytest.raises(ReportError, match="report e1: model: field required"):
        read(tmp_path, "e1")
    (tmp_path / "e1.json").write_bytes(b"\x00")
    with pytest.raises(ReportError, match="report e1: JSON: "):
        read(tmp_path, "e1")


def test_reports_are_listed_the_newest_first_and_damaged_ones_left_out(tmp_path):
    write(at(1), tmp_path)
    write(at(3, promoted), tmp_path)
    write(at(2, failed, model="cars"), tmp_path)
    (tmp_path / "e9.json").write_text("{")
    (tmp_path / "copy.json").write_bytes(read_file(tmp_path, "e1", "json"))

    found = listed(tmp_path)

    assert [one.evaluation for one in found] == ["e3", "e2", "e1"]
    assert [(one.verdict, one.action) for one in found] == [
        ("RECALIBRATE", "PROMOTE"),
        ("", ""),
        ("KEEP", "NOTHING"),
    ]
    assert [one.evaluation for one in listed(tmp_path, "bikes")] == ["e3", "e1"]
    assert (latest(tmp_path, "bikes"), latest(tmp_path, "cars")) == ("e3", "e2")
    assert latest(tmp_path, "nobody") is None
    assert listed(tmp_path / "nowhere") == []


def test_old_reports_and_those_above_the_count_go_and_open_ones_stay(tmp_path):
    for minutes in range(6):
        write(at(minutes), tmp_path)
    write(at(-9000, shadowing), tmp_path)  # older than all, and not ended

    now = BEGIN + timedelta(days=1, minutes=1.5)
    assert prune(tmp_path, keep_days=1.0, keep_count=3, now=now) == ["e2", "e1", "e0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"e{number}.{ending}" for number in (-9000, 3, 4, 5) for ending in ("html", "json")
    ]
    assert prune(tmp_path, keep_days=1.0, keep_count=3, now=now) == []
    assert prune(tmp_path, keep_days=0.5, keep_count=3, now=now) == ["e5", "e4", "e3"]


def test_what_a_killed_writer_left_goes_too(tmp_path):
    for name, age_days in ((".e1.json.part", 3), (".e2.json.part", 0)):
        (tmp_path / name).write_text("names of columns")
        then = time.time() - 86_400 * age_days
        os.utime(tmp_path / name, (then, then))

    prune(tmp_path, keep_days=2, keep_count=3)

    assert [path.name for path in tmp_path.iterdir()] == [".e2.json.part"]


def test_a_damaged_file_is_not_pruned_by_a_guess(tmp_path):
    (tmp_path / "e1.json").write_text("{")

    assert prune(tmp_path, keep_days=0.001, keep_count=1) == []
    assert (tmp_path / "e1.json").exists()


WRITES = """
import itertools, sys
from pathlib import Path
from service.report import write
from tests.service.reports import kept, shadowing
for report in itertools.cycle([kept(), shadowing()]):
    write(report, Path(sys.argv[1]))
    print("written", flush=True)
"""


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_files(tmp_path):
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITES, str(tmp_path)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        for _ in range(50):
            assert read(tmp_path, kept().evaluation) in (kept(), shadowing())
        child.kill()
        child.communicate()

        assert read(tmp_path, kept().evaluation) in (kept(), shadowing())
        page = read_file(tmp_path, kept().evaluation, "html")
        assert page.rstrip().endswith(b"</html>")
        assert len(list(tmp_path.glob("[!.]*"))) == 2
    write(kept(), tmp_path)
    assert len(os.listdir(tmp_path)) == 2  # nothing of the killed ones is left over


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "reports").write_text("a file")

    with pytest.raises(OSError):
        write(kept(), tmp_path / "reports")
