"""Alerts over real HTTP: what becomes an evaluation, what does not, and what is said about it."""

import http.client
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from service.audit import AuditLog
from service.evaluation_record import State, Trigger
from service.ledger import Ledger
from service.ledger_clock import now
from service.metrics_port import HttpPort
from service.router import Router
from service.tokens import Tokens
from service.webhook import BODY_BYTES_MAX, Webhook

TOKEN = "a-token-of-the-webhook"
BEGAN = datetime.now(UTC) - timedelta(seconds=90)


def an_alert(**changes):
    labels = {"alertname": "SonobaErrorInflationCritical", "severity": "critical"}
    labels |= {"model": "bikes", "action": "reevaluate", "reference": "0a1b2c3d"}
    return {
        "status": "firing",
        "labels": labels | changes.pop("labels", {}),
        "annotations": {"summary": "…"},
        "startsAt": BEGAN.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c9a8d7e6f5b4a3c2",
        **changes,
    }


def payload(*alerts, **changes):
    return {
        "version": "4",
        "groupKey": "{}:{alertname='x'}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "reevaluate",
        "alerts": list(alerts),
        **changes,
    }


@pytest.fixture
def hook(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    clock, woken = [0.0], threading.Event()  # seconds that nobody waited for
    ledger = Ledger(
        tmp_path / "audit.sqlite",
        lambda: (real := now())._replace(boot_seconds=real.boot_seconds + clock[0]),
    )
    router = Router()
    tokens = Tokens(token_file, "webhook_token_file")
    router.add("POST", "/alerts", Webhook(tokens, ledger, lambda: ["bikes", "trips"], woken.set))
    port = HttpPort("127.0.0.1", 0, router)

    def post(body, path="/alerts", method="POST", token=TOKEN, **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}
        if token is not None:
            given["Authorization"] = token if " " in token else f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", port.number, timeout=10)
        try:
            connection.putrequest(method, path)
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(raw)
            reply = connection.getresponse()
            return SimpleNamespace(
                status=reply.status, text=reply.read().decode(), headers=dict(reply.headers)
            )
        finally:
            connection.close()

    yield SimpleNamespace(
        post=post,
        clock=clock,
        ledger=ledger,
        woken=woken,
        port=port,
        path=tmp_path,
        token_file=token_file,
    )
    port.close()
    ledger.close()


def actions(hook):
    return [entry.action for entry in AuditLog(hook.path / "audit.sqlite").entries()]


def test_an_alert_becomes_an_evaluation(hook):
    reply = hook.post(payload(an_alert()))

    assert reply.status == 200
    assert json.loads(reply.text) == {"asked": 1, "known": 0, "resolved": 0, "ignored": 0}
    (made,) = hook.ledger.unfinished()
    assert (made.model, made.state, made.trigger) == ("bikes", State.ASKED, Trigger.ALERT)
    assert made.began_seconds_ago == pytest.approx(time.time() - BEGAN.timestamp(), abs=2.0)
    kept = {"alertname": "SonobaErrorInflationCritical", "severity": "critical"}
    assert made.labels == kept  # and no other label
    assert hook.woken.is_set()


def test_the_same_alert_delivered_50_times_makes_one_evaluation(hook):
    for _ in range(50):
        assert hook.post(payload(an_alert())).status == 200

    assert len(hook.ledger.list("bikes").evaluations) == 1
    assert actions(hook) == ["ASKED"]


def test_50_deliveries_at_once_make_one_evaluation(hook):
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(hook.post(payload(an_alert())).status))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert replies == [200] * 50
    assert len(hook.ledger.list("bikes").evaluations) == 1


def test_an_alert_that_began_anew_is_another_one(hook):
    hook.post(payload(an_alert()))
    (first,) = hook.ledger.unfinished()
    hook.ledger.move(first.id, State.ASKED, State.DONE)

    assert json.loads(hook.post(payload(an_alert())).text)["known"] == 1
    later = an_alert(startsAt=(BEGAN + timedelta(seconds=60)).isoformat())
    assert json.loads(hook.post(payload(later)).text)["asked"] == 1
    assert len(hook.ledger.list("bikes").evaluations) == 2


@pytest.mark.parametrize("end", [{"new": State.FAILED}, {"new": State.DONE, "action": "WAIT"}])
def test_an_alert_that_got_no_verdict_asks_again_a_quarter_of_an_hour_later(hook, end):
    def later(seconds):
        hook.clock[0] += seconds
        for _ in range(3):
            hook.post(payload(an_alert()))
        return hook.ledger.list("bikes").evaluations

    for count in (1, 2, 3):
        newest = later(901.0)[0]
        assert len(hook.ledger.list("bikes").evaluations) == count
        hook.ledger.move(newest.id, State.ASKED, **end)
        assert len(later(890.0)) == count


def test_an_alert_that_got_its_verdict_does_not_ask_again(hook):
    hook.post(payload(an_alert()))
    (one,) = hook.ledger.unfinished()
    hook.ledger.move(one.id, State.ASKED, State.DONE, action="NOTHING")
    hook.clock[0] += 1e6

    hook.post(payload(an_alert()))

    assert len(hook.ledger.list("bikes").evaluations) == 1


def test_two_alerts_of_one_model_make_one_evaluation_and_of_two_models_two(hook):
    major = an_alert(fingerprint="1111", labels={"severity": "major"})
    other = an_alert(fingerprint="2222", labels={"model": "trips"})

    reply = hook.post(payload(an_alert(), major, other))

    assert json.loads(reply.text) == {"asked": 2, "known": 1, "resolved": 0, "ignored": 0}
    assert {one.model for one in hook.ledger.unfinished()} == {"bikes", "trips"}


