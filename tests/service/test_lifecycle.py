"""The steps of an evaluation on a real ledger and store, with replicas that a test speaks for."""

import contextlib
import json
import re
import shutil
import subprocess
import time

import pytest

from model.checkpoint import load_stored
from model.version_folder import StoreError
from service.audit import AuditLog
from service.evaluation_record import State, Trigger
from service.lease import Lease
from service.lifecycle import Lifecycle
from service.report import listed as reports
from service.report import read
from tests.service.replicating import (
    Time,
    another,
    kept_prompt,
    paired_of,
    prompts,
    state_of,
    world,
)
from tests.service.watched import NAME

pytestmark = pytest.mark.slow  # seconds, all together

RULES = {"minimum_prompts": 100, "shadow_prompts": 100, "watch_prompts": 200}
WHOLE_WAY = ["ASKED", "GATHERING", "JUDGED", "SHADOWING", "PROMOTING", "WATCHING", "DONE"]


class Killed(BaseException):
    """The process died here."""


class Loop:
    """A re-evaluator on a clock set by hand, and two replicas that follow its store."""

    def __init__(self, folder, clock=None, every=0.0, rules=None, **parts):
        self.time = clock or Time()
        self.world = world(folder, 2, {**RULES, **(rules or {})}, self.time, **parts)
        self.parts, self.store = self.world.parts, self.world.store
        self.ledger, self.replicas = self.parts.ledger, self.world.replicas
        self.lease = Lease(self.store.folder / ".reevaluator.lock")
        self.lifecycle = Lifecycle(self.parts, self.lease, every)

    def close(self):
        self.lease.release()
        self.world.close()

    def artifact(self, version=""):
        version = version or self.store.current(NAME).version
        return self.parts.in_force.load(NAME, version).artifact

    def harm(self, scale=2.0, count=120):
        """Let every replica have seen prompts of another scale."""
        version = self.store.current(NAME).version
        for place, replica in enumerate(self.replicas):
            made = state_of(self.artifact(version), count, scale, 1000 * place)
            replica.states[version] = made

    def shadow(self, candidate_error=1.0, count=120):
        """Let every replica have seen a candidate beside the served version, if there is one."""
        candidate = self.store.current(NAME).candidate
        for place, replica in enumerate(self.replicas):
            replica.pairs[candidate] = paired_of(count, 3.0, candidate_error, place)

    def live(self, scale=2.0, count=120):
        """Let every replica have seen prompts since a promotion."""
        version = self.store.current(NAME).version
        for place, replica in enumerate(self.replicas):
            replica.states[version] = state_of(self.artifact(version), count, scale, 50_000 + place)

    def ask(self, trigger=Trigger.ALERT, key="k", **fields):
        labels = {"alertname": "SonobaErrorInflationCritical", "severity": "critical"}
        return self.ledger.ask(NAME, trigger, key, labels=labels, **fields).evaluation_id

    def run(self, *states, seconds=60.0, pause=0.0):
        """Take steps until the newest evaluation stands in one of some states.

        `pause` is real time at each: for connections that were lost.
        """
        ends = self.time.seconds + seconds
        while (now := self.newest().state.value) not in states:
            assert self.time.seconds < ends, f"{now} after {seconds:g} s, not {states}"
            self.time.seconds += max(self.lifecycle.tick(), 0.01)
            time.sleep(pause)
        return self.newest()

    def newest(self):
        return self.ledger.list(NAME).evaluations[0]

    def tick(self, seconds=0.0):
        self.time.seconds += seconds
        return self.lifecycle.tick()

    def entries(self, action=""):
        log = AuditLog(self.store.folder / "audit.sqlite").entries(NAME)
        return [one for one in log if action in ("", one.action)]


@pytest.fixture
def loop(tmp_path):
    made = []

    def start(folder=tmp_path, **fields):
        made.append(Loop(folder, **fields))
        return made[-1]

    yield start
    for one in made:
        one.close()


def play(loop):
    """From an alert to the end of its watch, everything going well."""
    loop.harm()
    loop.ask()
    loop.run("SHADOWING")
    loop.shadow()
    loop.run("WATCHING")
    loop.live()
    return loop.run("DONE")


