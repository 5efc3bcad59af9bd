"""The stack as its own process, as `make stack` runs it, on free ports."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import machine

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("SONOBA_GRPC", "SONOBA_METRICS", "SONOBA_ADMIN", "SONOBA_WEBHOOK")
NAMES += ("STACK_OPERATIONS", "STACK_REEVALUATOR_METRICS", "STACK_PROMETHEUS", "STACK_ALERTMANAGER")
FREE = {f"{name}_PORT": "0" for name in NAMES}


def needs_packages():
    """Skip where Prometheus or Alertmanager is not installed."""
    if not shutil.which("prometheus") or not shutil.which("prometheus-alertmanager"):
        pytest.skip("prometheus or prometheus-alertmanager is not installed")


class Stack:
    """One run of the stack."""

    def __init__(self, folder, **environ):
        self.folder, self.printed = folder, []
        self.child = subprocess.Popen(
            [sys.executable, "-m", "deploy.stack"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "client", **FREE, "STACK_FOLDER": folder, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, text):
        """Read what it says until a line has a text; return that line."""
        for line in self.child.stdout:
            self.printed.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.printed))

    def address(self, name):
        """Return an address by the word before it."""
        return re.search(rf"^  {name} +(?:http://)?([\d.]+:\d+)", "".join(self.printed), re.M)[1]

    def pids(self):
        """Return the process ids of what it started."""
        return machine.children(self.child.pid)

    def end(self, number):
        """Send a signal; return the exit status."""
        self.child.send_signal(number)
        return self.ended()

    def ended(self):
        """Read the rest; return the exit status."""
        rest, _ = self.child.communicate(timeout=60)
        self.printed.append(rest)
        return self.child.returncode

    def close(self):
        """Leave nothing behind, whatever a test has found."""
        if self.child.poll() is None:
            for pid in [self.child.pid, *self.pids()]:
                os.kill(pid, signal.SIGKILL)
        self.child.communicate()


def gone(pids, seconds=60.0):
    """Return whether processes end within some seconds."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]:
        if time.monotonic() > until:
            return left == []
        time.sleep(0.1)
    return True
