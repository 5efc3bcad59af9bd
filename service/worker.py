"""One server process of several, as its supervisor sees it: started, heard, ended.

Started by executing a new interpreter, never by forking: gRPC's threads do not survive a fork.
What it is to do travels in its environment (service/handed.py).
"""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import NamedTuple

from service.handed import command
from service.worker_line import Failed, Started, read


class Told(NamedTuple):
    """What a process said, or (None) that it has ended; with its id, for it may be an old one."""

    number: int  # of the worker, from 0
    pid: int
    told: Started | Failed | None
    status: int = 0  # of the exit; negative for a signal


class Asked(NamedTuple):
    """A signal that came for the supervisor."""

    signal: int


Events = queue.SimpleQueue[Told | Asked]


class Worker:
    """Starts a process as often as it is asked to; says in a queue what becomes of it."""

    def __init__(self, number: int, environ: Mapping[str, str], events: Events) -> None:
        self.number, self._environ, self._events = number, environ, events
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The id of the process last started; 0 before the first."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start a process in a group of its own, so that Ctrl-C reaches it through us alone."""
        self._process = subprocess.Popen(
            command(self.number),
            env=self._environ,
            stdin=subprocess.PIPE,  # which ends with us
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        threading.Thread(target=self._hear, args=(self._process,), daemon=True).start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended hears none."""
        if self._process is not None:
            self._process.send_signal(number)

    def _hear(self, process: subprocess.Popen[str]) -> None:
        """Pass on what one process tells, until it has ended."""
        assert process.stdin is not None and process.stdout is not None  # both are pipes
        with process.stdin, process.stdout as lines:
            for line in lines:
                try:
                    told = read(line)
                except (json.JSONDecodeError, TypeError):
                    told = None
                if told is None:
                    sys.stdout.write(line)
                else:
                    self._events.put(Told(self.number, process.pid, told))
            status = process.wait()
        self._events.put(Told(self.number, process.pid, None, status))


def ending(status: int) -> str:
    """Return how a process ended, in words.

    >>> ending(-9), ending(1)
    ('killed by SIGKILL', 'exit status 1')
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
