"""The commands of docs/reevaluation.md, word by word, on free ports."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from tests.calling.document import named_blocks
from tests.deploy.test_dashboard_live import free_port
from tests.e2e.bikes import profile_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = named_blocks((ROOT / "docs/reevaluation.md").read_text(encoding="utf-8"))
PORTS = ("50052", "50053", "8085", "9465")
IMPATIENT = "version: 1\ndefaults: {gather_seconds_max: 1s}\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory, run_folder):
    """Run the first two blocks; return what runs a block, the folder and the ports."""
    folder = tmp_path_factory.mktemp("machine")
    profile_store(run_folder, folder)
    (folder / "rules.yaml").write_text(IMPATIENT)
    (folder / "sonoba").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service.cli "$@"\n')
    (folder / "sonoba").chmod(0o755)
    ports = {port: str(free_port()) for port in PORTS}
    environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    environ |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"}
    environ |= {"SONOBA_RULES_FILE": "rules.yaml", "SONOBA_ADMIN_PORT": ports["50052"]}
    environ |= {f"SONOBA_{name}_PORT": str(free_port()) for name in ("GRPC", "METRICS")}

    def run(name, *, printed=subprocess.PIPE, after=""):
        text = re.sub("|".join(PORTS), lambda found: ports[found[0]], BLOCKS[name])
        with (folder / "log").open("a") as log:
            return subprocess.run(
                ["bash", "-ec", text + after],
                cwd=folder,
                env=environ,
                stdout=printed,
                stderr=log,
                text=True,
                timeout=60,
            )

    run("secrets")
    children = begin(folder, run)
    yield run, folder, ports
    for pid in children:
        os.kill(pid, signal.SIGTERM)


def begin(folder, run):
    """Start the processes of the document; return their pids once they answer."""
    path = folder / "printed"
    with path.open("w") as printed:
        run("processes", printed=printed, after="\njobs -p >pids")
    ends = time.monotonic() + 60.0
    while not ("/reports" in (said := path.read_text()) and "predict " in said):
        assert time.monotonic() < ends, said + (folder / "log").read_text()
        time.sleep(0.1)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_the_secrets_are_only_ours(machine):
    _, folder, _ = machine

    for name in ("admin.token", "webhook.token"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert len((folder / name).read_text().strip()) == 32


def test_a_first_look_waits_and_tells(machine):
    run, folder, _ = machine

    done = run("look")

    assert done.returncode == 0, (folder / "log").read_text()
    assert "verdict    INSUFFICIENT (FEW_PROMPTS)" in done.stdout
    assert "There were too few prompts to judge: 0." in done.stdout
    assert "bikes" in done.stdout and "profile" in done.stdout


def test_the_report_needs_a_name_and_the_token(machine):
    _, folder, ports = machine
    url = f"http://127.0.0.1:{ports['8085']}/reports"
    token = (folder / "admin.token").read_text().strip()

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    with refused.value as answer:
        assert answer.code == 401
    basic = b64encode(f"an owner:{token}".encode()).decode()
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Authorization": f"Basic {basic}"})
    ) as reply:
        assert "bikes" in reply.read().decode()
