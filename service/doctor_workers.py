"""What `sonoba doctor` finds behind a metrics port that a supervisor of workers answers."""

import http.client
import json
from typing import NamedTuple

ANSWER_SECONDS = 2.0


class Found(NamedTuple):
    """A supervisor's word on its workers."""

    alive: int
    workers: int
    status: str

    @property
    def told(self) -> str:
        """What was found, in words."""
        return f"a sonoba supervisor: {self.alive} of {self.workers} workers answer"

    @property
    def remedy(self) -> str:
        """What to do; empty where all is well."""
        if self.status == "draining":
            return "it is being stopped; wait for its end"
        why = "look into its log for why a worker ended"
        return "" if self.alive == self.workers else why


def supervisor_at(host: str, port: int) -> Found | None:
    """Return what a supervisor says of itself; None where there is another server, or none."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        told = json.loads(connection.getresponse().read())
        return Found(int(told["alive"]), int(told["workers"]), str(told["status"]))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
