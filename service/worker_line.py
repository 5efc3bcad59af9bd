"""What a worker tells its supervisor: one line of JSON on its standard output, once.

The other way a pipe says everything: the worker's standard input ends when its supervisor does,
however that ended.
"""

import json
import os
import signal
import threading
from typing import NamedTuple

MARK = "sonoba worker: "
GRACE_SECONDS = 5.0


class Started(NamedTuple):
    """A worker that answers, and where."""

    grpc_port: int
    metrics_port: int
    admin_port: int  # 0 where there is none
    described: str  # what it serves, in words


class Failed(NamedTuple):
    """A worker that cannot start."""

    sentence: str


def line_of(told: Started | Failed) -> str:
    """Return the line that tells it.

    >>> read(line_of(Failed("no such model")))
    Failed(sentence='no such model')
    """
    return MARK + json.dumps(told._asdict())


def read(line: str) -> Started | Failed | None:
    """Return what a line tells; None for any other line."""
    if not line.startswith(MARK):
        return None
    told = json.loads(line.removeprefix(MARK))
    return Failed(**told) if "sentence" in told else Started(**told)


def end_with_supervisor(stop_seconds: float) -> None:
    """Interrupt this process when its standard input ends; it then finishes what it has begun.

    A stop takes at most `stop_seconds`; a process that is still there after that is ended.
    """

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(stop_seconds + GRACE_SECONDS)
        os._exit(1)  # nobody is left who would end what hangs

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
