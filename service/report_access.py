"""Who may read reports: HTTP Basic (RFC 7617), the reader's own name and the operators' token.

Mounted by the re-evaluator's HTTP port under /reports. Every read is in the audit log before a byte
of the report leaves; where it cannot be written, nothing is shown.
"""

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

from service.ledger_file import LedgerError
from service.report import ReportError, latest, listed, read, read_file
from service.status_page import LANGUAGES, Reply, language

PREFIX = "/reports"
REFUSAL_SECONDS = 1.0  # after which a wrong password is refused; the right one never waits
NAME_CHARACTERS = 64
READ, LISTED = "report.read", "report.listed"  # in the audit log
ASK = ("WWW-Authenticate", 'Basic realm="sonoba reports", charset="UTF-8"')
UNSEEN = "default-src 'none'"  # the policy of what is no page


class Record(Protocol):
    """Appends to the audit log, as `Ledger.record` does; `LedgerError` where it cannot."""

    def __call__(
        self,
        actor: str,
        action: str,
        model: str = "",
        detail: Mapping[str, object] | None = None,
        evaluation_id: str = "",
    ) -> object:
        """Append one line."""


class ReportAccess:
    """A WSGI application: the list, one report as page or JSON, a model's latest."""

    def __init__(
        self,
        folder: Path,
        is_password: Callable[[str], bool],
        record: Record,
        *,
        proven: Callable[[str], str] = lambda password: "",
        refusal_seconds: float = REFUSAL_SECONDS,
    ) -> None:
        """Take the folder of reports, a constant-time check of the token, and the audit log.

        `proven` gives the name of whose token a password is, empty of the operators' own, which
        proves no name: then it is the one that the reader gave.
        """
        self._folder, self._is_password, self._record = folder, is_password, record
        self._proven = proven
        self._refusal_seconds = refusal_seconds

    def __call__(self, asked: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer /reports, /reports/<id>, /reports/<id>.json and /reports/latest?model=M."""
        policy, reply = UNSEEN, self._refused(asked)
        if reply is None:
            try:
                name, password = _reader(asked)
                policy, reply = self._answer(asked, self._proven(password) or name)
            except ReportError as error:
                reply = _told(HTTPStatus.NOT_FOUND, str(error))
            except LedgerError as error:
                sentence = f"nothing is shown that the audit log does not hold: {error}"
                reply = _told(HTTPStatus.SERVICE_UNAVAILABLE, sentence)
        start_response(f"{reply.status.value} {reply.status.phrase}", _headers(reply, policy))
        return [reply.body]

    def _refused(self, asked: WSGIEnvironment) -> Reply | None:
        """Return the refusal of who may not read, late if a password was tried; else None."""
        if asked["REQUEST_METHOD"] != "GET":
            return _told(HTTPStatus.METHOD_NOT_ALLOWED, "only GET", ("Allow", "GET"))
        name, password = _reader(asked)
        if not password:
            sentence = "expected your name and the operators' token as the password"
            return _told(HTTPStatus.UNAUTHORIZED, sentence, ASK)
        if not self._is_password(password):
            time.sleep(self._refusal_seconds)
            return _told(HTTPStatus.UNAUTHORIZED, "another password is expected", ASK)
        if not name:
            sentence = "expected your own name as the user name; it is written to the audit log"
            return _told(HTTPStatus.UNAUTHORIZED, sentence, ASK)
        return None

    def _answer(self, asked: WSGIEnvironment, reader: str) -> tuple[str, Reply]:
        place = asked["PATH_INFO"].removeprefix(PREFIX).removeprefix("/")
        if place == "latest":
            return UNSEEN, self._latest(asked)
        if not place:
            return self._list(asked, reader)
        if place.endswith(".json"):
            return UNSEEN, self._json(place.removesuffix(".json"), reader)
        return self._page(place, asked, reader)

    def _list(self, asked: WSGIEnvironment, reader: str) -> tuple[str, Reply]:
        from service.report_page import list_page, policy

        if asked["PATH_INFO"].endswith("/"):  # the links of the list would lead astray
            return UNSEEN, _elsewhere("../reports", asked)
        model = _parameter(asked, "model")
        self._record(reader, LISTED, model)
        page = list_page(listed(self._folder, model), _language(asked))
        return policy(page), Reply(HTTPStatus.OK, page.encode(), "text/html")

    def _page(self, evaluation: str, asked: WSGIEnvironment, reader: str) -> tuple[str, Reply]:
        from service.report_page import page, policy

        try:
            report = read(self._folder, evaluation)
            model, text = report.model, page(report, _language(asked))
        except ReportError:  # of an older format, perhaps: then as it was written
            model, text = "", read_file(self._folder, evaluation, "html").decode()
        self._record(reader, READ, model, {"as": "page"}, evaluation)
        return policy(text), Reply(HTTPStatus.OK, text.encode(), "text/html")

    def _json(self, evaluation: str, reader: str) -> Reply:
        raw = read_file(self._folder, evaluation, "json")
        try:
            model = read(self._folder, evaluation).model
        except ReportError:
            model = ""
        self._record(reader, READ, model, {"as": "json"}, evaluation)
        return Reply(HTTPStatus.OK, raw, "application/json")

    def _latest(self, asked: WSGIEnvironment) -> Reply:
        model = _parameter(asked, "model")
        found = latest(self._folder, model)
        if found is None:
            whose = f" of model {model[:100]!r}" if model else ""
            return _told(HTTPStatus.NOT_FOUND, f"there is no report{whose} yet")
        return _elsewhere(found, asked)


def _reader(asked: WSGIEnvironment) -> tuple[str, str]:
    """Return name and password of a request; both empty where it brings none."""
    scheme, _, given = str(asked.get("HTTP_AUTHORIZATION", "")).partition(" ")
    try:
        text = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    if scheme.lower() != "basic" or not name.isprintable():
        return "", ""
    return name.strip()[:NAME_CHARACTERS], password


def _elsewhere(place: str, asked: WSGIEnvironment) -> Reply:
    """Return a redirection to a neighbour, in the language asked for."""
    chosen = _parameter(asked, "lang")
    target = f"{place}?{urlencode({'lang': chosen})}" if chosen in LANGUAGES else place
    return _told(HTTPStatus.FOUND, target, ("Location", target))


def _language(asked: WSGIEnvironment) -> str:
    chosen = _parameter(asked, "lang")
    return chosen if chosen in LANGUAGES else language(asked.get("HTTP_ACCEPT_LANGUAGE", ""))


def _parameter(asked: WSGIEnvironment, name: str) -> str:
    given = parse_qs(asked.get("QUERY_STRING", "")).get(name)
    return given[0] if given else ""


def _told(status: HTTPStatus, sentence: str, *extra: tuple[str, str]) -> Reply:
    return Reply(status, f"{sentence}\n".encode(), extra=extra)


def _headers(reply: Reply, policy: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", f"{reply.content_type}; charset=utf-8"),
        ("Content-Length", str(len(reply.body))),
        ("Content-Security-Policy", f"{policy}; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept-Language"),
        *reply.extra,
    ]
