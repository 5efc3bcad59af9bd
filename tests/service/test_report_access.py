"""Reports over real HTTP: who may read, what is written down of it, and what is not shown."""

import base64
import json
import re
import time
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from service.audit import AuditLog
from service.ledger import Ledger
from service.report import write
from service.report_access import PREFIX, ReportAccess
from service.report_page import policy
from service.router import Router
from service.tokens import Tokens
from tests.service.reports import failed, kept, promoted

pytestmark = pytest.mark.slow  # seconds, all together

TOKEN = "of-the-operators-here"
LATE_SECONDS = 0.3


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Reports:
    """The re-evaluator's port with nothing but reports behind it."""

    def __init__(self, folder):
        (folder / "token").write_text(TOKEN)
        (folder / "token").chmod(0o600)
        self.folder, self.ledger_file = folder / "reports", folder / "audit.sqlite"
        self.ledger = Ledger(self.ledger_file)
        tokens = Tokens(folder / "token")
        access = ReportAccess(
            self.folder,
            lambda password: tokens.matches(f"Bearer {password}"),
            self.ledger.record,
            refusal_seconds=LATE_SECONDS,
        )
        router = Router()
        router.mount(PREFIX, access)
        self.server = make_server("127.0.0.1", 0, router, Server, Silent)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def ask(self, path, user="mori", password=TOKEN, method="GET", **headers):
        if user is not None:
            given = base64.b64encode(f"{user}:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {given}"} | headers
        connection = HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        body = reply.read().decode()
        connection.close()
        return reply, body

    def audited(self):
        """Return (actor, action, model, evaluation) of every line about reports."""
        found = AuditLog(self.ledger_file).entries()
        return [
            (e.actor, e.action, e.model, e.evaluation_id) for e in found if "report" in e.action
        ]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.ledger.close()


@pytest.fixture
def reports(tmp_path):
    opened = Reports(tmp_path)
    yield opened
    opened.close()


def test_a_report_is_shown_to_who_has_the_token_and_that_is_written_down(reports):
    write(promoted(), reports.folder)
    place = promoted().evaluation

    reply, body = reports.ask(f"/reports/{place}")
    raw, told = reports.ask(f"/reports/{place}.json", "sato")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "temperature" in body and "</html>" in body
    assert json.loads(told) == json.loads(promoted().model_dump_json())
    assert raw.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reports.audited() == [
        ("mori", "report.read", "bikes", place),
        ("sato", "report.read", "bikes", place),
    ]


def test_the_browser_is_held_to_the_page(reports):
    write(kept(), reports.folder)

    reply, body = reports.ask(f"/reports/{kept().evaluation}")

    wanted = f"{policy(body)}; frame-ancestors 'none'"
    assert reply.headers["Content-Security-Policy"] == wanted
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "wanted", "language"),
    [
        ("", "ja-JP,en;q=0.5", "ja"),
        ("", "fr", "en"),
        ("?lang=ja", "en", "ja"),
        ("?lang=xx", "", "en"),
    ],
)
def test_the_language_is_the_readers(reports, query, wanted, language):
    write(kept(), reports.folder)

    headers = {"Accept-Language": wanted}
    for path in ("/reports", f"/reports/{kept().evaluation}"):
        _, body = reports.ask(f"{path}{query}", **headers)
        assert f'<html lang="{language}">' in body


REFUSED = {
    "another password": ("mori", "of-the-operators-there", True),
    "a longer password": ("mori", f"{TOKEN}x", True),
    "no password": ("mori", "", False),
    "no name": ("", TOKEN, False),
    "a blank name": (" ", TOKEN, False),
    "a name of control characters": ("mo\nri", TOKEN, False),
}


