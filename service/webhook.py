"""Takes the alerts of Alertmanager: each that asks for a re-evaluation becomes one, once.

Payload version 4 of Alertmanager's webhook. Only the ledger's row is written before the answer;
where it cannot be written the answer is 503, and Alertmanager comes again. An alert that comes
again is known by its model, fingerprint and start; one that is over triggers nothing. One that
still fires a quarter of an hour after its evaluation came to no verdict asks for another.
"""

import json
import logging
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.evaluation_record import State, Trigger
from service.ledger import Ledger, LedgerError
from service.router import Asked
from service.status_page import Reply
from service.tokens import Tokens

log = logging.getLogger("sonoba")

BODY_BYTES_MAX = 2**20
UNREAD_BYTES = 2**16  # of a refused body are read, so that the answer reaches its sender
AGAIN_SECONDS = (
    900.0  # after an evaluation without a verdict; SonobaReevaluationOverdue waits as long
)
ACTION = "reevaluate"
ACTOR = "alertmanager"
LABELS = ("alertname", "severity")  # the labels that are kept
LABEL_CHARACTERS = 100
Text = Annotated[str, Field(max_length=1024)]


class Alert(BaseModel):
    """One alert of a payload."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    status: Literal["firing", "resolved"]
    labels: dict[Text, Text] = {}
    starts_at: Annotated[AwareDatetime, Field(alias="startsAt")]
    fingerprint: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def model(self) -> str:
        """The model it is about; empty where it is about none."""
        return self.labels.get("model", "")

    @property
    def key(self) -> str:
        """What is the same however often this alert is delivered, and no other's."""
        return f"{self.model} {self.fingerprint} {self.starts_at.timestamp():.3f}"


class Payload(BaseModel):
    """What Alertmanager posts."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    version: Literal["4"]
    alerts: Annotated[list[Alert], Field(max_length=10_000)]


class Webhook:
    """Answers `POST /alerts`."""

    def __init__(
        self,
        tokens: Tokens,
        ledger: Ledger,
        known: Callable[[], Collection[str]],
        wake: Callable[[], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take who may post, where alerts go, which models there are, and whom to wake."""
        self._tokens, self._ledger, self._known = tokens, ledger, known
        self._wake, self._now = wake, now

    def __call__(self, asked: Asked) -> Reply:
        """Answer one delivery: at once, and only when its alerts are kept."""
        if not self._tokens.matches(asked.header("Authorization")):
            _drop(asked)
            extra = (("WWW-Authenticate", "Bearer"),)
            return _told(HTTPStatus.UNAUTHORIZED, "expected the webhook's token", extra)
        body = _body(asked)
        if isinstance(body, Reply):
            return body
        try:
            payload = Payload.model_validate(json.loads(body))
        except ValidationError as error:
            return _told(HTTPStatus.BAD_REQUEST, _sentence(error))
        except (ValueError, RecursionError):
            return _told(HTTPStatus.BAD_REQUEST, "expected Alertmanager's JSON, got another text")
        try:
            return self._taken(payload.alerts)
        except LedgerError as error:
            log.warning("an alert could not be kept: %s", error)
            return _told(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _taken(self, alerts: list[Alert]) -> Reply:
        known, counts = set(self._known()), {"asked": 0, "known": 0, "resolved": 0, "ignored": 0}
        for alert in alerts:
            if alert.labels.get("action") != ACTION or alert.model not in known:
                counts["ignored"] += 1
            elif alert.status == "resolved":
                counts["resolved"] += 1
                self._record(alert)
            else:
                counts["asked" if self._ask(alert) else "known"] += 1
        if counts["asked"]:
            self._wake()
        return Reply(HTTPStatus.OK, json.dumps(counts).encode(), "application/json", "no-store")

    def _ask(self, alert: Alert) -> bool:
        """Return whether an alert made an evaluation; one that came before does not."""
        kept, key = _kept(alert), alert.key
        why = f"the alert {kept['alertname']} fires" if "alertname" in kept else "an alert fires"
        began = max(0.0, self._now() - alert.starts_at.timestamp())
        while True:
            asked = self._ledger.ask(alert.model, Trigger.ALERT, key, ACTOR, why, began, kept)
            if asked.is_new or not self._is_open_question(asked.evaluation_id):
                return asked.is_new
            key = f"{alert.key} after {asked.evaluation_id}"

    def _is_open_question(self, evaluation_id: str) -> bool:
        """Return whether an evaluation ended some time ago and answered nothing."""
        last = self._ledger.get(evaluation_id)
        if last is None or last.in_state_seconds < AGAIN_SECONDS:
            return False
        return last.state is State.FAILED or (last.state is State.DONE and last.action == "WAIT")

    def _record(self, alert: Alert) -> None:
        """Write down that an alert is over: it says when, and triggers nothing."""
        detail: dict[str, object] = {**_kept(alert), "fingerprint": alert.fingerprint}
        self._ledger.record(ACTOR, "alert.resolved", alert.model, detail)


def _kept(alert: Alert) -> dict[str, str]:
    """Return the labels that may be kept, printable and short."""
    chosen = {name: alert.labels[name] for name in LABELS if alert.labels.get(name)}
    return {
        name: "".join(c if c.isprintable() else "?" for c in value[:LABEL_CHARACTERS])
        for name, value in chosen.items()
    }


def _body(asked: Asked) -> bytes | Reply:
    """Return the body of a request, or the refusal of one without a size or too large."""
    given = str(asked.environ.get("CONTENT_LENGTH") or "")
    if not given.isdecimal():
        return _told(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
    size = int(given)
    if size > BODY_BYTES_MAX:
        _drop(asked)
        sentence = f"expected at most {BODY_BYTES_MAX} bytes, got {size}"
        return _told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
    try:
        body: bytes = asked.environ["wsgi.input"].read(size)
    except OSError:  # whoever sent it stopped in the middle
        body = b""
    if len(body) < size:
        return _told(HTTPStatus.BAD_REQUEST, f"expected {size} bytes, got {len(body)}")
    return body


def _drop(asked: Asked) -> None:
    """Read some of a body that nobody wants: a connection closed upon it loses the answer."""
    given = str(asked.environ.get("CONTENT_LENGTH") or "")
    if given.isdecimal():
        try:
            asked.environ["wsgi.input"].read(min(int(given), UNREAD_BYTES))
        except OSError:
            return


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the payload"
    return f"{place[:200]}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _told(status: HTTPStatus, sentence: str, extra: tuple[tuple[str, str], ...] = ()) -> Reply:
    body = json.dumps({"error": sentence}).encode()
    return Reply(status, body, "application/json", "no-store", extra)