def test_from_an_alert_to_a_better_version(loop):
    one = loop()
    before = one.store.current(NAME)

    done = play(one)

    pointer = one.store.current(NAME)
    assert (pointer.version, pointer.previous) == (done.candidate_version, before.version)
    assert pointer.candidate == ""
    assert (done.model_version, done.verdict) == (before.version, "RECALIBRATE")
    assert done.report_url == f"https://reports.example/reports/{done.id}"


def test_the_report_tells_all_of_it(loop):
    one = loop()
    done = play(one)

    told = read(one.world.folder / "reports", done.id)

    assert [step.state for step in told.history] == WHOLE_WAY
    times = [step.time for step in told.history]
    assert times == sorted(times)
    assert [one.action for one in told.decisions] == ["SHADOW", "PROMOTE", "NOTHING"]
    assert told.findings.verdict == "RECALIBRATE"
    assert told.shadow.gain.mean == pytest.approx(2.0 / 3.0)
    assert told.shadow.prompt_count == 240
    assert told.after.error.mean == pytest.approx(1.0, abs=0.3)
    assert told.versions.in_force == done.candidate_version
    assert told.alerts[0].severity == "critical"
    assert told.rules["minimum_prompts"] == 100


def test_the_servers_are_told_and_metrics_count(loop):
    one = loop()
    done = play(one)

    last, tally = one.store.told(NAME), one.parts.tally
    assert (last.evaluation_id, last.verdict, last.action) == (done.id, "RECALIBRATE", "NOTHING")
    assert last.sentence["en"] and last.sentence["ja"]
    assert tally.reevaluations == {(NAME, "RECALIBRATE", "ok"): 1}
    assert tally.promotions == {(NAME, "ok"): 1}
    assert tally.regret[NAME] > 1.25


def test_the_audit_log_holds_the_numbers_of_each_decision_and_no_feature(loop):
    one = loop()
    play(one)

    lines = {entry.action: entry.detail for entry in one.entries()}
    assert json.loads(lines["PROMOTING"])["why"]["gain"][0] == pytest.approx(2.0 / 3.0)
    assert json.loads(lines["SHADOWING"])["why"]["verdict"] == "RECALIBRATE"
    text = "".join(entry.detail for entry in one.entries())
    text += json.dumps([one.newest().sentence_en, one.store.told(NAME).sentence])
    columns = load_stored(one.store.folder, NAME).schema.names
    assert "window" in text and columns
    assert not re.search(rf"\b({'|'.join(map(re.escape, columns))})\b", text)
    log = AuditLog(one.store.folder / "audit.sqlite")
    assert log.verify().fault == ""


def test_too_few_prompts_are_waited_for(loop):
    one = loop()
    one.ask()
    for _ in range(5):
        one.tick(1.0)
    assert one.newest().state is State.GATHERING

    one.harm()

    assert one.run("SHADOWING").verdict == "RECALIBRATE"


def test_a_wait_has_its_end_and_then_nothing_is_concluded(loop):
    one = loop(rules={"gather_seconds_max": 60.0})
    one.ask()

    done = one.run("DONE", seconds=90.0)

    assert (done.verdict, done.reason, done.action) == ("INSUFFICIENT", "FEW_PROMPTS", "WAIT")
    assert "too few prompts" in done.sentence_en
    assert one.parts.tally.reevaluations == {(NAME, "INSUFFICIENT", "ok"): 1}


def test_fewer_than_four_in_five_replicas_say_nothing_of_all(loop):
    one = loop(rules={"gather_seconds_max": 30.0})
    one.harm()
    one.replicas[1].stop()
    one.ask()

    done = one.run("DONE", seconds=60.0)

    assert done.verdict == "INSUFFICIENT"
    assert "Only 1 of 2 servers" in done.sentence_en
    told = read(one.world.folder / "reports", done.id)
    assert told.findings.window.missing_replicas == (one.replicas[1].address,)