@pytest.mark.parametrize(("user", "password", "is_late"), REFUSED.values(), ids=REFUSED)
def test_who_may_not_read_is_told_how_to_and_a_wrong_password_waits(
    reports, user, password, is_late
):
    write(kept(), reports.folder)
    for path in ("/reports", "/reports/latest", f"/reports/{kept().evaluation}"):
        begun = time.monotonic()
        reply, body = reports.ask(path, user, password)

        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "bikes" not in body and TOKEN not in body
        assert (time.monotonic() - begun >= LATE_SECONDS) is is_late
    assert reports.audited() == []


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic %%%", "Bearer x", "Basic /w==", "Basic eA=="]
)
def test_any_other_header_is_a_refusal(reports, header):
    reply, _ = reports.ask("/reports", None, Authorization=header)

    assert reply.status == 401


def test_the_right_password_never_waits(reports):
    begun = time.monotonic()
    for _ in range(3):
        assert reports.ask("/reports")[0].status == 200

    assert time.monotonic() - begun < LATE_SECONDS * 3


def test_the_list_leads_to_every_report(reports):
    write(kept(evaluation="e1"), reports.folder)
    write(failed(evaluation="e2", model="cars"), reports.folder)

    _, body = reports.ask("/reports?lang=ja")

    assert re.findall('href="(reports/[^"]+)"', body) == [
        "reports/e2?lang=ja",
        "reports/e1?lang=ja",
    ]
    assert reports.ask("/reports/e1?lang=ja")[0].status == 200
    _, narrowed = reports.ask("/reports?model=cars")
    assert "reports/e2" in narrowed and "reports/e1" not in narrowed
    reply, _ = reports.ask("/reports/")
    assert (reply.status, reply.headers["Location"]) == (302, "../reports")


def test_the_latest_of_a_model_is_found_by_its_name(reports):
    write(kept(evaluation="e1"), reports.folder)
    write(failed(evaluation="e2", model="cars & co"), reports.folder)

    for query, place in (
        ("?model=bikes", "e1"),
        ("?model=cars%20%26%20co", "e2"),
        ("?model=bikes&lang=ja", "e1?lang=ja"),
        ("", "e2"),
    ):
        reply, _ = reports.ask(f"/reports/latest{query}")
        assert (reply.status, reply.headers["Location"]) == (302, place)
    reply, body = reports.ask("/reports/latest?model=none")
    assert (reply.status, body) == (404, "there is no report of model 'none' yet\n")


BAD_PLACES = [
    "nobody",
    "..%2Faudit",
    "%2e%2e/audit.sqlite",
    "e1.html",
    "e1.json.json",
    "%00",
    "a/b",
]


@pytest.mark.parametrize("place", BAD_PLACES)
def test_nothing_else_can_be_reached(reports, place):
    write(kept(evaluation="e1"), reports.folder)

    reply, body = reports.ask(f"/reports/{place}")

    assert reply.status == 404
    assert "bikes" not in body
    assert reports.audited() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_reports_are_only_read(reports, method):
    reply, _ = reports.ask("/reports", method=method)

    assert (reply.status, reply.headers["Allow"]) == (405, "GET")


def test_what_cannot_be_written_down_is_not_shown(reports):
    write(promoted(), reports.folder)
    reports.ledger.close()

    for path in ("/reports", f"/reports/{kept().evaluation}", f"/reports/{kept().evaluation}.json"):
        reply, body = reports.ask(path)
        assert reply.status == 503
        assert "temperature" not in body
        assert body.startswith("nothing is shown that the audit log does not hold: ")


def test_a_report_of_another_format_is_shown_as_it_was_written(reports):
    write(promoted(), reports.folder)
    record = reports.folder / f"{promoted().evaluation}.json"
    record.write_text('{"of": "another time"}')

    reply, body = reports.ask(f"/reports/{promoted().evaluation}")
    _, raw = reports.ask(f"/reports/{promoted().evaluation}.json")

    assert reply.status == 200 and "temperature" in body
    assert raw == '{"of": "another time"}'
    assert [line[1] for line in reports.audited()] == ["report.read"] * 2
