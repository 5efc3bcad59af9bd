"""Programs started one after another, watched together, and ended in the opposite order.

Signals are waited for, never handled: one thread, and no moment in which a signal is lost.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.stack import launch
from deploy.stack.problem import Problem
from deploy.stack.programs import ROOT, Program

LAUNCH = (sys.executable, "-I", "-S", launch.__file__)  # the standard library alone: 20 ms
READY_SECONDS = 60.0
LOOK_SECONDS = 0.1
REPEAT_SECONDS = 1.0  # within which a second signal is the same wish: make passes it on
TOLD_LINES = 5  # of the log of a program that ended


class Asked(Exception):
    """Somebody asked to stop before everything was ready."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Children:
    """The programs that run; `tell` is given a word about each."""

    def __init__(self, programs: Sequence[Program], logs: Path, tell: Callable[[str], None]):
        self._programs, self._logs, self._tell = programs, logs, tell
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        """Start all; return once each is ready. `Problem` or `Asked` where one will not be."""
        self._logs.mkdir(exist_ok=True)
        for program in self._programs:
            began = time.monotonic()
            with self.log(program).open("wb") as log:
                self._running.append((program, _spawn(program, log.fileno())))
            self._await(program, began + READY_SECONDS)
            self._tell(f"{program.name} is ready after {time.monotonic() - began:.1f} s")

    def watch(self) -> int:
        """Return the signal that asks to stop; `Problem` where a program ends by itself."""
        while True:
            if (received := waited(LOOK_SECONDS)) is not None:
                return received
            self._look()

    def end(self, number: int) -> bool:
        """End all, the last one first; return whether a second signal cut it short.

        What watches goes before what is watched, so that no end is taken for a fault.
        """
        asked_at, is_hurried = time.monotonic(), False
        sent = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        while self._running:
            program, child = self._running[-1]
            child.send_signal(signal.SIGKILL if is_hurried else sent)
            is_hurried |= self._outlast(program, child, asked_at)
            del self._running[-1]
            self._tell(f"{program.name} has ended" + (", killed" if child.returncode == -9 else ""))
        return is_hurried

    def log(self, program: Program) -> Path:
        """Return the file that has what a program said since its start."""
        return self._logs / f"{program.name}.log"

    def _await(self, program: Program, until: float) -> None:
        while not program.is_ready():
            self._look()
            if time.monotonic() > until:
                sentence = f"{program.name} was not ready within {READY_SECONDS:g} s"
                raise Problem(f"{sentence}; its log is {self.log(program)}")
            if (received := waited(LOOK_SECONDS)) is not None:
                raise Asked(received)

    def _look(self) -> None:
        for program, child in self._running:
            if (status := child.poll()) is not None:
                text = self.log(program).read_text(errors="replace").splitlines()
                said = "".join(f"\n  {line}" for line in text[-TOLD_LINES:])
                sentence = f"{program.name} ended by itself with status {status}"
                raise Problem(f"{sentence}; its log, {self.log(program)}, ends:{said}")

    def _outlast(self, program: Program, child: "subprocess.Popen[bytes]", asked: float) -> bool:
        """Wait for the end of one, kill it when it takes too long; return whether in a hurry."""
        until, is_hurried = time.monotonic() + program.end_seconds, False
        while child.poll() is None:
            second = waited(LOOK_SECONDS)
            is_hurried |= second is not None and time.monotonic() - asked > REPEAT_SECONDS
            if is_hurried or time.monotonic() > until:
                child.kill()
        return is_hurried


def block_signals() -> None:
    """Keep signals for `waited`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, launch.STOP_SIGNALS)


def waited(seconds: float) -> int | None:
    """Return the signal that comes within some seconds; None where none does."""
    found = signal.sigtimedwait(launch.STOP_SIGNALS, seconds)
    return None if found is None else found.si_signo


def _spawn(program: Program, log: int) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own: Ctrl-C of the terminal is not for it."""
    return subprocess.Popen(
        [*LAUNCH, str(os.getpid()), *program.command],
        cwd=ROOT,
        env=dict(program.environ),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
