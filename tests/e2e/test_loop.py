"""The loop, closed: shift, alert, verdict, shadow, promotion, and the error is back.

Two replicas under load, a re-evaluator, real Prometheus and Alertmanager. The scale of every
column doubles about its mean; nobody does anything.
"""

import json
import shutil
import time
import urllib.request
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.store import Store
from service.audit import AuditLog
from service.demo_profile import NAME
from service.demo_shift import in_utc
from service.ledger import Ledger
from service.monitors import reference_of
from service.replay import read_hours
from tests.e2e.alerting import alerting, ask
from tests.e2e.bikes import profile_store
from tests.e2e.replay import Caller
from tests.e2e.stack import Reevaluator, Replica, tokens

pytestmark = pytest.mark.slow

LOOP_SECONDS = 90.0  # from the shift to an error that is normal again
WARM_SECONDS, RESOLVE_SECONDS = 90.0, 60.0
BACK = 1.25  # of normal
CALM_SECONDS = 8.0  # over which an error by the labels is taken
PROMPTS_PER_SECOND = 60.0
RULES = """
version: 1
defaults:
  minimum_prompts: 100
  shadow_prompts: 100
  watch_prompts: 150
  watch_prompts_min: 100
  cool_down_seconds: 0s
"""
FIRING = f'ALERTS{{action="reevaluate",alertstate="firing",model="{NAME}"}}'
GATE = f'model:sonoba_drift_gate:max{{model="{NAME}"}}'
IN_FORCE = "on (model, reference) max by (model, reference) (sonoba_drift_reference_info)"
MEANS = f'model:sonoba_drift_inflation:mean5m{{model="{NAME}"}} and {IN_FORCE}'


def until(found, seconds, what):
    ends = time.monotonic() + seconds
    while not (told := found()):
        assert time.monotonic() < ends, what() if callable(what) else what
        time.sleep(0.2)
    return told


@dataclass
class Story:
    """What happened, in seconds since the shift, and what was seen."""

    usual: float  # error by the labels before
    caller: Caller
    seconds: dict = field(default_factory=dict)  # by event
    harmed: float = 0.0  # error by the labels between shift and promotion
    after: float = 0.0  # the same after it
    live: dict = field(default_factory=dict)  # live means over normal, by channel, at the end
    evaluations: list = field(default_factory=list)
    report: dict = field(default_factory=dict)
    status: dict = field(default_factory=dict)
    before: str = ""
    in_force: str = ""


@pytest.fixture(scope="module")
def stack(tmp_path_factory, run_folder):
    """Run all of it, and a caller that asks both replicas."""
    if not shutil.which("prometheus") or not shutil.which("prometheus-alertmanager"):
        pytest.skip("prometheus or prometheus-alertmanager is not installed")
    folder, hours, restarts = tmp_path_factory.mktemp("loop"), read_hours(), []
    store = profile_store(run_folder, folder)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "alerting").mkdir()
    environ = tokens(folder) | {"SONOBA_STORE_POLL_SECONDS": "0.5"}
    replicas = [Replica(store, NAME, **environ).start() for _ in range(2)]
    files = {"RULES_FILE": folder / "rules.yaml", "REPORTS": folder / "reports"}
    environ |= {f"SONOBA_{name}": str(path) for name, path in files.items()}
    judge = Reevaluator(store, replicas, **environ).start()
    caller = Caller(hours, NAME, [f"127.0.0.1:{one.grpc_port}" for one in replicas], 0)
    caller.rate = PROMPTS_PER_SECOND
    targets = [f"127.0.0.1:{one.metrics_port}" for one in replicas]
    ours = [f"127.0.0.1:{judge.metrics_port}"]
    try:
        with alerting(
            folder / "alerting", targets, judge.webhook_url, ours, restarts
        ) as prometheus:
            yield SimpleNamespace(
                **{"folder": folder, "hours": hours, "store": store, "replicas": replicas},
                **{"judge": judge, "caller": caller, "prometheus": prometheus},
                **{"restarts": restarts, "reports": folder / "reports"},
            )
    finally:
        caller.stop()
        for one in (*replicas, judge):
            one.kill()


@pytest.fixture(scope="module")
def story(stack):
    found = stack.prometheus, stack.store, stack.replicas, stack.judge, stack.caller, stack.reports
    return play(*found)


@pytest.fixture(scope="module")
def interrupted(stack, story):
    """Shift again; kill and start everybody but the re-evaluator while a candidate is in shadow."""
    ledger, kept = Ledger(stack.store / "audit.sqlite"), Store(stack.store)
    stack.caller.change = lambda x: in_utc(x, stack.hours.features)

    def stands(*states):
        found = ledger.list(NAME).evaluations
        return [one for one in found[: -len(story.evaluations)] if str(one.state) in states]

    def told():
        return [(one.state, one.fault) for one in ledger.list(NAME).evaluations]

    (shadowing,) = until(lambda: stands("SHADOWING"), LOOP_SECONDS, told)
    for again in stack.restarts:
        again()
    stack.replicas[1].kill()
    stack.replicas[1].start()
    until(lambda: ledger.get(shadowing.id).state.is_finished, 2 * LOOP_SECONDS, told)
    entries = [one for one in AuditLog(stack.store / "audit.sqlite").entries() if one.model == NAME]
    return SimpleNamespace(
        before=story.in_force,
        pointer=kept.current(NAME),
        # Not the newest: an alert that fires again meanwhile, by right, may have begun the next.
        evaluation=ledger.get(shadowing.id),
        promotions=[one for one in entries if one.action == "PROMOTING"],
        checked=AuditLog(stack.store / "audit.sqlite").verify(),
    )


