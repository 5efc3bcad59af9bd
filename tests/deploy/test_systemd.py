"""deploy/systemd: units that systemd accepts, and whose programs do with the rights they leave.

systemd itself starts nothing here. What stands in for it are its own verifier, and the same
command and settings as a process without new privileges, without writable and executable memory,
whose system calls are compared with those that the unit allows.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.settings import Settings
from tests.deploy.confined import PR_GET_MDWE
from tests.deploy.test_dashboard_live import free_port
from tests.deploy.units import (
    NAMES,
    PROGRAM,
    ROOT,
    UNITS,
    allowed,
    environment,
    exposure,
    read,
    surroundings,
    verify,
)

MOST = {"sonoba": 14, "sonoba-reevaluator": 15}  # tenths of systemd's ten points of exposure
CONFINED = (sys.executable, Path(__file__).with_name("confined.py"))
COMMANDS = {"sonoba": "serve", "sonoba-reevaluator": "reevaluator"}
HEALTH = {"sonoba": ("GRPC", "Predictor"), "sonoba-reevaluator": ("ADMIN", "Operations")}


def text_of(name):
    return (UNITS / f"{name}.service").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_systemd_accepts_the_unit(name, tmp_path):
    ran = verify(text_of(name), tmp_path, f"{name}.service")

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NoNewPrivileges=yes", "NoNewPrivilege=yes"),
        ("TimeoutStopSec=40", "TimeoutStopSec=forty"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@system-servant"),
    ],
)
def test_systemd_finds_a_planted_fault(old, new, tmp_path):
    ran = verify(text_of("sonoba").replace(old, new), tmp_path)

    assert new.partition("=")[0] in ran.stderr or new.partition("=")[2] in ran.stderr


@pytest.mark.parametrize("name", NAMES)
def test_little_of_the_machine_is_exposed(name):
    ran = exposure(text_of(name), MOST[name])

    assert ran.returncode == 0, ran.stdout[-200:]


@pytest.mark.parametrize("line", ["CapabilityBoundingSet=", "ProtectSystem=strict"])
def test_a_right_that_is_not_taken_away_is_found(line):
    text = text_of("sonoba").replace(f"{line}\n", "")

    assert exposure(text, MOST["sonoba"]).returncode != 0


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_starts_our_program_with_settings_that_are_known(name, tmp_path):
    unit, environ = read(name), environment(name, tmp_path)
    settings = Settings.from_environ(environ)

    assert unit["ExecStart"] == [f"{PROGRAM} {COMMANDS[name]}"]
    credentials = {line.partition(":")[0] for line in unit["LoadCredential"]}
    used = [value for value in environ.values() if value.startswith(f"{tmp_path}/")]
    assert {f"{tmp_path}/{one}" for one in credentials} <= set(used)
    patience = float(unit["TimeoutStopSec"][0])
    needed = settings.lame_duck_seconds + settings.drain_seconds if name == "sonoba" else 5.0
    assert patience >= needed + 10.0
    assert unit["Restart"] == ["on-failure"]


def test_the_units_do_not_meet_on_a_port(tmp_path):
    server, judge = (Settings.from_environ(environment(name, tmp_path)) for name in NAMES)
    ours = [server.grpc_port, server.metrics_port, server.admin_port]
    theirs = [judge.admin_port, judge.metrics_port, judge.webhook_port]

    assert len(set(ours + theirs)) == 6
    assert judge.replicas == (f"127.0.0.1:{server.admin_port}",)


def test_the_folders_belong_to_the_user_of_the_units():
    made = (UNITS / "sonoba.tmpfiles.conf").read_text(encoding="utf-8")
    (user,) = re.findall(r"^u (\w+) ", (UNITS / "sonoba.sysusers.conf").read_text(), re.M)
    owned = re.findall(rf"^d (\S+) 0750 {user} {user} -$", made, re.M)

    assert {read(name)["User"][0] for name in NAMES} == {user}
    state = read("sonoba-reevaluator")["StateDirectory"][0].split()
    assert [f"/var/lib/{folder}" for folder in state] == owned


def test_every_file_is_installed_by_the_documentation():
    document = (ROOT / "docs/one-machine.md").read_text(encoding="utf-8")

    assert [
        one.name for one in UNITS.iterdir() if f"deploy/systemd/{one.name}" not in document
    ] == []


class Unit:
    """The command of a unit as a process, with its settings, its rights, and other ports."""

    def __init__(self, name, folder, **environ):
        self.name, self.calls = name, folder / f"{name}.calls"
        self.environ = surroundings(name, folder, **environ)
        self.child = subprocess.Popen(
            [*CONFINED, "strace", "-f", "-c", "-o", self.calls, sys.executable, "-m",
             "service.cli", COMMANDS[name]],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )  # fmt: skip

    def is_healthy(self):
        port, service = HEALTH[self.name]
        asked = subprocess.run(
            [sys.executable, "-m", "service.cli", "health", "--service", f"sonoba.v1.{service}",
             "--port", self.environ[f"SONOBA_{port}_PORT"]],
            cwd=ROOT, env=self.environ, capture_output=True, check=False,
        )  # fmt: skip
        return asked.returncode == 0

    def kill(self):
        """End both: a program whose strace is killed alone lives on, and holds the pipe."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.communicate()

    def end(self):
        """Ask the program, not strace, to end; return its exit status and its system calls."""
        (pid,) = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        subprocess.run(["kill", "-TERM", pid], check=True)
        self.child.communicate(timeout=60)
        rows = [line.split() for line in self.calls.read_text().splitlines()]
        return self.child.returncode, {row[-1] for row in rows[2:-2]}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run both programs, predict once, end both; return status and calls of each."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel is older than 6.3: it refuses no executable memory")
    folder, units = tmp_path_factory.mktemp("units"), []
    (folder / "var/lib/sonoba/store").mkdir(parents=True)
    for name in ("admin", "webhook"):
        (folder / f"{name}.token").write_text(f"a-token-of-the-test-{name}\n")
        (folder / f"{name}.token").chmod(0o400)
    ports = [str(free_port()) for _ in range(6)]
    server = dict(zip(("GRPC_PORT", "METRICS_PORT", "ADMIN_PORT"), ports, strict=False))
    judge = dict(zip(("ADMIN_PORT", "METRICS_PORT", "WEBHOOK_PORT"), ports[3:], strict=True))
    judge["REPLICAS"] = f"127.0.0.1:{ports[2]}"
    try:
        for name, chosen in zip(NAMES, (server, judge), strict=True):
            environ = {f"SONOBA_{variable}": value for variable, value in chosen.items()}
            units.append(Unit(name, folder, **environ))
            until(units[-1].is_healthy, units[-1].child)
        predicted = predict(ports[0])
        yield predicted, {unit.name: unit.end() for unit in reversed(units)}
    finally:
        for unit in units:
            unit.kill()


def until(found, child, seconds=60.0):
    ends = time.monotonic() + seconds
    while not found():
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < ends, "it never became healthy"


def predict(port):
    data = "service/demo_data"
    words = ["predict", "--context", f"{data}/context.csv", "--target", "log_bikers"]
    words += ["--query", f"{data}/query.csv", "--address", f"127.0.0.1:{port}"]
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", *words],
        cwd=ROOT,
        env=surroundings("sonoba", Path("/x")),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


@pytest.mark.slow
def test_programs_do_with_the_rights_of_their_units(ran):
    predicted, ended = ran

    assert predicted.splitlines()[0].endswith(",prediction")
    assert {name: status for name, (status, _) in ended.items()} == dict.fromkeys(NAMES, 0)
    for name, (_, calls) in ended.items():
        assert "execve" in calls and "epoll_wait" in calls
        assert calls - allowed(name) == set()


@pytest.mark.slow
def test_a_call_that_a_unit_forbids_is_told_apart(ran):
    assert {"mount", "ptrace", "reboot", "bpf", "chroot"} & allowed("sonoba") == set()
    assert "sched_setaffinity" in allowed("sonoba") - allowed("sonoba-reevaluator")