def test_resolved_is_written_down_and_triggers_nothing(hook):
    reply = hook.post(payload(an_alert(status="resolved"), status="resolved"))

    assert (reply.status, json.loads(reply.text)["resolved"]) == (200, 1)
    assert hook.ledger.list().evaluations == []
    assert actions(hook) == ["alert.resolved"]
    assert not hook.woken.is_set()


@pytest.mark.parametrize(
    "labels", [{"action": "notify_caller"}, {"model": "of-nobody"}, {"model": ""}]
)
def test_alerts_for_somebody_else_are_ignored(hook, labels):
    reply = hook.post(payload(an_alert(labels=labels)))

    assert (reply.status, json.loads(reply.text)["ignored"]) == (200, 1)
    assert hook.ledger.list().evaluations == []


@pytest.mark.parametrize(
    "token", [None, "another-token-of-16", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", ""]
)
def test_without_the_token_nothing_is_taken(hook, token):
    reply = hook.post(payload(an_alert()), token=token)

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in reply.text
    assert hook.ledger.list().evaluations == []


def test_a_large_body_without_the_token_gets_its_answer(hook):
    assert hook.post(b" " * 60_000, token="another-token-of-16").status == 401


def test_a_token_that_changed_holds_at_once(hook):
    hook.token_file.write_text("another-token-of-the-hook\n")

    assert hook.post(payload(an_alert())).status == 401
    assert hook.post(payload(an_alert()), token="another-token-of-the-hook").status == 200


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "expected Alertmanager's JSON, got another text"),
        (b"{", "expected Alertmanager's JSON, got another text"),
        (b"\xff\xfe", "expected Alertmanager's JSON, got another text"),
        (b"[" * 100_000, "expected Alertmanager's JSON, got another text"),
        (b"[]", "the payload: input should be a valid dictionary"),
        (b'{"version": "4"}', "alerts: field required"),
        (b'{"version": "3", "alerts": []}', "version: input should be '4'"),
        (
            json.dumps(payload(an_alert(startsAt="yesterday"))).encode(),
            "alerts.0.startsAt: input should be a valid datetime",
        ),
        (
            json.dumps(payload(an_alert(startsAt="2026-01-01T00:00:00"))).encode(),
            "alerts.0.startsAt: input should have timezone info",
        ),
        (
            json.dumps(payload(an_alert(fingerprint=""))).encode(),
            "alerts.0.fingerprint: string should have at least 1 character",
        ),
    ],
)
def test_what_is_no_payload_is_400_with_a_sentence(hook, body, sentence):
    reply = hook.post(body)

    assert reply.status == 400
    assert json.loads(reply.text)["error"].startswith(sentence)


def test_fields_of_a_later_alertmanager_do_no_harm(hook):
    assert hook.post(payload(an_alert(novel={"a": 1}), also=[1, 2])).status == 200


def test_a_body_beyond_1_mib_is_refused_unread(hook):
    reply = hook.post(b" " * 70_000, **{"Content-Length": str(BODY_BYTES_MAX + 1)})

    assert reply.status == 413
    assert json.loads(reply.text)["error"] == "expected at most 1048576 bytes, got 1048577"


@pytest.mark.parametrize("length", ["", "-1", "many"])
def test_a_body_needs_its_size(hook, length):
    assert hook.post(b"{}", **{"Content-Length": length}).status == 411


def test_a_sender_that_stops_in_the_middle_asks_for_nothing(hook):
    connection = http.client.HTTPConnection("127.0.0.1", hook.port.number, timeout=10)
    connection.putrequest("POST", "/alerts")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", "10000")
    connection.endheaders(b'{"version": "4"')
    connection.close()
    time.sleep(0.2)

    assert hook.ledger.list().evaluations == []
    assert hook.post(payload(an_alert())).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/alerts", 405),
        ("PUT", "/alerts", 405),
        ("POST", "/", 404),
        ("GET", "/", 404),
        ("POST", "/alerts/", 404),
        ("GET", "/../alerts", 404),
    ],
)
def test_everything_else_is_404_or_405(hook, method, path, status):
    reply = hook.post(payload(an_alert()), path, method)

    assert reply.status == status
    assert reply.headers.get("Allow") == ("POST" if status == 405 else None)
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_a_ledger_that_cannot_be_written_is_503_until_it_can(hook):
    hook.ledger._connection.execute("PRAGMA query_only = ON")
    refused = hook.post(payload(an_alert()))
    hook.ledger._connection.execute("PRAGMA query_only = OFF")

    assert refused.status == 503
    assert json.loads(refused.text)["error"]
    assert hook.ledger.list().evaluations == []
    assert hook.post(payload(an_alert())).status == 200
    assert len(hook.ledger.list().evaluations) == 1


def test_labels_cannot_break_a_line_of_a_log(hook):
    hook.post(payload(an_alert(labels={"alertname": "x\ny" + "z" * 500})))

    (made,) = hook.ledger.unfinished()
    assert made.labels["alertname"] == "x?y" + "z" * 97


def test_a_clock_that_is_behind_makes_no_alert_of_the_future(hook):
    ahead = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    hook.post(payload(an_alert(startsAt=ahead)))

    (made,) = hook.ledger.unfinished()
    assert 0.0 <= made.began_seconds_ago < 5.0
