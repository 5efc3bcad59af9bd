"""The demo's last act: a clock loses AM and PM, and the server's own page says so.

Hours after noon arrive as hours of the morning, in examples and queries. No single row is out of
range; what the profile knows of the day no longer holds. Nobody tells the server: it must see it.
"""

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.replay import Hours, Prompts, draw

Array = NDArray[np.float64]
Send = Callable[[Prompts], Array]
"""Sends prompts to the profile and returns its answers (B, Q)."""

LENGTH = 32
TOGETHER = 20  # prompts between two looks at the page
MOST = 400  # prompts, before it is said that the page saw nothing
WHOLE = 200  # prompts that fill the window which causes are read from
LOOK_SECONDS = 0.7  # the monitor takes up to half a second
CALM_SECONDS = 15.0
ANSWERS = {"YES": "YES", "WATCH": "WATCH", "NO": "NO", "NOT_MEASURED": "NOT MEASURED"}


class Act(NamedTuple):
    """What the page said before and after, and what really happened to the error."""

    before: dict[str, Any]  # /status.json
    after: dict[str, Any]
    prompt_count: int  # with the lost clock, until the page said NO; 0 when it never did
    real_ratio: float  # mean squared error by the labels, after ÷ before

    def findings(self) -> list[str]:
        """Return it in sentences."""
        told = ANSWERS[self.before["answer"]]
        found = [
            f"Before the last act the status page of the server said {told}. Then the clock lost "
            "AM and PM: hours after noon arrived as hours of the morning."
        ]
        hidden = "by the labels of the queries, which the server never sees"
        real = f"({hidden}: {self.real_ratio:.1f} times)"
        if not self.prompt_count:
            said = ANSWERS[self.after["answer"]]
            return [*found, f"After {MOST} such prompts it said {said} {real}."]
        errors = self.after["series"]["leave_one_out"]
        return [
            *found,
            f"After {self.prompt_count} such prompts it said NO: squared errors are "
            f"{errors[-1]:.1f} times as large as normal {real}.",
            f"The column it blames most is {', then '.join(self.columns())} of the harm.",
        ]

    def columns(self) -> list[str]:
        """Return the three columns that hurt most, with their share of the harm."""
        return [
            f"{one['name']} with {one['harm_share']:.0%}".replace("%", " %")
            for one in self.after["moved"][:3]
            if one["harm_share"] is not None
        ]


def lost_noon(x: Array, features: tuple[str, ...]) -> Array:
    """Return rows (..., d) whose hours after noon are twelve less, as a 12-hour clock tells them.

    The hour is in the data as sine and cosine of its place in the day.
    """
    changed = x.copy()
    sine, cosine = features.index("h_sin"), features.index("h_cos")
    at_noon = (np.abs(x[..., sine]) < 1e-9) & (x[..., cosine] < 0.0)
    late = (x[..., sine] < -1e-9) | at_noon
    changed[..., sine] = np.where(late, -x[..., sine], x[..., sine])
    changed[..., cosine] = np.where(late, -x[..., cosine], x[..., cosine])
    return changed


def play(send: Send, page: str, hours: Hours, seed: int, tell: Callable[[float, str], None]) -> Act:
    """Send prompts until the page says NO, and some more until it can say why."""
    tell(0.0, "the page before the last act")
    prompts = draw(hours, LENGTH, 2 * MOST, seed + 1)
    calm = _part(prompts, MOST, MOST + WHOLE // 2)
    usual = _error(calm, send(calm))
    before = _calm(page)
    errors, told, count = [], 0, 0
    while count < MOST and not (told and count >= WHOLE):
        part = _part(prompts, count, count + TOGETHER)
        part = _changed(part, hours.features)
        errors.append(_error(part, send(part)))
        count += TOGETHER
        tell(count / MOST, "prompts with a lost clock")
        time.sleep(LOOK_SECONDS)
        if not told and status(page)["answer"] == "NO":
            told = count
    return Act(before, status(page), told, float(np.mean(errors)) / usual)


def status(page: str) -> dict[str, Any]:
    """Return what the page of a server shows."""
    with urllib.request.urlopen(f"{page}/status.json", timeout=5.0) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def _calm(page: str) -> dict[str, Any]:
    """Return the page once it has looked at what was sent; it says so in the end at any rate."""
    ends = time.monotonic() + CALM_SECONDS
    while (found := status(page))["answer"] == "NOT_MEASURED" and time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
    return found


def _part(prompts: Prompts, start: int, end: int) -> Prompts:
    some = slice(start, end)
    x, queries = prompts.x[some], prompts.queries[some]
    return Prompts(prompts.week[some], x, prompts.y[some], queries, prompts.truth[some])


def _changed(prompts: Prompts, features: tuple[str, ...]) -> Prompts:
    x, queries = lost_noon(prompts.x, features), lost_noon(prompts.queries, features)
    return replace(prompts, x=x, queries=queries)


def _error(prompts: Prompts, answers: Array) -> float:
    return float(np.square(answers - prompts.truth).mean())
