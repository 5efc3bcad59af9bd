"""Paths to handlers: the small web application of the re-evaluator's HTTP port.

Whoever adds a page adds a route or mounts an application; what none takes is 404, another method
405. A bug in a handler is 500 with nothing but the fact. The headers are those of the status page.
"""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from service.status_page import Reply, headers

log = logging.getLogger("sonoba")


class Asked(NamedTuple):
    """One request, its body not read yet."""

    method: str
    path: str
    environ: WSGIEnvironment

    def header(self, name: str) -> str:
        """Return a header by its name, empty where it was not sent."""
        return str(self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))


Handler = Callable[[Asked], Reply]


class Router:
    """A WSGI application of routes, and of applications that answer for all below a path."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Handler]] = {}
        self._mounted: dict[str, WSGIApplication] = {}

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Let a handler answer one method of a path."""
        self._routes.setdefault(path, {})[method] = handler

    def mount(self, path: str, application: WSGIApplication) -> None:
        """Let an application answer a path and everything below it; it sees the whole path."""
        self._mounted[path] = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ["PATH_INFO"])
        for above, application in self._mounted.items():
            if path == above or path.startswith(f"{above}/"):
                return application(environ, start_response)
        reply = self._reply(environ, path)
        start_response(f"{reply.status.value} {reply.status.phrase}", headers(reply))
        return [reply.body]

    def _reply(self, environ: WSGIEnvironment, path: str) -> Reply:
        method, handlers = str(environ["REQUEST_METHOD"]), self._routes.get(path)
        if handlers is None:
            return Reply(HTTPStatus.NOT_FOUND, b"not found\n")
        handler = handlers.get(method)
        if handler is None:
            allowed = ", ".join(sorted(handlers))
            extra = (("Allow", allowed),)
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED, f"only {allowed}\n".encode(), extra=extra)
        try:
            return handler(Asked(method, path, environ))
        except Exception:
            log.exception("bug in the answer to %s %s", method, path)
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error\n")
