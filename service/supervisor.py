"""Puts a supervisor together: the workers, and the port that tells of them over HTTP."""

from collections.abc import Mapping

from service.discovery import SupervisorPage, is_every_address
from service.joint_status import JointStatus
from service.metrics_port import HttpPort, metrics_page, opened
from service.settings import Settings
from service.standing import Standing
from service.start_error import StartError
from service.worker_answers import ask_over_http
from service.worker_metrics import registry_of
from service.workers import Workers


class Supervisor:
    """Several server processes as one: started together, restarted singly, drained together."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Take the environment that workers are to have."""
        self._settings = settings
        self.workers = Workers(settings, environ)
        here = "localhost" if is_every_address(settings.host) else settings.host
        seconds = settings.monitor_hold_seconds
        self._status = JointStatus(lambda: self.workers.standings, ask_over_http(here), seconds)
        self._port: HttpPort | None = None
        self.metrics_port = 0

    def start(self) -> bool:
        """Start all and return once all answer: False where a signal to stop came first.

        `StartError` says why one cannot start; then none is left.
        """
        self.workers.listen()
        self._open()
        try:
            is_started = self.workers.start()
        except StartError:
            self.close()
            raise
        if is_started:
            self._status.start()
        return is_started

    def run(self) -> int:
        """Keep the workers running until a signal comes; return the exit status."""
        try:
            return self.workers.run()
        finally:
            self.close()

    def close(self) -> None:
        """Give the ports back."""
        self._status.stop()
        if self._port is not None:
            self._port.close()
        self.workers.close()

    def _open(self) -> None:
        """Tell of the workers from the beginning: that none answers yet is told too."""
        settings, workers = self._settings, self.workers

        def standings() -> tuple[Standing, ...]:
            return workers.standings

        page = metrics_page(registry_of(standings), self._status)
        application = SupervisorPage(page, standings, settings.host, lambda: workers.is_draining)
        self._port = opened("metrics_port", settings.host, settings.metrics_port, application)
        self.metrics_port = self._port.number
