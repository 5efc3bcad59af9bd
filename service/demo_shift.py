"""The demo's last act: a clock is set to UTC, and the server's own page says so.

The hours of Washington arrive five hours later, in examples and queries. No single row is out of
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
UTC_HOURS = 5  # Washington's standard time is as far behind
CYCLES = (("h_sin", "h_cos", 1), ("h2_sin", "h2_cos", 2))  # of the hour, turns a day
ANSWERS = {"YES": "YES", "WATCH": "WATCH", "NO": "NO", "NOT_MEASURED": "NOT MEASURED"}


class Act(NamedTuple):
    """What the page said before and after, and what really happened to the error."""

    before: dict[str, Any]  # /status.json
    after: dict[str, Any]
    prompt_count: int  # with the wrong clock, until the page said NO; 0 when it never did
    real_ratio: float  # mean squared error by the labels, after ÷ before
    usual: float = 1.0  # that error before

    def findings(self) -> list[str]:
        """Return it in sentences."""
        told = ANSWERS[self.before["answer"]]
        found = [
            f"Before the last act the status page of the server said {told}. Then the clock was "
            f"set to UTC: every hour arrived {UTC_HOURS} hours later."
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


def in_utc(x: Array, features: tuple[str, ...]) -> Array:
    """Return rows (..., d) whose hours are told in UTC, five hours later.

    The hour is in the data as sine and cosine of its place in the day and in half a day.
    """
    changed = x.copy()
    for sine, cosine, turns in CYCLES:
        i, j = features.index(sine), features.index(cosine)
        angle = 2.0 * np.pi * turns * UTC_HOURS / 24.0
        changed[..., i] = x[..., i] * np.cos(angle) + x[..., j] * np.sin(angle)
        changed[..., j] = x[..., j] * np.cos(angle) - x[..., i] * np.sin(angle)
    return changed


def play(send: Send, page: str, hours: Hours, seed: int, tell: Callable[[float, str], None]) -> Act:
    """Send prompts until the page says NO, and some more until it can say why."""
    tell(0.0, "the page before the last act")
    prompts = draw(hours, LENGTH, 2 * MOST, seed + 1)
    calm = part(prompts, MOST, MOST + WHOLE // 2)
    usual = error_of(calm, send(calm))
    before = _calm(page)
    errors, told, count = [], 0, 0
    while count < MOST and not (told and count >= WHOLE):
        some = changed(part(prompts, count, count + TOGETHER), hours.features)
        errors.append(error_of(some, send(some)))
        count += TOGETHER
        tell(count / MOST, "prompts with a clock in UTC")
        time.sleep(LOOK_SECONDS)
        if not told and status(page)["answer"] == "NO":
            told = count
    return Act(before, status(page), told, float(np.mean(errors)) / usual, usual)


def status(page: str, model: str = "") -> dict[str, Any]:
    """Return what the page of a server shows, in detail of one model or of the worst."""
    chosen = f"?model={model}" if model else ""
    with urllib.request.urlopen(f"{page}/status.json{chosen}", timeout=5.0) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def _calm(page: str) -> dict[str, Any]:
    """Return the page once it has looked at what was sent; it says so in the end at any rate."""
    ends = time.monotonic() + CALM_SECONDS
    while (found := status(page))["answer"] == "NOT_MEASURED" and time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
    return found


def part(prompts: Prompts, start: int, end: int) -> Prompts:
    """Return some of the prompts."""
    some = slice(start, end)
    x, queries = prompts.x[some], prompts.queries[some]
    return Prompts(prompts.week[some], x, prompts.y[some], queries, prompts.truth[some])


def changed(prompts: Prompts, features: tuple[str, ...]) -> Prompts:
    """Return the prompts as a system sends them whose clock is in UTC."""
    x, queries = in_utc(prompts.x, features), in_utc(prompts.queries, features)
    return replace(prompts, x=x, queries=queries)


def error_of(prompts: Prompts, answers: Array) -> float:
    """Return the mean squared error by the labels of the queries."""
    return float(np.square(answers - prompts.truth).mean())
