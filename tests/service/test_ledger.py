"""The ledger: real files, real processes, and what goes wrong with both."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audit import AuditLog
from service.evaluation_record import FINISHED, MOVES, State, Trigger
from service.ledger import Ledger, LedgerError
from service.ledger_clock import Moment, now, passed_seconds

pytestmark = pytest.mark.slow  # seconds, all together

PATH = [S.value for S in (State.GATHERING, State.JUDGED, State.SHADOWING, State.PROMOTING)]
DAY = 86_400.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "audit.sqlite"


@pytest.fixture
def ledger(path):
    made = Ledger(path)
    yield made
    made.close()


class Clock:
    """A wall clock and a clock since boot that a test moves."""

    def __init__(self):
        self.wall, self.boot, self.since_boot = 1_800_000_000.0, "one", 1000.0

    def __call__(self):
        return Moment(self.wall, self.boot, self.since_boot)

    def run(self, seconds):
        self.wall, self.since_boot = self.wall + seconds, self.since_boot + seconds

    def restart(self, boot):
        self.boot, self.since_boot = boot, 5.0


def ask(ledger, model="bikes", key="", trigger=Trigger.ALERT, **more):
    return ledger.ask(model, trigger, key, **more)


def walk(ledger, evaluation_id, *states):
    """Move an evaluation from ASKED along some states."""
    before = State.ASKED
    for state in states:
        assert ledger.move(evaluation_id, before, state)
        before = state


def child(code, *arguments, **options):
    """Start a process that has the ledger's names; it prints to a pipe."""
    head = (
        "import sys, os, resource\nfrom pathlib import Path\nfrom service.ledger import *\n"
        "from service.evaluation_record import State, Trigger\nfrom service.lease import Lease\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'client'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_an_evaluation_is_kept_with_what_is_known_of_it(ledger):
    asked = ask(
        ledger, key="g f 1", reason="loud", started_seconds_ago=90.0, labels={"severity": "major"}
    )
    found = ledger.get(asked.evaluation_id)

    assert asked.is_new
    assert (found.model, found.state, found.trigger) == ("bikes", State.ASKED, Trigger.ALERT)
    assert (found.actor, found.asked_reason, found.key) == ("alert", "loud", "g f 1")
    assert found.labels == {"severity": "major"}
    assert found.began_seconds_ago == pytest.approx(90.0, abs=5.0)
    assert found.created_seconds == pytest.approx(time.time(), abs=5.0)
    assert ledger.get("none") is None


def test_one_alert_delivered_fifty_times_is_one_evaluation(ledger):
    asked = [ask(ledger, key="group fingerprint 2026") for _ in range(50)]

    assert sum(one.is_new for one in asked) == 1
    assert len({one.evaluation_id for one in asked}) == 1
    assert len(ledger.list().evaluations) == 1
    assert len(list(AuditLog(ledger._path).entries())) == 1  # to be told again changes nothing


def test_whoever_asks_while_one_is_unfinished_joins_it(ledger):
    first = ask(ledger, key="a")
    second = ask(ledger, key="b", trigger=Trigger.OPERATOR, actor="ana")
    other = ask(ledger, model="cars", key="a")

    assert second == (first.evaluation_id, False)
    assert other.is_new and other.evaluation_id != first.evaluation_id
    entries = list(AuditLog(ledger._path).entries("bikes"))
    assert [(one.actor, one.action) for one in entries] == [("alert", "ASKED"), ("ana", "JOINED")]


def test_a_key_that_joined_makes_none_when_it_comes_again_later(ledger):
    first = ask(ledger, key="a").evaluation_id
    ask(ledger, key="b")
    walk(ledger, first, State.GATHERING, State.DONE)

    assert ask(ledger, key="b") == (first, False)
    assert ask(ledger, key="c").is_new
    with pytest.raises(LedgerError, match="is not finished yet"):
        done = ask(ledger, model="cars").evaluation_id
        walk(ledger, done, State.PROPOSED)
        ask(ledger, model="cars")
        ledger.move(done, State.PROPOSED, State.PROMOTING)


def test_a_call_without_a_key_is_always_another(ledger):
    first = ask(ledger).evaluation_id
    walk(ledger, first, State.FAILED)

    assert ask(ledger).is_new


def test_a_move_happens_once_and_only_from_where_it_was_expected(ledger):
    name = ask(ledger).evaluation_id
    won = []
    threads = [
        threading.Thread(target=lambda: won.append(ledger.move(name, State.ASKED, State.GATHERING)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 15 + [True]
    assert not ledger.move("none", State.ASKED, State.GATHERING)
    with pytest.raises(LedgerError, match="GATHERING does not lead to WATCHING"):
        ledger.move(name, State.GATHERING, State.WATCHING)


def test_fields_change_with_a_move_or_without_one(ledger):
    name = ask(ledger).evaluation_id
    ledger.move(name, State.ASKED, State.GATHERING, verdict="KEEP", progress={"looked": 200})
    ledger.move(name, State.GATHERING, State.GATHERING, sentence_ja="維持", rule="keep")
    found = ledger.get(name)

    assert (found.verdict, found.sentence_ja, found.rule) == ("KEEP", "維持", "keep")
    assert found.progress == {"looked": 200}
    actions = [entry.action for entry in AuditLog(ledger._path).entries()]
    assert actions == ["ASKED", "GATHERING", "NOTED"]


def test_what_is_finished_stays_so():
    assert {state for state in State if not MOVES[state]} == FINISHED - {State.PROPOSED}


@given(st.lists(st.sampled_from(State), max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_walk_promotes_twice_or_leaves_the_log_and_the_table_apart(states):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.sqlite"
        ledger = Ledger(path)
        name, promoted = ask(ledger).evaluation_id, 0
        for state in states:
            before = ledger.get(name).state
            if state is not before and state in MOVES[before]:
                assert ledger.move(name, before, state)
                promoted += state is State.PROMOTING
        ledger.close()

        assert AuditLog(path).verify().fault == ""
        assert promoted <= 2  # once by itself, once more if a person takes up the proposal


def test_pages_run_from_the_newest_to_the_oldest(ledger):
    for place in range(7):
        ask(ledger, model=f"m{place}")
    pages, token = [], ""
    while True:
        page = ledger.list(size=3, token=token)
        pages.append([one.model for one in page.evaluations])
        token = page.next_token
        if not token:
            break

    assert pages == [["m6", "m5", "m4"], ["m3", "m2", "m1"], ["m0"]]
    assert [one.model for one in ledger.list("m2").evaluations] == ["m2"]
    for wrong in ("x", "-1", "٣", "9" * 30):
        with pytest.raises(LedgerError, match="page_token: expected one that a page gave"):
            ledger.list(token=wrong)


def test_what_is_unfinished_comes_oldest_first(ledger):
    for model in ("a", "b", "c"):
        ask(ledger, model=model)
    walk(ledger, ledger.list("b").evaluations[0].id, State.GATHERING, State.DONE)

    assert [one.model for one in ledger.unfinished()] == ["a", "c"]


def test_text_from_outside_is_bounded_and_cannot_break_the_file(ledger):
    labels = {f"label{n}": "x" * 10_000 for n in range(500)} | {"odd": "half \ud800"}
    asked = ask(ledger, key="k" * 5000, reason="r\ud800" * 2000, labels=labels)
    found = ledger.get(asked.evaluation_id)

    assert ask(ledger, key="k" * 5000) == (asked.evaluation_id, False)
    assert len(found.labels) <= 64 and max(map(len, found.labels.values())) <= 256
    assert len(found.asked_reason) <= 1024 and len(found.key) < 100
    with pytest.raises(LedgerError, match="detail: expected at most"):
        ledger.record("ana", "READ", detail={"much": "x" * 300_000})
    assert ledger.record("ana", "READ") == 2  # what was refused left nothing open, and no line
    assert AuditLog(ledger._path).verify().fault == ""


def test_automatic_actions_are_counted_and_a_persons_begins_the_cool_down_too(path):
    clock = Clock()
    ledger = Ledger(path, clock)
    for model in ("bikes", "cars"):
        name = ask(ledger, model=model).evaluation_id
        walk(ledger, name, State.GATHERING, State.JUDGED)
        ledger.move(name, State.JUDGED, State.PROMOTING, is_automatic=model == "bikes")
    never = ledger.seconds_since_action("cars")
    clock.run(3600.0)
    after_promotion = ledger.seconds_since_action("bikes")
    ledger.record("ana", "PROMOTED", "bikes", changes_force=True)
    clock.run(60.0)
    after_person = ledger.seconds_since_action("bikes")
    in_day, in_hour = ledger.actions_since("bikes", DAY), ledger.actions_since("bikes", 3600.0)
    ledger.close()

    assert never == float("inf")
    assert (after_promotion, after_person) == (3600.0, 60.0)
    assert (in_day, in_hour) == (1, 0)


def acted(path, clock):
    """Return a ledger in which a version was promoted automatically a moment ago."""
    ledger = Ledger(path, clock)
    name = ask(ledger).evaluation_id
    walk(ledger, name, State.GATHERING, State.JUDGED)
    ledger.move(name, State.JUDGED, State.PROMOTING, is_automatic=True)
    return ledger


@pytest.mark.parametrize("jump_seconds", [-400 * DAY, -3600.0, 3600.0, 400 * DAY])
def test_a_jump_of_the_wall_clock_neither_opens_nor_closes_the_cool_down(path, jump_seconds):
    clock = Clock()
    ledger = acted(path, clock)
    clock.wall += jump_seconds
    at_once = ledger.seconds_since_action("bikes")
    clock.run(7 * 3600.0)
    later, actions = ledger.seconds_since_action("bikes"), ledger.actions_since("bikes", DAY)
    ledger.record("ana", "READ")
    age = ledger.get(ledger.list().evaluations[0].id).age_seconds
    ledger.close()

    assert (at_once, later, actions, age) == (0.0, 7 * 3600.0, 1, 7 * 3600.0)
    assert AuditLog(path).verify().fault == ""


def test_a_clock_set_back_across_a_restart_delays_no_longer_than_the_cool_down(path):
    clock = Clock()
    acted(path, clock).close()
    clock.restart("two")
    clock.wall -= 400 * DAY
    ledger = Ledger(path, clock)
    after_restart = ledger.seconds_since_action("bikes")
    ledger.record("reevaluator", "STARTED")
    clock.run(6 * 3600.0)
    later = ledger.seconds_since_action("bikes")
    ledger.close()

    assert (after_restart, later) == (0.0, 6 * 3600.0)


def test_time_across_a_restart_is_the_wall_clocks(path):
    clock = Clock()
    acted(path, clock).close()
    clock.wall += 5 * 3600.0
    clock.restart("two")
    ledger = Ledger(path, clock)
    found = ledger.seconds_since_action("bikes")
    ledger.close()

    assert found == 5 * 3600.0


def test_the_real_clock_runs_forward():
    before = now()
    time.sleep(0.02)

    assert 0.015 < passed_seconds(before, now()) < 5.0
    assert passed_seconds(now(), before) == 0.0


WRITE = """
ledger = Ledger(Path(sys.argv[1]))
path = [State(name) for name in sys.argv[2].split()]
for place in range(200):
    name = ledger.ask("bikes", Trigger.ALERT, f"{sys.argv[3]} {place}").evaluation_id
    before = ledger.get(name).state
    for state in path[path.index(before) + 1 if before in path else 0:]:
        assert ledger.move(name, before, state, verdict="KEEP", progress={"at": place})
        before = state
        print(name, state, flush=True)
"""


@pytest.mark.parametrize("after", [1, 17, 60, 133])
def test_a_process_killed_while_it_writes_leaves_a_whole_log(path, after):
    states = " ".join([*PATH, "WATCHING", "DONE"])
    for run in range(2):  # the second goes on where the first was killed
        writer = child(WRITE, path, states, run)
        seen = [writer.stdout.readline().split() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        writer.communicate()

        told = {name: State(state) for name, state in seen}
        verified = AuditLog(path).verify()
        ledger = Ledger(path)
        unfinished = ledger.unfinished()
        order = [State.ASKED, *map(State, states.split())]
        kept = {name: ledger.get(name).state for name in told}
        ledger.close()
        assert verified.fault == "" and verified.entry_count > after
        assert len(unfinished) <= 1
        assert all(order.index(kept[name]) >= order.index(told[name]) for name in told)


def test_eight_processes_with_one_key_make_one_evaluation(path):
    code = """
print(*(tuple(Ledger(Path(sys.argv[1])).ask("bikes", Trigger.ALERT, "one"))), flush=True)
"""
    askers = [child(code, path) for _ in range(8)]
    answers = [asker.communicate() for asker in askers]
    found = [out.split() for out, _ in answers]

    assert all(len(one) == 2 for one in found), answers
    assert len({name for name, _ in found}) == 1
    assert [is_new for _, is_new in found].count("True") == 1
    assert AuditLog(path).verify() == (1, AuditLog(path).verify().head, "")


def test_processes_that_write_at_once_lose_nothing(path):
    code = """
ledger = Ledger(Path(sys.argv[1]))
for _ in range(50):
    ledger.record(sys.argv[2], "READ")
"""
    writers = [child(code, path, f"p{n}") for n in range(4)]
    errors = [writer.communicate()[1] for writer in writers]

    assert errors == [""] * 4
    verified = AuditLog(path).verify()
    assert (verified.entry_count, verified.fault) == (200, "")


FULL = """
path = Path(sys.argv[1])
ledger = Ledger(path)
ledger.ask("bikes", Trigger.ALERT, "before")
size = max(one.stat().st_size for one in path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
for place in range(3):
    try:
        ledger.ask(f"m{place}", Trigger.ALERT, "full", labels={"x": "y" * 200})
        print("written")
    except LedgerError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(ledger.ask("cars", Trigger.ALERT, "after").is_new)
"""


def test_a_full_disk_is_a_sentence_and_nothing_is_half_written(path):
    out, err = child(FULL, path).communicate()
    lines = out.splitlines()

    assert lines[-1] == "True", err  # there is room again, and it goes on
    assert lines[:3] == ["audit.sqlite: the disk is full or does not answer"] * 3
    assert AuditLog(path).verify().fault == ""
    ledger = Ledger(path)
    models = [one.model for one in ledger.list().evaluations]
    ledger.close()
    assert models == ["cars", "bikes"]


READ_ONLY = """
path = Path(sys.argv[1])
from service.audit import AuditLog
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for attempt in (lambda: Ledger(path), lambda: AuditLog(path).verify(), lambda: Lease(path).take()):
    try:
        print(attempt())
    except LedgerError as error:
        print(error)
"""


@pytest.fixture
def open_folder():
    """A folder that another user may enter; those of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_read_only_folder_is_a_sentence_and_can_be_read(open_folder):
    path = open_folder / "audit.sqlite"
    ledger = Ledger(path)
    ask(ledger)
    ledger.close()
    path.chmod(0o444)
    open_folder.chmod(0o555)
    out, err = child(READ_ONLY, path).communicate()
    open_folder.chmod(0o755)

    lines = out.splitlines()
    assert lines[0] == "audit.sqlite: it cannot be written to: permission denied", err
    assert lines[1].startswith("Verified(entry_count=1") and lines[1].endswith("fault='')")
    assert lines[2] == "audit.sqlite: it cannot be locked: permission denied"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "store").write_text("a file")

    with pytest.raises(LedgerError, match="it cannot be written to: "):
        Ledger(tmp_path / "store" / "audit.sqlite")


def test_a_file_that_is_no_ledger_is_a_sentence(path):
    path.parent.mkdir()
    path.write_bytes(b"no database at all, but long enough to be read as a page header" * 100)

    with pytest.raises(LedgerError, match="it is no database; move it away"):
        Ledger(path)
    with pytest.raises(LedgerError, match="it is no database"):
        AuditLog(path).verify()
    with pytest.raises(LedgerError, match="there is no audit log yet"):
        AuditLog(path.with_name("none.sqlite")).verify()


def test_a_damaged_file_is_told_and_not_repaired(path):
    ledger = Ledger(path)
    for place in range(200):
        ledger.record("ana", "READ", detail={"place": place})
    ledger.close()
    content = bytearray(path.read_bytes())
    content[20_000:40_000] = os.urandom(20_000)
    path.write_bytes(content)

    try:
        fault = AuditLog(path).verify().fault
    except LedgerError as error:
        fault = str(error)
    assert fault


def test_a_ledger_of_another_format_is_left_alone(path, ledger):
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 7")
    file.close()

    for attempt in (lambda: Ledger(path), AuditLog(path).verify):
        with pytest.raises(LedgerError, match="expected a ledger of format 1, got 7"):
            attempt()


def test_a_file_that_another_holds_for_too_long_is_a_sentence(path, ledger):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    impatient = Ledger(path, busy_seconds=0.1)

    with pytest.raises(LedgerError, match="another process has locked it for too long"):
        ask(impatient)
    holder.execute("ROLLBACK")
    holder.close()
    assert ask(impatient).is_new
    impatient.close()


def test_only_its_owner_may_read_the_file(path, ledger):
    ask(ledger)

    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
