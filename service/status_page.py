"""The web application of the metrics port: the status page, its JSON and the metrics.

Nothing on the page comes from elsewhere, and the browser is told to hold it to that.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LANGUAGES = ("en", "ja")  # the first where a browser asks for neither
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "LICENSE": "text/plain"}
SERVED = ("page.js", "page.css", "uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE")


class Reply(NamedTuple):
    """A whole answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain"
    cache: str = "no-cache"  # asked again every time, so that an upgrade is seen at once
    extra: tuple[tuple[str, str], ...] = ()


class Reporting(Protocol):
    """Who knows the status: one process, or the supervisor of several."""

    def report(self, model: str | None = None) -> dict[str, Any]:
        """Return the contract of `/status.json`; a model that is not served is a KeyError."""


class StatusPage:
    """A WSGI application; without a status it answers scrapes only."""

    def __init__(self, metrics: WSGIApplication, status: Reporting | None) -> None:
        self._metrics = metrics
        self._status = status
        self._index = _file("index.html").body
        self._files = {f"/{name}": _file(name) for name in SERVED}
        self._paths = {"/metrics"}
        if status is not None:
            self._paths |= {"/", "/status.json", *self._files}

    def __call__(self, asked: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = asked["PATH_INFO"]
        if path not in self._paths:
            reply = Reply(HTTPStatus.NOT_FOUND, b"not found\n")
        elif asked["REQUEST_METHOD"] != "GET":
            extra = (("Allow", "GET"),)
            reply = Reply(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n", extra=extra)
        elif path == "/metrics":
            return self._metrics(asked, start_response)
        elif path == "/status.json":
            reply = self._report(asked)
        else:
            reply = self._files.get(path) or _page(self._index, asked)
        start_response(f"{reply.status.value} {reply.status.phrase}", headers(reply))
        return [reply.body]

    def _report(self, asked: WSGIEnvironment) -> Reply:
        assert self._status is not None
        kind, cache = "application/json", "no-store"
        try:
            report = self._status.report(_parameter(asked, "model"))
        except KeyError:
            return Reply(HTTPStatus.NOT_FOUND, b'{"error": "no such model"}', kind, cache)
        body = json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
        return Reply(HTTPStatus.OK, body, kind, cache)


def language(wanted: str) -> str:
    """Return the language of ours that an Accept-Language header prefers.

    >>> language("fr, ja-JP;q=0.8, en;q=0.5"), language("")
    ('ja', 'en')
    """
    weights: dict[str, float] = {}
    for entry in wanted.split(","):
        tag, _, parameter = entry.partition(";")
        name, _, weight = parameter.partition("=")
        try:
            weights[tag.strip()[:2].lower()] = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            continue
    return max(LANGUAGES, key=lambda ours: weights.get(ours, 0.0))


def _page(index: bytes, asked: WSGIEnvironment) -> Reply:
    """Return the page in the language asked for."""
    chosen = _parameter(asked, "lang")
    if chosen not in LANGUAGES:
        chosen = language(asked.get("HTTP_ACCEPT_LANGUAGE", ""))
    body = index.replace(b'<html lang="en">', f'<html lang="{chosen}">'.encode(), 1)
    extra = (("Vary", "Accept-Language"), ("Content-Language", chosen))
    return Reply(HTTPStatus.OK, body, "text/html", extra=extra)


def _parameter(asked: WSGIEnvironment, name: str) -> str | None:
    given = parse_qs(asked.get("QUERY_STRING", "")).get(name)
    return given[0] if given else None


def _file(name: str) -> Reply:
    body = files("service").joinpath("page", name).read_bytes()
    return Reply(HTTPStatus.OK, body, TYPES[name.rpartition(".")[2]])


def headers(reply: Reply) -> list[tuple[str, str]]:
    """Return the headers of a reply, those that hold a browser to our own content among them."""
    return [
        ("Content-Type", f"{reply.content_type}; charset=utf-8"),
        ("Content-Length", str(len(reply.body))),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", reply.cache),
        *reply.extra,
    ]
