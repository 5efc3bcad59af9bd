"""The supervisor of several server processes on one port: starts them, restarts them, ends them.

It answers no prediction itself. Everything that happens (a worker's line, its end, a signal)
comes through one queue to one thread, which alone changes what is known.
"""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping

from service.handed import Handed, handing
from service.port_hold import PortHold
from service.process import STOP_SIGNALS
from service.restarts import Restarts
from service.settings import Settings
from service.standing import Standing
from service.start_error import StartError
from service.worker import Asked, Events, Told, Worker, ending
from service.worker_line import Failed, Started
from service.worker_ports import Ports, ports_of

log = logging.getLogger("sonoba")

END_SECONDS = 10.0  # beyond the drain, after which a worker that has not ended is killed
REPEAT_SECONDS = 1.0  # within which a second signal is the same wish: timeout(1) sends two
INTERRUPTED = 130  # the exit status after a second signal


class Workers:
    """Several workers and what is known of them; times are of one monotonic clock."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the environment that workers are to have."""
        self._settings, self._environ, self._clock = settings, environ, clock
        self._events: Events = queue.SimpleQueue()
        self._hold: PortHold | None = None
        self._workers: list[Worker] = []
        self._running: set[int] = set()  # numbers of workers with a process
        self._lives = [Restarts() for _ in range(settings.workers)]
        self.standings = tuple(Standing(number) for number in range(settings.workers))
        self.is_draining = False

    @property
    def grpc_port(self) -> int:
        """The port that the workers share; 0 before the start."""
        return self._hold.port if self._hold else 0

    def listen(self) -> None:
        """Hear the signals that ask to stop, which every thread must have blocked."""

        def hear() -> None:
            while True:
                self._events.put(Asked(signal.sigwait(STOP_SIGNALS)))

        threading.Thread(target=hear, name="signals", daemon=True).start()

    def start(self) -> bool:
        """Start all, return once all answer: False where a signal came first.

        `StartError` says why one cannot start; then none is left.
        """
        host, port = self._settings.host, self._settings.grpc_port
        try:
            self._hold = PortHold(host, port)
        except OSError as error:
            sentence = f"grpc_port: cannot listen on {host}:{port} ({error.strerror})"
            raise StartError(f"{sentence}; is another server there?") from None
        try:
            found = enumerate(ports_of(self._settings, self.grpc_port))
            self._workers = [Worker(i, self._handing(at), self._events) for i, at in found]
            for worker in self._workers:
                self._launch(worker)
            return self._await_all()
        except StartError:
            self.abandon()
            raise

    def run(self) -> int:
        """Keep all running until a signal comes; return the exit status."""
        while True:
            event = self._next(min(life.due for life in self._lives))
            if isinstance(event, Asked):
                return self._drain(event.signal)
            if event is not None:
                self._note(event)
            if not self._running and all(life.is_hopeless for life in self._lives):
                log.error("no worker could be started again and again: giving up")
                self.abandon()
                return 1
            self._restart_due()

    def abandon(self) -> None:
        """Kill what runs and give the port back."""
        for worker in self._workers:
            worker.send(signal.SIGKILL)
        deadline = self._clock() + END_SECONDS
        while self._running and (event := self._next(deadline)) is not None:
            if isinstance(event, Told) and event.told is None:
                self._running.discard(event.number)
        if self._hold is not None:
            self._hold.close()

    def _handing(self, ports: Ports) -> dict[str, str]:
        """Return the environment of a worker."""
        told = {"grpc_port": ports.grpc, "metrics_port": ports.metrics, "admin_port": ports.admin}
        return handing(Handed(self._settings.model_copy(update=told)), self._environ)

    def _launch(self, worker: Worker) -> None:
        worker.start()
        self._running.add(worker.number)

    def _next(self, until: float) -> Told | Asked | None:
        """Return what happens next; None where nothing does until some time."""
        seconds = min(max(until - self._clock(), 0.0), threading.TIMEOUT_MAX)
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            return None

    def _await_all(self) -> bool:
        """Wait until every worker answers; False where a signal came first."""
        while not all(one.is_ready for one in self.standings):
            event = self._next(float("inf"))
            if isinstance(event, Asked):
                self.abandon()
                return False
            assert event is not None  # without a deadline something comes
            name = f"worker {event.number}"
            if isinstance(event.told, Failed):
                raise StartError(event.told.sentence)
            if event.told is None:
                self._running.discard(event.number)
                raise StartError(f"{name} ended at its start: {ending(event.status)}")
            self._note(event)
        return True

    def _note(self, event: Told) -> None:
        """Take in what one worker tells."""
        number = event.number
        if event.pid != self._workers[number].pid:
            return  # of a process before the present one
        match event.told:
            case Started() as told:
                self._lives[number].ready(self._clock())
                self._set(self.standings[number].ready(told))
            case Failed(sentence):
                log.error(
                    "worker %d cannot start: %s", number, sentence, extra={"event": "worker_ended"}
                )
            case None:
                self._running.discard(number)
                self._ended(number, event.pid, ending(event.status))

    def _ended(self, number: int, pid: int, how: str) -> None:
        """Note a worker's end that nobody asked for."""
        self._set(self.standings[number].ended(how))
        if not self.is_draining:
            wait = self._lives[number].ended(self._clock())
            sentence = "worker %d (process %d): %s; again in %g s"
            log.error(sentence, number, pid, how, wait, extra={"event": "worker_ended"})

    def _restart_due(self) -> None:
        now = self._clock()
        for worker, life in zip(self._workers, self._lives, strict=True):
            if life.due <= now:
                life.started()
                self._set(self.standings[worker.number].restarted(life.count))
                self._launch(worker)

    def _set(self, standing: Standing) -> None:
        """Put one worker's standing in place of the one before."""
        before, after = self.standings[: standing.number], self.standings[standing.number + 1 :]
        self.standings = (*before, standing, *after)

    def _drain(self, number: int) -> int:
        """Let all finish together; return the exit status."""
        self.is_draining = True
        settings, status = self._settings, 0
        lame_duck = 0.0 if number == signal.SIGINT else settings.lame_duck_seconds
        log.info("stopping %d workers", len(self._running), extra={"event": "drain"})
        self._tell(signal.Signals(number))
        begun = self._clock()
        deadline = begun + lame_duck + settings.drain_seconds + END_SECONDS
        while self._running:
            event = self._next(deadline)
            if event is None:
                log.error("workers that did not end are killed")
                self._tell(signal.SIGKILL)
                deadline, status = float("inf"), 1
            elif isinstance(event, Asked):
                if self._clock() - begun >= REPEAT_SECONDS:
                    self._tell(signal.SIGKILL)
                    status = INTERRUPTED
            else:
                self._note(event)
                status = status or int(event.told is None and event.status != 0)
        return status

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.number in self._running:
                worker.send(number)

    def close(self) -> None:
        """Give the port back."""
        if self._hold is not None:
            self._hold.close()
