"""`sonoba serve --workers` as its own process, and what it tells of its workers."""

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench import machine
from tests.e2e.conftest import spawn

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Fleet:
    """A supervisor with workers on free ports."""

    def __init__(self, *flags, workers=2, **environ):
        self.child = spawn("--workers", str(workers), *flags, **environ)
        printed = []
        for line in self.child.stdout:
            printed.append(line)
            if " predict " in line:
                break
        self.printed = "".join(printed)
        if not printed:
            raise AssertionError(self.child.stderr.read())
        self.address = re.search(r"predictions\s+(127\.0\.0\.1:\d+)", self.printed)[1]
        self.url = re.search(r"(http://127\.0\.0\.1:\d+)/sd", self.printed)[1]

    def get(self, path, url=""):
        """Return the body of a page of the supervisor, or of another address."""
        try:
            with urllib.request.urlopen(f"{url or self.url}{path}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def json(self, path):
        return json.loads(self.get(path))

    def worker_targets(self):
        """Return the addresses of the workers' metrics by number, as discovery tells them."""
        found = [one for one in self.json("/sd") if "worker" in one["labels"]]
        return {int(one["labels"]["worker"]): one["targets"][0] for one in found}

    def pids(self):
        """Return the process ids of the workers."""
        return sorted(machine.children(self.child.pid))

    def pid_of(self, number):
        """Return the process id of one worker, as it is told to it."""
        return next(
            pid
            for pid in self.pids()
            if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[-2] == str(number)
        )

    def stop(self, seconds=30):
        """Ask all to stop; return the exit status."""
        self.child.send_signal(signal.SIGTERM)
        self.child.communicate(timeout=seconds)
        return self.child.returncode

    def kill(self):
        """Leave nothing behind."""
        if self.child.poll() is None:
            for pid in [*self.pids(), self.child.pid]:
                os.kill(pid, signal.SIGKILL)
        self.child.communicate()


def samples(text, name):
    """Return the values of one family by the text of their labels."""
    return {labels: float(value) for found, labels, value in SAMPLE.findall(text) if found == name}


def until(found, seconds=20.0):
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if it := found():
            return it
        time.sleep(0.1)
    raise AssertionError("it did not come")


def is_alive(pid):
    """Return whether a process runs; one that has ended, and nobody asked of, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
