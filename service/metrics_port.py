"""The HTTP ports: of metrics and status page, and of the re-evaluator's alerts and reports."""

import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

from prometheus_client import CollectorRegistry, make_wsgi_app

from service.start_error import StartError
from service.status_page import Reporting, StatusPage

log = logging.getLogger("sonoba")

LOOK_SECONDS = 0.05  # how soon a stop is noticed; the library's own server takes half a second


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128  # of connections at once: the library's 5 resets the others
    context: Callable[[], ssl.SSLContext] | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; with TLS its own thread shakes hands, at the first byte it reads."""
        accepted, address = super().get_request()
        if self.context is None:
            return accepted, address
        wrapped = self.context().wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Log a bug; a connection that broke, or shook no hands, is none."""
        if isinstance(sys.exception(), OSError):
            log.debug("a connection to an HTTP port broke", exc_info=True)
        else:
            log.exception("bug in the answer of an HTTP port")


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    timeout = 30.0  # s without a word, after which a connection no longer holds a thread

    def log_message(self, *_: object) -> None:
        """Log nothing: scrapes and pages ask every few seconds."""


class HttpPort:
    """Answers requests with a web application, each from a thread of its own.

    With a `context` it speaks TLS; each connection is asked the one that holds now.
    """

    def __init__(
        self,
        host: str,
        port: int,
        application: WSGIApplication,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        kind = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, application, kind, _Silent)
        self._server.context = context
        self.number = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_SECONDS,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def opened(
    setting: str,
    host: str,
    port: int,
    application: WSGIApplication,
    context: Callable[[], ssl.SSLContext] | None = None,
) -> HttpPort:
    """Return a port that answers; `StartError` names the setting of one that cannot be had."""
    try:
        return HttpPort(host, port, application, context)
    except OSError as error:
        sentence = f"{setting}: cannot listen on {host}:{port} ({error.strerror})"
        raise StartError(sentence) from None


def metrics_page(registry: CollectorRegistry, status: Reporting | None = None) -> WSGIApplication:
    """Return what answers scrapes of a registry, and shows a status where there is one."""
    return StatusPage(make_wsgi_app(registry), status)
