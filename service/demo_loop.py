"""The demo's last act goes on: the alert starts a re-evaluation, and the model is mended.

What Prometheus and Alertmanager do in production, the demo does itself: it posts the alert once the
page says NO. All else is the service's own: the re-evaluator judges sums of the prompts, lets a
recalibrated version answer beside the one in force, and puts it in force when it has proved better.
"""

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.demo_profile import NAME
from service.demo_shift import (
    ANSWERS,
    LOOK_SECONDS,
    TOGETHER,
    Send,
    changed,
    error_of,
    part,
    status,
)
from service.replay import Hours, draw
from service.trial_server import Trial, trial_reevaluator

LENGTH = 32
MOST = 4000  # prompts, before it is said that nothing helped
SETTLED = 300  # prompts of the new version, by whose labels it is judged
ALERT = {"alertname": "SonobaErrorInflationCritical", "severity": "critical"}


class Tokens(NamedTuple):
    """Files that hold the tokens of one demo."""

    admin: Path
    webhook: Path

    def flags(self) -> tuple[str, ...]:
        """Return what lets a re-evaluator in."""
        return "--admin-token-file", str(self.admin)


class Mended(NamedTuple):
    """What became of the model."""

    evaluation: dict[str, Any]  # last_evaluation of /status.json; empty where there was none
    versions: tuple[str, str]  # in force before and in the end
    after: dict[str, Any]  # /status.json
    prompt_count: int  # that it took
    seconds: float
    real_ratio: float  # mean squared error by the labels, in the end ÷ before the shift

    def findings(self, reports: Path) -> list[str]:
        """Return it in sentences."""
        alarm = "The page's NO was posted as an alert, as Alertmanager would."
        if not self.evaluation:
            return [f"{alarm} {self.prompt_count} prompts later no evaluation had ended."]
        identity = self.evaluation["evaluation_id"]
        record = json.loads((reports / f"{identity}.json").read_text(encoding="utf-8"))
        told = f"The re-evaluation concluded: {record['findings']['sentence']['en']}"
        read = f"Its report is {reports / f'{identity}.html'}."
        if not self.is_mended:
            return [alarm, told, f"No other version was put in force. {read}"]
        said = ANSWERS[self.after["answer"]]
        return [
            alarm,
            told,
            f"A recalibrated version, {self.versions[1]}, answered beside {self.versions[0]}, "
            f"proved better and was put in force; {self.seconds:.0f} s and {self.prompt_count} "
            f"prompts after the alert the page said {said}. {read}",
        ]

    @property
    def is_mended(self) -> bool:
        """Whether another version is in force."""
        return self.versions[0] != self.versions[1]


def new_tokens(folder: Path) -> Tokens:
    """Write fresh tokens that only we may read."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = Tokens(folder / "admin.token", folder / "webhook.token")
    for path in paths:
        path.touch(0o600)
        path.write_text(f"{secrets.token_urlsafe(24)}\n", encoding="utf-8")
    return paths


@contextmanager
def reevaluating(server: Trial, out: Path, tokens: Tokens) -> Iterator[Callable[[], None]]:
    """Run a re-evaluator beside a server; yield what posts the alert."""
    flags = {
        "--store": out / "store",
        "--replicas": server.admin,
        "--webhook-token-file": tokens.webhook,
        "--reports": out / "reports",
    }
    pairs = [str(one) for pair in flags.items() for one in pair]
    with trial_reevaluator(*tokens.flags(), *pairs) as there:
        token = tokens.webhook.read_text(encoding="utf-8").strip()
        yield lambda: _post(there.alerts, token)


def mend(
    send: Send,
    page: str,
    alarm: Callable[[], None],
    hours: Hours,
    seed: int,
    usual: float,
    tell: Callable[[float, str], None],
) -> Mended:
    """Post the alert and go on with shifted prompts until the page says YES again.

    usual is the mean squared error before the shift.
    """
    began, version = time.monotonic(), str(status(page, NAME)["version"])
    alarm()
    prompts = draw(hours, LENGTH, MOST, seed + 2)
    errors: list[float] = []  # of parts that the new version answered
    count, found = 0, status(page, NAME)
    while count < MOST and not (found["answer"] == "YES" and len(errors) * TOGETHER >= SETTLED):
        some = changed(part(prompts, count, count + TOGETHER), hours.features)
        error = error_of(some, send(some))
        count += TOGETHER
        if found["version"] != version:
            errors.append(error)
        tell(min(count / MOST, 1.0), _stage(found, version))
        time.sleep(LOOK_SECONDS / 4)
        found = status(page, NAME)
    told = found["last_evaluation"] or {}
    ratio = float(np.mean(errors)) / usual if errors else float("nan")
    versions = version, str(found["version"])
    return Mended(told, versions, found, count, time.monotonic() - began, ratio)


def _stage(found: dict[str, Any], version: str) -> str:
    """Return where the loop is, in a few words."""
    if found["version"] != version:
        return "a recalibrated version is in force"
    return "re-evaluating, sums of prompts only" if found["answer"] == "NO" else "watching"


def _post(url: str, token: str) -> None:
    """Post what Alertmanager would."""
    labels = {**ALERT, "model": NAME, "action": "reevaluate"}
    alert = {
        "status": "firing",
        "labels": labels,
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": "demo",
    }
    body = json.dumps({"version": "4", "status": "firing", "alerts": [alert]}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=10.0) as reply:
        reply.read()
