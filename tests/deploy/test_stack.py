"""`make stack` for real: four programs that know each other, and nothing left when it ends."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from deploy.stack.children import REPEAT_SECONDS
from deploy.stack.places import check_free, places_of
from deploy.stack.problem import Problem
from tests.deploy.stacking import ROOT, Stack, gone, needs_packages

pytestmark = pytest.mark.slow  # seconds, all together

PROGRAMS = ["sonoba", "reevaluator", "alertmanager", "prometheus"]
ALERT = {"alertname": "SonobaErrorInflationCritical", "action": "reevaluate", "model": "none"}
TOLD = 'alertmanager_notifications_total{integration="webhook"} 1'


def get(address, path="/"):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as error:
        return str(error.code)


def post(address, path, document):
    body, kind = json.dumps(document).encode(), {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"http://{address}{path}", body, kind)
    with urllib.request.urlopen(asked, timeout=5) as reply:
        return reply.status


def predicted(line):
    """Run the line that was printed for pasting; return what it prints."""
    done = subprocess.run(
        line, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout or done.stderr


def told_within(seconds, alertmanager):
    """Return Alertmanager's metrics, once it has told the webhook."""
    until = time.monotonic() + seconds
    while TOLD not in (text := get(alertmanager, "/metrics")) and time.monotonic() < until:
        time.sleep(0.2)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    needs_packages()
    return tmp_path_factory.mktemp("machine") / "stack"