def play(prometheus, store, replicas, judge, caller, reports):
    """Warm up, shift, and wait for what nobody does by hand."""
    caller.start()
    until(lambda: ask(prometheus, GATE), WARM_SECONDS, "the gate is not warm")
    time.sleep(CALM_SECONDS)
    now = time.monotonic()
    told = Story(caller.error_between(now - CALM_SECONDS, now), caller)
    told.before = Store(store).current(NAME).version
    normal = reference_of(load_stored(store, NAME, fallback=load(FOUNDATION_FILE).model)).normal
    shifted = time.monotonic()
    caller.change = lambda x: normal.mean + 2.0 * (x - normal.mean)
    promoted = close(prometheus, store, judge, told, shifted)
    time.sleep(1.5)  # a poll of the store, until the page knows
    told.harmed = caller.error_between(shifted + 1.0, promoted - 1.0)
    told.after = caller.error_between(promoted + 1.0, time.monotonic())
    told.report = json.loads((reports / f"{told.evaluations[0].id}.json").read_text())
    page = f"http://127.0.0.1:{replicas[0].metrics_port}/status.json"
    with urllib.request.urlopen(page) as reply:
        told.status = json.load(reply)
    return told


def close(prometheus, store, judge, told, shifted):
    """Wait for every event of the loop; return when the new version first answered."""
    ledger, kept = Ledger(store / "audit.sqlite"), Store(store)

    def reach(event, found, seconds=LOOP_SECONDS):
        until(found, seconds, lambda: f"no {event}: {told.seconds}\n{''.join(judge.printed[-40:])}")
        told.seconds[event] = time.monotonic() - shifted

    def stands(*states):
        return [one for one in ledger.list(NAME).evaluations if str(one.state) in states]

    reach("alert", lambda: ask(prometheus, FIRING))
    reach("evaluation", lambda: ledger.list(NAME).evaluations)
    reach("shadow", lambda: stands("SHADOWING", "PROMOTING", "WATCHING", "DONE"))
    reach("promotion", lambda: kept.current(NAME).version != told.before)
    told.in_force = kept.current(NAME).version
    reach("answer", lambda: told.caller.errors[-1][2] == told.in_force)
    promoted = time.monotonic()
    reach("error back", lambda: is_back(prometheus))
    told.live = {one["channel"]: value for one, value in ask(prometheus, MEANS)}
    reach("resolved", lambda: not ask(prometheus, FIRING), RESOLVE_SECONDS)
    reach("end", lambda: stands("DONE", "ROLLED_BACK", "FAILED"), RESOLVE_SECONDS)
    told.evaluations = ledger.list(NAME).evaluations
    print({event: round(seconds, 1) for event, seconds in told.seconds.items()}, told.live)
    return promoted


def is_back(prometheus):
    """Return whether both channels of the reference in force are warm and near normal."""
    found = ask(prometheus, MEANS)
    is_warm = ask(prometheus, f"{GATE} and {IN_FORCE}")
    return len(found) == 2 and is_warm and all(value <= BACK for _, value in found)


def test_the_error_is_back_in_time(story):
    assert story.seconds["error back"] <= LOOP_SECONDS
    assert all(value <= BACK for value in story.live.values())


def test_the_error_by_the_labels_is_back_too(story):
    print(f"by the labels: {story.harmed / story.usual:.2f}, then {story.after / story.usual:.2f}")

    assert story.harmed > 2.0 * story.usual
    assert story.after <= BACK * story.usual


def test_no_call_failed(story):
    assert story.caller.answered > 1000
    assert story.caller.failed == 0


def test_the_alert_resolved(story):
    assert story.seconds["resolved"] - story.seconds["promotion"] <= RESOLVE_SECONDS


def test_one_evaluation_did_all_of_it(story):
    (evaluation,) = story.evaluations

    assert str(evaluation.state) == "DONE"
    assert story.report["findings"]["verdict"].startswith("RECALIBRATE")
    states = [step["state"] for step in story.report["history"]]
    assert states == ["ASKED", "GATHERING", "JUDGED", "SHADOWING", "PROMOTING", "WATCHING", "DONE"]
    assert story.report["shadow"]["gain"]["lower"] > 0.05
    assert story.report["versions"]["in_force"] == story.in_force


def test_the_page_of_a_replica_tells_it(story):
    assert story.status["last_evaluation"]["verdict"].startswith("RECALIBRATE")
    assert story.status["version"] == story.in_force


def test_restarts_in_the_middle_change_nothing_but_the_time(interrupted):
    assert str(interrupted.evaluation.state) == "DONE"
    assert interrupted.pointer.previous == interrupted.before
    assert interrupted.pointer.version == interrupted.evaluation.candidate_version
    assert len(interrupted.promotions) == 2  # one a shift
    assert interrupted.checked.fault == ""
