"""The web application of a supervisor: who to scrape, who answers, and the page of all workers.

`/sd` is a document of Prometheus's `http_sd_configs` (prometheus.io, "Writing HTTP service
discovery"): a list of `{"targets": [...], "labels": {...}}`. The supervisor is in it under a job
of its own, for where it alone is left, an alert on the absence of the servers must see nobody.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from service.standing import Standing
from service.status_page import Reply, headers

SUPERVISOR_JOB = "sonoba-supervisor"
Standings = Callable[[], Sequence[Standing]]
Target = dict[str, list[str] | dict[str, str]]


class SupervisorPage:
    """A WSGI application in front of the page, whose paths it does not take."""

    def __init__(
        self,
        page: WSGIApplication,
        standings: Standings,
        host: str,
        is_draining: Callable[[], bool],
    ) -> None:
        """Take the host that workers listen on, and what is asked again at every request."""
        self._page, self._standings, self._host = page, standings, host
        self._is_draining = is_draining

    def __call__(self, asked: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answers = {"/sd": self._discovered, "/healthz": self._health}
        answer = answers.get(asked["PATH_INFO"])
        if answer is None or asked["REQUEST_METHOD"] != "GET":
            return self._page(asked, start_response)
        status, told = answer(asked)
        body = json.dumps(told).encode()
        reply = Reply(status, body, "application/json", "no-store")
        start_response(f"{reply.status.value} {reply.status.phrase}", headers(reply))
        return [reply.body]

    def _discovered(self, asked: WSGIEnvironment) -> tuple[HTTPStatus, object]:
        host = reachable(self._host, asked.get("HTTP_HOST", ""))
        own: Target = {
            "targets": [f"{host}:{asked['SERVER_PORT']}"],
            "labels": {"job": SUPERVISOR_JOB},
        }
        return HTTPStatus.OK, [*targets(self._standings(), host), own]

    def _health(self, _: WSGIEnvironment) -> tuple[HTTPStatus, object]:
        alive = sum(one.is_ready for one in self._standings())
        is_well = alive > 0 and not self._is_draining()
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        word = "draining" if self._is_draining() else "ok" if is_well else "no worker answers"
        return status, {"status": word, "workers": len(self._standings()), "alive": alive}


def targets(standings: Sequence[Standing], host: str) -> list[Target]:
    """Return every worker with a known port, dead ones too: a target that is down is a fact.

    >>> targets([Standing(0, metrics_port=9465), Standing(1)], "127.0.0.1")
    [{'targets': ['127.0.0.1:9465'], 'labels': {'worker': '0'}}]
    """
    return [
        {"targets": [f"{host}:{one.metrics_port}"], "labels": {"worker": str(one.number)}}
        for one in standings
        if one.metrics_port
    ]


def reachable(host: str, asked: str) -> str:
    """Return the name by which whoever asked reaches this machine, as it stands in a URL.

    Of a host that means every address, it is the one in the Host header.

    >>> reachable("127.0.0.1", "elsewhere:9464"), reachable("0.0.0.0", "node-7:9464")
    ('127.0.0.1', 'node-7')
    >>> reachable("::", "[fd00::7]:9464"), reachable("::1", "")
    ('[fd00::7]', '[::1]')
    """
    if is_every_address(host):
        with contextlib.suppress(ValueError):
            host = urlsplit(f"//{asked}").hostname or host
    return f"[{host}]" if ":" in host else host


def is_every_address(host: str) -> bool:
    """Return whether listening on a host means listening everywhere.

    >>> is_every_address("0.0.0.0"), is_every_address("localhost")
    (True, False)
    """
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