@pytest.fixture(scope="module")
def seen(folder):
    """Start it, look at everything once, and end it as Ctrl-C does."""
    stack = Stack(folder, SONOBA_LAME_DUCK_SECONDS="0.1")
    try:
        line = stack.read_until(" predict ").strip()
        at = {name: stack.address(name) for name in ("status page", "reports", "Prometheus")}
        alertmanager, started = stack.address("Alertmanager"), stack.pids()
        post(alertmanager, "/api/v2/alerts", [{"labels": ALERT}])
        found = SimpleNamespace(
            targets=json.loads(get(at["Prometheus"], "/api/v1/targets"))["data"]["activeTargets"],
            rules=json.loads(get(at["Prometheus"], "/api/v1/rules"))["data"]["groups"],
            tells=json.loads(get(at["Prometheus"], "/api/v1/alertmanagers"))["data"],
            page=get(at["status page"]),
            reports=get(at["reports"], "/reports"),
            printed=predicted(line),
            other=refused(folder),
            alertmanager=alertmanager,
            notified=told_within(15, alertmanager),
            modes={path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.token")},
        )
        addresses = [*at.values(), alertmanager, stack.address("predictions")]
        found.listening = {address: listens(address) for address in addresses}
        found.status = stack.end(signal.SIGINT)
        found.said = "".join(stack.printed)
        found.are_gone, found.started = gone(started), started
        found.still = {address: listens(address) for address in addresses}
        yield found
    finally:
        stack.close()


def listens(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def refused(folder, **environ):
    """Run a stack that does not start; return its sentence."""
    stack = Stack(folder, **environ)
    try:
        status, pids = stack.ended(), stack.pids()
    finally:
        stack.close()

    assert (status, pids) == (1, [])
    return "".join(stack.printed)


def test_prometheus_sees_both_processes(seen):
    jobs = {one["labels"]["job"]: one["health"] for one in seen.targets}

    assert jobs == {"sonoba": "up", "sonoba-reevaluator": "up"}
    assert any(
        rule["name"] == ALERT["alertname"] for group in seen.rules for rule in group["rules"]
    )


def test_prometheus_tells_alertmanager(seen):
    (active,) = seen.tells["activeAlertmanagers"]

    assert active["url"] == f"http://{seen.alertmanager}/api/v2/alerts"


def test_an_alert_reaches_the_reevaluator_with_its_token(seen):
    assert TOLD in seen.notified
    assert 'alertmanager_notifications_failed_total{integration="webhook"} 0' in seen.notified


def test_the_line_for_pasting_predicts(seen):
    assert seen.printed.splitlines()[0].endswith(",prediction"), seen.printed
    assert len(seen.printed.splitlines()) == 7


def test_the_page_is_open_and_reports_are_not(seen):
    assert "<html" in seen.page
    assert seen.reports == "401"


def test_only_their_owner_reads_the_tokens(seen):
    assert seen.modes == {"admin.token": 0o600, "webhook.token": 0o600}


def test_a_second_one_in_the_same_folder_is_refused(seen, folder):
    assert seen.other == f"Error: STACK_FOLDER: another stack runs in {folder}\n"


def test_ctrl_c_ends_all_of_it_in_order(seen):
    ends = [f"{name} has ended" for name in reversed(PROGRAMS)]

    assert seen.status == 0
    assert seen.said.splitlines()[-4:] == ends  # none of them killed
    assert (len(seen.started), seen.are_gone) == (4, True)
    assert set(seen.listening.values()) == {True}
    assert set(seen.still.values()) == {False}


def test_it_starts_again_with_its_secrets_and_ends_before_it_is_ready(seen, folder):
    before = (folder / "admin.token").read_text()
    stack = Stack(folder, SONOBA_LAME_DUCK_SECONDS="0.1")
    try:
        stack.read_until("reevaluator is ready")
        started = stack.pids()
        status = stack.end(signal.SIGTERM)
    finally:
        stack.close()

    assert status == 0
    assert gone(started)
    assert (folder / "admin.token").read_text() == before


def test_a_second_signal_a_second_later_kills(folder):
    stack = Stack(folder, SONOBA_LAME_DUCK_SECONDS="60")
    try:
        stack.read_until("sonoba is ready")
        started = stack.pids()
        stack.child.send_signal(signal.SIGTERM)
        time.sleep(REPEAT_SECONDS + 2.0)  # a busy machine notes the first one late
        status = stack.end(signal.SIGTERM)
    finally:
        stack.close()

    assert status == 130
    assert "sonoba has ended, killed\n" in "".join(stack.printed)
    assert gone(started)


def test_what_it_started_does_not_outlive_it(folder):
    stack = Stack(folder, SONOBA_LAME_DUCK_SECONDS="0.1")
    try:
        stack.read_until("reevaluator is ready")
        started = stack.pids()
        stack.end(signal.SIGKILL)
    finally:
        stack.close()

    assert len(started) >= 2
    assert gone(started)


def test_a_taken_port_is_one_sentence_that_names_its_setting(tmp_path, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path / "stack", STACK_PROMETHEUS_PORT=str(port))

    assert said.startswith(f"Error: STACK_PROMETHEUS_PORT: cannot listen on 127.0.0.1:{port} for")
    assert "systemctl disable --now prometheus" in said


def test_a_program_that_cannot_start_ends_the_others_and_says_why(tmp_path, folder):
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 9\n")
    environ = {"SONOBA_RULES_FILE": str(rules), "SONOBA_LAME_DUCK_SECONDS": "0.1"}
    said = refused(tmp_path / "stack", **environ)

    assert "Error: reevaluator ended by itself with status 1" in said
    assert "rules_file: " in said
    assert "sonoba has ended" in said


def test_missing_packages_are_named_with_the_line_that_installs_them(tmp_path):
    said = refused(tmp_path / "stack", PATH=str(tmp_path))

    assert said.startswith("Error: not installed: prometheus, prometheus-alertmanager; on Debian")
    assert "apt-get install" in said


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"STACK_PORT": "1"}, "STACK_PORT: expected one of STACK_OPERATIONS_PORT, "),
        ({"SONOBA_GRPC_PROT": "1"}, "SONOBA_GRPC_PROT: no such setting; did you mean"),
        ({"SONOBA_WORKERS": "2"}, "SONOBA_WORKERS: expected 1, got 2"),
        ({"SONOBA_HOST": "0.0.0.0"}, "SONOBA_HOST: expected an address of this machine alone"),
        (
            {"STACK_PROMETHEUS_PORT": "9", "STACK_ALERTMANAGER_PORT": "9"},
            "STACK_ALERTMANAGER_PORT: expected another port than STACK_PROMETHEUS_PORT, got 9",
        ),
    ],
    ids=["unknown", "misspelt", "workers", "open to others", "twice"],
)
def test_what_it_cannot_do_is_a_sentence(environ, sentence):
    with pytest.raises(Problem) as problem:
        check_free(places_of(environ).ports)

    assert str(problem.value).startswith(sentence)


def test_make_runs_what_is_tested_here():
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "stack"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == ".venv/bin/python -m deploy.stack"