def test_a_replica_that_comes_back_ends_the_wait(loop):
    one = loop()
    one.harm()
    one.replicas[1].stop()
    one.ask()
    for _ in range(5):
        one.tick(1.0)
    assert one.newest().state is State.GATHERING

    one.replicas[1].start()

    assert one.run("SHADOWING", pause=0.1).state is State.SHADOWING


def test_a_replica_that_is_down_in_the_shadow_is_waited_for(loop):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    one.shadow()
    one.replicas[0].stop()
    for _ in range(5):
        one.tick(1.0)
    assert one.newest().state is State.SHADOWING

    one.replicas[0].start()

    assert one.run("WATCHING", pause=0.1).state is State.WATCHING


def test_quiet_prompts_are_kept_as_they_are(loop):
    one = loop()
    one.harm(scale=1.0)
    before = one.store.current(NAME)
    one.ask()

    done = one.run("DONE")

    assert (done.verdict, done.action, done.candidate_version) == ("KEEP", "NOTHING", "")
    assert one.store.current(NAME) == before


def test_who_read_kept_prompts_when_and_how_many_is_in_the_log_and_no_tenant_is(loop):
    one = loop()
    one.harm(scale=1.0)
    one.replicas[0].kept = [kept_prompt(prompts(1, seed), 5.0, 0) for seed in range(30)]
    evaluation = one.ask()

    one.run("DONE")

    (read,) = one.entries("prompts.read")
    assert (read.actor, read.model, read.evaluation_id) == ("reevaluator", NAME, evaluation)
    version = one.store.current(NAME).version
    detail = {"model_version": version, "prompt_count": 30}
    assert read.told()["detail"] == {"why": detail}


def test_without_kept_prompts_no_reading_is_written_down(loop):
    one = loop()
    one.harm(scale=1.0)
    one.ask()
    one.run("DONE")

    assert one.entries("prompts.read") == []


def test_a_candidate_that_is_surely_worse_is_turned_down(loop):
    one = loop()
    one.harm()
    before = one.store.current(NAME)
    one.ask()
    one.run("SHADOWING")
    one.shadow(candidate_error=4.0)

    done = one.run("REJECTED")

    pointer = one.store.current(NAME)
    assert (pointer.version, pointer.candidate) == (before.version, "")
    assert done.rule == "surely_worse"
    assert one.parts.tally.promotions == {(NAME, "rejected"): 1}


def test_a_candidate_that_a_replica_refuses_is_turned_down(loop):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    candidate = one.store.current(NAME).candidate
    one.replicas[1].refusals[candidate] = "the self-test failed"

    done = one.run("REJECTED")

    assert (done.rule, one.store.current(NAME).candidate) == ("version_refused", "")


def test_who_must_approve_is_asked(loop):
    one = loop(rules={"recalibrate": "approve"})
    one.harm()
    before = one.store.current(NAME).version
    one.ask()
    one.run("SHADOWING")
    one.shadow()

    done = one.run("PROPOSED")

    pointer = one.store.current(NAME)
    assert (pointer.version, pointer.candidate) == (before, "")
    assert done.candidate_version in one.store.versions(NAME)
    assert read(one.world.folder / "reports", done.id).ended is not None


def test_a_promotion_that_hurts_is_taken_back(loop):
    one = loop()
    one.harm()
    before = one.store.current(NAME).version
    one.ask()
    one.run("SHADOWING")
    one.shadow()
    promoted = one.run("WATCHING")
    one.live(scale=-1.0)

    done = one.run("ROLLED_BACK")

    pointer = one.store.current(NAME)
    assert (pointer.version, pointer.previous) == (before, promoted.candidate_version)
    assert one.parts.tally.promotions == {(NAME, "ok"): 1, (NAME, "rolled_back"): 1}
    assert done.rule in ("critical_on_new_reference", "error_above_shadow")
    told = read(one.world.folder / "reports", done.id)
    assert told.versions.in_force == before and told.after.error.mean > 2.0


def test_somebody_elses_promotion_ends_a_shadow(loop):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    other = one.store.add(*another(1))
    one.store.promote(NAME, other)

    done = one.run("REJECTED")

    assert done.rule == "changed_meanwhile"
    assert one.store.current(NAME).version == other


