"""A server as a caller meets it: a process that says where it listens."""

import os
import re
import signal
import subprocess
import sys

import grpc
import pytest

from tests.calling.document import ROOT

COMMAND = [sys.executable, "-m", "service.cli", "serve", "--grpc-port", "0", "--metrics-port", "0"]


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Start `sonoba serve` on free ports and give its address."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    path = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    env = {name: value for name, value in os.environ.items() if not name.startswith("SONOBA_")}
    env["PYTHONPATH"] = path
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            COMMAND, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        lines = (re.match(r"\s*predictions\s+(\S+:\d+)", line) for line in server.stdout)
        found = next(filter(None, lines), None)
        assert found, log.read_text(encoding="utf-8")
        yield found[1]
        server.send_signal(signal.SIGINT)
        server.stdout.read()  # to the end, so that it never waits for a reader


@pytest.fixture(scope="session")
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel
