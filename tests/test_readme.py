"""Every command of the README, run as a reader would run it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh serve|sh|python|text)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()]
(SERVE,) = [body.strip() for kind, body in BLOCKS if kind == "sh serve"]
(PROGRAM,) = [body for kind, body in BLOCKS if kind == "python"]
(PRINTED,) = [body for kind, body in BLOCKS if kind == "text"]

# These start this very test run again, or take minutes; their recipes are resolved here and run by
# .ci/run (test, check), tests/service (test_demo, test_training: pretrain), tests/assess (assess)
# and tests/bench (bench).
BY_RECIPE = {
    *("make test", "make test-fast", "make check"),
    *("make bench", "make accuracy", "make pretrain", "make demo", "make assess"),
}
needs_make = pytest.mark.skipif(
    shutil.which("make") is None or not (ROOT / ".venv/bin/sonoba").exists(),
    reason="the README's commands need make and the .venv it makes",
)


def run(command, seconds=240):
    return subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.fixture(scope="module")
def serving():
    """What `make serve` prints; the server runs on the default ports, as the README says."""
    for port in (50051, 9464):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is taken by another program")
    child = subprocess.Popen(
        SERVE.split(), cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    printed = []
    for line in child.stdout:
        printed.append(line)
        if " predict " in line:
            break
    yield "".join(printed)
    os.killpg(child.pid, signal.SIGINT)
    child.wait(timeout=30)
    child.stdout.close()


@needs_make
@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in BY_RECIPE])
def test_a_command_beside_the_server_works_word_by_word(serving, command):
    if command.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    done = run(command)

    assert done.returncode == 0, done.stderr
    if " predict " in command:
        assert command in serving.replace(" --address 127.0.0.1:50051", "")
        assert done.stdout.splitlines()[0].endswith(",prediction")
    if command.startswith("curl"):
        for family in re.findall(r"`((?:grpc_server|sonoba)_[a-z_]+)", README):
            assert f"# TYPE {family}" in done.stdout, family


@needs_make
@pytest.mark.slow
def test_the_program_prints_what_is_shown(serving):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT / "client",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTED


@needs_make
@pytest.mark.parametrize("command", sorted(BY_RECIPE))
def test_a_recipe_can_be_resolved(command):
    done = run(command.replace("make", "make -n", 1))

    assert command in COMMANDS
    assert done.returncode == 0, done.stderr


def test_continuous_integration_calls_the_readmes_test_command():
    assert re.search(r"^make test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert "make test" in COMMANDS


def test_the_table_of_settings_is_the_settings_own():
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if default in ((), None) else f"`{default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")

    assert "\n".join(rows) in README


def test_every_link_into_the_repository_leads_somewhere():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