def test_somebody_elses_promotion_while_gathering_starts_clean(loop):
    one = loop()
    one.ask()
    one.tick()
    one.tick()
    other = one.store.add(*another(1))
    one.store.promote(NAME, other)
    one.harm()

    done = one.run("SHADOWING")

    assert done.model_version == other


def test_somebody_elses_rollback_ends_a_watch(loop):
    one = loop()
    one.harm()
    before = one.store.current(NAME).version
    one.ask()
    one.run("SHADOWING")
    one.shadow()
    one.run("WATCHING")
    one.store.rollback(NAME)

    done = one.run("DONE")

    assert (done.rule, one.store.current(NAME).version) == ("changed_meanwhile", before)


def test_a_second_action_within_the_cool_down_is_proposed(loop):
    one = loop()
    play(one)
    for replica in one.replicas:
        replica.states.clear()
    one.harm(scale=-2.0)
    one.ask(key="another")

    done = one.run("PROPOSED", "SHADOWING", "DONE")

    assert (done.state, done.rule) == (State.PROPOSED, "cool_down")


def test_a_corrupt_candidate_is_never_put_in_force(loop):
    one = loop()
    one.harm()
    before = one.store.current(NAME).version
    one.ask()
    one.run("SHADOWING")
    candidate = one.store.current(NAME).candidate
    path = one.store.folder / NAME / "versions" / candidate / "weights.npz"
    path.write_bytes(path.read_bytes()[:-7])
    one.shadow()

    done = one.run("FAILED")

    pointer = one.store.current(NAME)
    assert (pointer.version, pointer.candidate) == (before, "")
    assert "weights.npz" in done.fault
    assert one.parts.tally.reevaluations[NAME, "RECALIBRATE", "error"] == 1
    assert "weights.npz" in one.entries("FAILED")[0].detail


def test_a_store_that_cannot_be_written_fails_the_evaluation(loop):
    one = loop()
    one.harm()
    before = one.store.current(NAME)
    lock = one.store.folder / NAME / ".lock"
    one.ask()
    one.tick()
    lock.unlink(missing_ok=True)
    lock.mkdir()  # what root may not write either

    done = one.run("FAILED")

    assert "the store cannot be written" in done.fault
    assert one.store.current(NAME) == before
    assert one.parts.tally.reevaluations[NAME, "", "error"] == 0
    assert one.parts.tally.reevaluations[NAME, "NONE", "error"] == 1


def test_reports_that_cannot_be_written_fail_the_evaluation(loop):
    one = loop()
    one.harm()
    (one.world.folder / "reports").write_text("a file where a folder should be")
    one.ask()

    done = one.run("FAILED")

    assert "the report cannot be written" in done.fault
    assert one.store.current(NAME).candidate == ""


