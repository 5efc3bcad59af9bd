"""`sonoba reevaluator` as processes: killed at every state, two at once, and what stops a start.

Two replicas answer real prompts whose covariates' scale has doubled; an alert is posted as
Alertmanager posts it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.store import Store
from service.audit import AuditLog
from service.cli import cli
from service.demo_profile import NAME
from service.lease import Lease
from service.ledger import Ledger
from service.monitors import reference_of
from service.replay import read_hours
from service.report import read
from tests.e2e.alerting import TOKEN
from tests.e2e.bikes import profile_store
from tests.e2e.replay import Caller
from tests.e2e.stack import Reevaluator, Replica, tokens

pytestmark = pytest.mark.slow

RULES = """
version: 1
defaults:
  minimum_prompts: 100
  shadow_prompts: 100
  watch_prompts: 150
"""
POINTS = [
    *("moved GATHERING", "added", "moved JUDGED", "nominate", "nominated", "moved SHADOWING"),
    *("moved PROMOTING", "promote", "promoted", "moved WATCHING"),
]
STEP_SECONDS = 60.0


class Dying(Reevaluator):
    """One that kills itself at a point."""

    def die(self, point):
        command = [sys.executable, "-m", "tests.e2e.dying", point]
        environ = {**os.environ, "PYTHONPATH": f"client{os.pathsep}.", **self._environ}
        child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        try:
            child.communicate(timeout=STEP_SECONDS)
        finally:
            child.kill()
        return child.returncode


@pytest.fixture(scope="module")
def stage(tmp_path_factory, run_folder):
    """Return a store with its replicas, prompts that harm, and what a re-evaluator needs."""
    folder, hours = tmp_path_factory.mktemp("reevaluator"), read_hours()
    store = profile_store(run_folder, folder)
    (folder / "rules.yaml").write_text(RULES)
    environ = tokens(folder) | {"SONOBA_STORE_POLL_SECONDS": "0.5"}
    replicas = [Replica(store, NAME, **environ).start() for _ in range(2)]
    environ["SONOBA_RULES_FILE"] = str(folder / "rules.yaml")
    environ["SONOBA_REPORTS"] = str(folder / "reports")
    caller = Caller(hours, NAME, [f"127.0.0.1:{one.grpc_port}" for one in replicas], 0)
    caller.rate = 60.0
    normal = reference_of(load_stored(store, NAME, fallback=load(FOUNDATION_FILE).model)).normal
    caller.change = lambda x: normal.mean + 2.0 * (x - normal.mean)
    caller.start()
    made = SimpleNamespace(
        folder=folder, store=Store(store), replicas=replicas, environ=environ, caller=caller
    )
    yield made
    caller.stop()
    for one in replicas:
        one.kill()


@pytest.fixture
def reevaluator(stage):
    """Start re-evaluators; end each by its own pid."""
    made = []

    def start(**environ):
        made.append(Dying(stage.store.folder, stage.replicas, **stage.environ, **environ).start())
        return made[-1]

    yield start
    for one in made:
        one.kill()


def post(url, fingerprint="c9a8d7e6", token=TOKEN, status="firing", began=None):
    labels = {"alertname": "SonobaErrorInflationCritical", "severity": "critical"}
    alert = {
        "status": status,
        "labels": labels | {"model": NAME, "action": "reevaluate"},
        "startsAt": (began or datetime.now(UTC)).isoformat(),
        "fingerprint": fingerprint,
    }
    body = json.dumps({"version": "4", "alerts": [alert]}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def metric(one, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{one.metrics_port}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines
            if line.startswith(name)}  # fmt: skip


def until(found, seconds=STEP_SECONDS):
    ends = time.monotonic() + seconds
    while not (told := found()):
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.1)
    return told


@pytest.fixture(scope="module")
def survived(stage):
    """Kill -9 one process after another at every point of one evaluation, then let one live."""
    one = Dying(stage.store.folder, stage.replicas, **stage.environ)
    ledger, first = Ledger(stage.store.folder / "audit.sqlite"), stage.store.current(NAME)
    lease = Lease(stage.store.folder / ".reevaluator.lock")
    assert lease.take()  # so that the first one only takes the alert
    one.start()
    assert post(one.webhook_url) == 200
    one.kill()
    lease.release()
    died = [(point, one.die(point)) for point in POINTS]
    one.start()
    began = datetime.now(UTC)
    posted = [post(one.webhook_url, began=began) for _ in range(50)]  # while it is watched
    (evaluation,) = ledger.list(NAME).evaluations
    until(lambda: ledger.get(evaluation.id).state.is_finished)
    until(lambda: read(stage.folder / "reports", evaluation.id).ended)  # a moment later
    until(lambda: stage.store.told(NAME))
    told = SimpleNamespace(
        died=died,
        posted=posted,
        first=first,
        evaluation=ledger.get(evaluation.id),
        evaluations=ledger.list(NAME).evaluations,
        pointer=stage.store.current(NAME),
        report=read(stage.folder / "reports", evaluation.id),
        counted=metric(one, "sonoba_"),
    )
    one.kill()
    ledger.close()
    return told


def test_every_process_died_where_it_should(survived):
    assert survived.died == [(point, -signal.SIGKILL) for point in POINTS]


def test_the_evaluation_went_on_through_all_deaths(survived):
    assert survived.evaluation.state == "DONE", survived.evaluation
    states = [step.state for step in survived.report.history]
    whole = ["ASKED", "GATHERING", "JUDGED", "SHADOWING", "PROMOTING", "WATCHING", "DONE"]
    assert states == whole
    assert survived.report.findings.verdict.startswith("RECALIBRATE")


def test_nothing_was_promoted_twice(stage, survived):
    pointer = survived.pointer
    assert pointer.version == survived.evaluation.candidate_version
    assert pointer.previous == survived.first.version
    assert pointer.candidate == ""
    assert pointer.serial == survived.first.serial + 2  # a nomination and a promotion
    log = AuditLog(stage.store.folder / "audit.sqlite")
    assert sum(one.action == "PROMOTING" for one in log.entries(NAME)) == 1
    assert log.verify().fault == ""


def test_fifty_deliveries_make_no_second_evaluation(survived):
    assert survived.posted == [200] * 50
    assert len(survived.evaluations) == 1


def test_no_call_failed_meanwhile(stage, survived):
    assert stage.caller.answered > 500
    assert stage.caller.failed == 0


def test_metrics_are_there_from_the_start(survived):
    counted = survived.counted
    assert counted['sonoba_reevaluations_total{model="bikes",outcome="error",verdict="KEEP"}'] == 0
    assert counted['sonoba_last_reevaluation_timestamp_seconds{model="foundation"}'] == 0
    last = counted['sonoba_last_reevaluation_timestamp_seconds{model="bikes"}']
    assert last == pytest.approx(time.time(), abs=300.0)
    assert counted["sonoba_reevaluator_leading"] == 1


def test_two_at_once_one_acts_and_the_other_takes_over(stage, survived, reevaluator):
    first = reevaluator()
    until(lambda: metric(first, "sonoba_reevaluator_leading") == {"sonoba_reevaluator_leading": 1})
    second = reevaluator()
    assert post(second.webhook_url, "of-two") == 200  # either takes alerts
    ledger = Ledger(stage.store.folder / "audit.sqlite")
    until(
        lambda: ledger.list(NAME).evaluations[0].state != "ASKED"
    )  # and the one with the lease acts
    assert metric(second, "sonoba_reevaluator_leading") == {"sonoba_reevaluator_leading": 0}

    first.kill()

    until(lambda: metric(second, "sonoba_reevaluator_leading") == {"sonoba_reevaluator_leading": 1})
    until(lambda: ledger.list(NAME).evaluations[0].state.is_finished)
    assert AuditLog(stage.store.folder / "audit.sqlite").verify().fault == ""
    ledger.close()


def test_who_stands_by_changes_nothing_for_an_operator(stage, survived, reevaluator):
    first, second = reevaluator(), reevaluator()
    until(lambda: metric(first, "sonoba_reevaluator_leading") == {"sonoba_reevaluator_leading": 1})
    asked = ["models", "rollback", NAME, "--reason", "a test"]
    asked += ["--token-file", stage.environ["SONOBA_ADMIN_TOKEN_FILE"]]

    refused = CliRunner().invoke(cli, [*asked, "--address", f"127.0.0.1:{second.admin_port}"])
    done = CliRunner().invoke(cli, [*asked, "--address", f"127.0.0.1:{first.admin_port}"])

    assert (refused.exit_code, "stands by" in refused.output) == (1, True)
    assert done.exit_code == 0, done.output
    assert stage.store.current(NAME).version == survived.first.version
    until(lambda: stage.caller.errors[-1][2] == survived.first.version)


def test_a_wrong_token_or_a_resolved_alert_asks_for_nothing(stage, survived, reevaluator):
    one = reevaluator()
    ledger = Ledger(stage.store.folder / "audit.sqlite")
    before = len(ledger.list(NAME).evaluations)

    assert post(one.webhook_url, "new", token="another-token-of-16") == 401
    assert post(one.webhook_url, "new", status="resolved") == 200

    assert len(ledger.list(NAME).evaluations) == before
    ledger.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_five_seconds(stage, reevaluator, number):
    one = reevaluator()
    idle = threading.Event()
    idle.wait(0.5)
    began = time.monotonic()

    one.child.send_signal(number)

    assert one.child.wait(10.0) == 0
    assert time.monotonic() - began < 5.0


FAULTS = [
    ({"SONOBA_STORE": None}, "store: expected the folder that servers read, got none"),
    ({"SONOBA_STORE": "s3://bucket/x"}, "store: expected a folder on this machine, got s3://"),
    (
        {"SONOBA_REPLICAS": ""},
        "replicas: expected host:port of every server's admin port, got none",
    ),
    ({"SONOBA_REPLICAS": "localhost"}, "replicas: expected host:port, got 'localhost'"),
    ({"SONOBA_ADMIN_TOKEN_FILE": None}, "admin_token_file: expected a file whose first line"),
    ({"SONOBA_WEBHOOK_TOKEN_FILE": None}, "webhook_token_file: expected a file whose first line"),
    ({"SONOBA_WEBHOOK_TOKEN_FILE": "/none"}, "webhook_token_file: /none: No such file"),
    ({"SONOBA_RULES_FILE": "/none"}, "rules_file: /none: no such file or directory"),
    ({"SONOBA_STOER": "x"}, "SONOBA_STOER: no such setting; did you mean SONOBA_STORE?"),
]


def failing(stage, **changes):
    """Return what a re-evaluator says that does not start."""
    environ = {**os.environ, "PYTHONPATH": "client", **stage.environ}
    environ |= {"SONOBA_STORE": str(stage.store.folder), "SONOBA_REPLICAS": "127.0.0.1:1"}
    environ |= {f"SONOBA_{name}_PORT": "0" for name in ("WEBHOOK", "METRICS", "ADMIN")}
    for name, value in changes.items():
        environ.pop(name, None)
        if value is not None:
            environ[name] = value
    command = [sys.executable, "-m", "service.cli", "reevaluator"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("changes", "sentence"), FAULTS)
def test_what_keeps_it_from_working_is_one_sentence(stage, changes, sentence):
    assert f"Error: {sentence}" in failing(stage, **changes)


@pytest.mark.parametrize("name", ["webhook", "metrics", "admin"])
def test_a_port_in_use_is_one_sentence(stage, reevaluator, name):
    number = getattr(reevaluator(), f"{name}_port")

    said = failing(stage, **{f"SONOBA_{name.upper()}_PORT": str(number)})

    assert f"Error: {name}_port: cannot listen on 127.0.0.1:{number}" in said
