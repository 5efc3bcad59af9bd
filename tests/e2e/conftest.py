"""`sonoba serve` as its own process, as an operator runs it."""

import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest


def spawn(*flags, **environ):
    """Start `sonoba serve` on free ports; return the process and what it printed."""
    command = [sys.executable, "-m", "service.cli", "serve", *flags]
    variables = {"SONOBA_GRPC_PORT": "0", "SONOBA_METRICS_PORT": "0", "PYTHONPATH": "client"}
    return subprocess.Popen(
        command,
        env={**os.environ, **variables, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def process():
    """Start server processes; end each by its own pid."""
    started = []

    def start(*flags, **environ):
        child = spawn(*flags, **environ)
        started.append(child)
        printed = []
        for line in child.stdout:
            printed.append(line)
            if " predict " in line:
                break
        text = "".join(printed)
        grpc_port = int(re.search(r"predictions\s+127\.0\.0\.1:(\d+)", text)[1])
        metrics_port = int(re.search(r"http://127\.0\.0\.1:(\d+)/metrics", text)[1])
        return SimpleNamespace(
            child=child, printed=text, grpc_port=grpc_port, metrics_port=metrics_port
        )

    yield start
    for child in started:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.communicate()
