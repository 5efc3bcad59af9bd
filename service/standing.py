"""What a supervisor knows of one worker at one moment: for metrics, discovery and the page."""

from dataclasses import dataclass, replace
from typing import Self

from service.worker_line import Started


@dataclass(frozen=True, slots=True)
class Standing:
    """One worker; ports are the last known ones, 0 for none."""

    number: int  # from 0
    is_ready: bool = False
    metrics_port: int = 0
    admin_port: int = 0
    described: str = ""  # what it serves, in words
    restart_count: int = 0
    last_end: str = ""  # how its last process ended; empty where none did

    def ready(self, told: Started) -> Self:
        """Return the same worker, answering."""
        return replace(
            self,
            is_ready=True,
            metrics_port=told.metrics_port,
            admin_port=told.admin_port,
            described=told.described,
        )

    def ended(self, how: str) -> Self:
        """Return the same worker without a process."""
        return replace(self, is_ready=False, last_end=how)

    def restarted(self, count: int) -> Self:
        """Return the same worker, started again."""
        return replace(self, restart_count=count)