def test_a_ledger_that_cannot_be_written_stands_still_and_goes_on(loop):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    one.shadow()
    before = one.store.current(NAME)
    one.ledger._connection.execute("PRAGMA query_only = ON")
    for _ in range(4):
        one.tick(6.0)
    assert one.store.current(NAME) == before  # nothing is put in force off the record
    assert one.parts.tally.reevaluations[NAME, "RECALIBRATE", "error"] == 1

    one.ledger._connection.execute("PRAGMA query_only = OFF")

    assert one.run("WATCHING").state is State.WATCHING


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting is not allowed here; the test of an unwritable store must do")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path):
    """Leave no room on a disk."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.parametrize("state", ["GATHERING", "SHADOWING", "WATCHING"])
def test_a_full_disk_changes_nothing_and_room_mends_it(small_disk, state):
    one = Loop(small_disk)
    try:
        overfill(one, small_disk / "ballast", state)
    finally:
        one.close()


def overfill(one, ballast, state):
    """Let the disk be full from a state on, and then have room again."""
    one.harm()
    one.ask()
    if state != "GATHERING":
        one.run("SHADOWING")
        one.shadow()
    if state == "WATCHING":
        one.run("WATCHING")
        one.live(scale=-1.0)  # it has to be taken back
    before = one.store.current(NAME)
    fill(ballast)
    for _ in range(4):
        one.tick(6.0)
        fill(ballast)
    assert one.store.current(NAME) == before
    assert sum(n for (*_, outcome), n in one.parts.tally.reevaluations.items()
               if outcome == "error") == 1  # fmt: skip

    ballast.unlink()
    one.run("SHADOWING", "WATCHING", "ROLLED_BACK", "FAILED")
    if state == "GATHERING":
        one.shadow()
    done = one.run("WATCHING", "ROLLED_BACK", "FAILED")

    assert done.state is not State.FAILED, done.fault
    assert len(one.entries("PROMOTING")) == 1
    assert AuditLog(one.store.folder / "audit.sqlite").verify().fault == ""


def test_a_schedule_asks_once_an_interval(loop):
    one = loop(every=600.0)
    made = one.artifact().created.timestamp()
    one.time.ahead = made + 300.0 - one.time.now() + one.time.ahead
    one.tick()
    assert one.ledger.list(NAME).evaluations == []

    one.tick(301.0)
    (asked,) = one.ledger.list(NAME).evaluations
    assert asked.trigger is Trigger.SCHEDULE
    one.harm(scale=1.0)
    one.run("DONE")
    one.tick(590.0)
    assert len(one.ledger.list(NAME).evaluations) == 1
    one.tick(70.0)

    assert len(one.ledger.list(NAME).evaluations) == 2
    assert one.ledger.list("foundation").evaluations == []  # it brings no reference to judge by


@pytest.mark.parametrize("jump", [-86_400.0 * 30, 86_400.0 * 30])
def test_a_clock_that_jumps_opens_and_closes_nothing(loop, jump):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    one.time.ahead += jump
    for _ in range(3):
        one.tick(1.0)
    assert one.newest().state is State.SHADOWING  # its day is not over
    one.shadow()
    one.run("WATCHING")
    one.time.ahead -= jump
    one.live()

    done = one.run("DONE")

    assert done.action == "NOTHING"
    assert 0.0 < done.age_seconds < 120.0
    assert one.ledger.seconds_since_action(NAME) < 120.0


def test_a_version_without_a_reference_is_not_waited_for(loop):
    one = loop()
    evaluation = one.ledger.ask("foundation", Trigger.OPERATOR).evaluation_id
    for _ in range(5):
        one.tick(1.0)

    done = one.ledger.get(evaluation)
    assert (done.state, done.verdict) == (State.DONE, "INSUFFICIENT")
    assert "brings no reference" in done.sentence_en


def test_an_alert_of_a_model_that_went_away_fails_with_a_sentence(loop):
    one = loop()
    one.ask()
    shutil.rmtree(one.store.folder / NAME)

    assert "there is no such model" in one.run("FAILED").fault


def test_a_candidate_that_nobody_is_about_is_withdrawn(loop):
    one = loop()
    version = one.store.add(*another(1))
    one.store.nominate(NAME, version)

    one.tick()

    assert one.store.current(NAME).candidate == ""
    (entry,) = one.entries("candidate.withdrawn")
    assert version in entry.detail


def test_only_who_has_the_lease_acts_and_the_other_takes_over(loop, tmp_path):
    first, second = loop(), loop()
    second.replicas = first.replicas
    first.harm()
    for replica in second.world.replicas:
        replica.states = first.replicas[0].states
    first.tick()
    second.ask()  # whoever takes the webhook
    for _ in range(5):
        second.tick(1.0)
    assert second.newest().state is State.ASKED
    assert (first.lifecycle.is_leading, second.lifecycle.is_leading) == (True, False)
    first.run("SHADOWING")

    first.lease.release()  # as the kernel does when the process dies
    second.tick()

    assert second.lifecycle.is_leading
    for replica in second.world.replicas:
        replica.pairs[second.store.current(NAME).candidate] = paired_of(120)
    assert second.run("WATCHING").state is State.WATCHING
    assert len(second.entries("PROMOTING")) == 1


def killing(at):
    """Return a hook that kills at the n-th point, and the names of those it saw."""
    seen = []

    def reached(name):
        seen.append(name)
        if len(seen) == at:
            raise Killed(name)

    return reached, seen


def points_of(folder, is_harmful):
    """Return the names of all points of a whole evaluation, in order."""
    reached, seen = killing(0)
    one = Loop(folder, reached=reached)
    try:
        story(one, is_harmful)
    finally:
        one.close()
    return seen


def story(one, is_harmful):
    """Go the whole way from wherever the evaluation stands; return where it ended."""
    if not one.ledger.list(NAME).evaluations:
        one.ask()
    one.tick()
    while True:
        pointer, state = one.store.current(NAME), one.newest().state
        if state.is_finished:
            return one.newest()
        if pointer.version not in one.replicas[0].states:
            one.live(-1.0 if is_harmful else 2.0) if pointer.previous else one.harm()
        if pointer.candidate:
            one.shadow()
        one.time.seconds += max(one.lifecycle.tick(), 0.01)


@pytest.mark.parametrize("is_harmful", [False, True])
def test_killed_at_any_point_it_goes_on_and_never_promotes_twice(tmp_path, is_harmful):
    points = points_of(tmp_path / "dry", is_harmful)
    assert {"added", "nominate", "nominated", "promote", "promoted"} <= set(points)
    assert ("roll back" in points) is is_harmful
    for at in range(1, len(points) + 1):
        folder, clock = tmp_path / f"{at}", Time()
        shutil.copytree(
            tmp_path / "dry", folder, ignore=shutil.ignore_patterns("audit*", "reports")
        )
        fresh(folder)
        reached, _ = killing(at)
        one = Loop(folder, clock, reached=reached)
        first = one.store.current(NAME).version
        with pytest.raises(Killed, match=points[at - 1]):
            story(one, is_harmful)
        one.close()

        again = Loop(folder, clock)
        done = story(again, is_harmful)
        check(again, done, first, is_harmful, points[at - 1])
        again.close()


def fresh(folder):
    """Take a copied store back to its first version."""
    pointer = folder / "store" / NAME / "current"
    content = json.loads(pointer.read_text())
    first = sorted(
        (folder / "store" / NAME / "versions").iterdir(), key=lambda p: p.stat().st_mtime
    )
    content |= {"version": first[0].name, "previous": "", "candidate": "", "serial": 1}
    pointer.write_text(json.dumps(content))
    for left in first[1:]:
        shutil.rmtree(left)


def check(one, done, first, is_harmful, point):
    pointer = one.store.current(NAME)
    ends = State.ROLLED_BACK if is_harmful else State.DONE
    assert done.state is ends, point
    assert pointer.candidate == "", point
    assert pointer.version == (first if is_harmful else done.candidate_version), point
    # first version, nomination, promotion, and the way back: no step was done twice
    assert pointer.serial == 1 + 2 + is_harmful, point
    assert len(one.entries("PROMOTING")) == len(one.entries("WATCHING")) == 1, point
    told = read(one.world.folder / "reports", done.id)
    assert [s.state for s in told.history] == [*WHOLE_WAY[:-1], ends.value], point
    assert told.findings is not None, point
    assert len(reports(one.world.folder / "reports")) == 1, point
    assert AuditLog(one.store.folder / "audit.sqlite").verify().fault == "", point


def test_a_store_fault_while_watching_does_not_end_the_watch(loop):
    one = loop()
    one.harm()
    one.ask()
    one.run("SHADOWING")
    one.shadow()
    one.run("WATCHING")
    path = one.store.folder / NAME / "current"
    kept = path.read_bytes()
    path.write_bytes(b"{")
    for _ in range(3):
        one.tick(6.0)
    with pytest.raises(StoreError):
        one.store.current(NAME)
    assert one.newest().state is State.WATCHING
    assert one.parts.tally.reevaluations[NAME, "RECALIBRATE", "error"] == 1

    path.write_bytes(kept)
    one.live()

    assert one.run("DONE").state is State.DONE
