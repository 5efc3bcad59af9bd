"""Whether today's predictions can be trusted: YES, WATCH, NO or NOT_MEASURED, and why.

Lines, delays and hysteresis are those of the alerts, so that page and pager agree; only the two
harm rules do not wait, for nobody is woken by a page.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from monitoring.levels import CRITICAL, LEAVE, MAJOR, WARNING
from monitoring.snapshot import Snapshot

KEEP_SECONDS = 1800.0  # calm that ends an alarm
STALE_SECONDS = 6 * 3600.0  # a window older than this says nothing of today
NOT_KNOWN = float("nan")


class Trust(StrEnum):
    """The answer, from the least to the most serious."""

    NOT_MEASURED = "NOT_MEASURED"
    YES = "YES"
    WATCH = "WATCH"
    NO = "NO"

    @property
    def severity(self) -> int:
        """How serious it is: the answer for all models is that of the worst one."""
        return list(Trust).index(self)


class Rule(NamedTuple):
    """One reason not to say a plain YES."""

    code: str
    trust: Trust
    runbook: str  # the alert's name
    measure: Callable[[Snapshot], float]
    enter: float
    leave: float
    wait_seconds: float = 0.0  # above `enter` before it holds
    keep_seconds: float = 0.0  # not above `leave` before it ends


class Finding(NamedTuple):
    """What one model is given for an answer, and the numbers of the sentence that says so."""

    trust: Trust
    code: str
    runbook: str = ""
    value: float = NOT_KNOWN
    limit: float = NOT_KNOWN
    leave: float = NOT_KNOWN
    clears_in_seconds: float = NOT_KNOWN  # of calm that are still missing; NaN while not calm


class Latch:
    """Remembers whether a rule holds."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._above_since = NOT_KNOWN
        self._calm_since = NOT_KNOWN
        self.is_on = False

    def update(self, value: float, now: float) -> None:
        """Look at a value, NaN for none, at a Unix time."""
        if value > (self._rule.leave if self.is_on else self._rule.enter):
            self._calm_since = NOT_KNOWN
            self._above_since = _earlier(self._above_since, now)
            self.is_on |= now - self._above_since >= self._rule.wait_seconds
        else:
            self._above_since = NOT_KNOWN
            self._calm_since = _earlier(self._calm_since, now)
            self.is_on &= now - self._calm_since < self._rule.keep_seconds

    def clears_in_seconds(self, now: float) -> float:
        """Return the calm that is still missing; NaN while it has not begun."""
        return self._calm_since + self._rule.keep_seconds - now


class Judge:
    """Gives one model, against one reference, its answer; remembers what alarms still hold."""

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self._latches = [(rule, Latch(rule)) for rule in rules(keep_seconds)]

    def judge(self, snapshot: Snapshot, now: float) -> Finding:
        """Return the most serious finding at a Unix time; every call also updates the memory."""
        is_stale = 0.0 < snapshot.last_update_seconds < now - STALE_SECONDS
        values = [NOT_KNOWN if is_stale else rule.measure(snapshot) for rule, _ in self._latches]
        for value, (_, latch) in zip(values, self._latches, strict=True):
            latch.update(value, now)
        is_measured = not is_stale and snapshot.gate == snapshot.gate
        for value, (rule, latch) in zip(values, self._latches, strict=True):
            if latch.is_on and (is_measured or rule.trust is not Trust.YES):
                left = latch.clears_in_seconds(now)
                limits = (rule.enter, rule.leave)
                return Finding(rule.trust, rule.code, rule.runbook, value, *limits, left)
        if is_measured:
            return Finding(Trust.YES, "NORMAL", value=_mean_ratio(snapshot), limit=WARNING)
        return _unmeasured(snapshot, is_stale)


def rules(keep_seconds: float = KEEP_SECONDS) -> tuple[Rule, ...]:
    """Return every rule, the most serious first."""
    critical, major = "SonobaErrorInflationCritical", "SonobaErrorInflationMajor"
    warning, short = "SonobaErrorInflationWarning", "SonobaShortContexts"
    clipped, moved = "SonobaClippedPrompts", "SonobaCovariatesMoved"
    watch = Trust.WATCH
    return (
        Rule("HARM_CRITICAL", Trust.NO, critical, _gate, CRITICAL, LEAVE, 0.0, keep_seconds),
        Rule("HARM_MAJOR", watch, major, _gate, MAJOR, LEAVE, 0.0, keep_seconds),
        Rule("HARM_WARNING", watch, warning, _mean_ratio, WARNING, WARNING, 900.0),
        Rule("SHORT_CONTEXTS", watch, short, lambda s: s.length_effect, 1.5, 1.5, 1800.0),
        Rule("CLIPPED_PROMPTS", watch, clipped, lambda s: s.clipped_share, 0.05, 0.05, 600.0),
        Rule("COVARIATES_MOVED", Trust.YES, moved, lambda s: s.info_score, 1.0, 1.0, 300.0),
    )


def _gate(snapshot: Snapshot) -> float:
    return snapshot.gate


def _mean_ratio(snapshot: Snapshot) -> float:
    """Return the larger mean of the clipped ratios; NaN until warm."""
    means = [v.clipped_mean for v in snapshot.levels.values() if v.gate == v.gate]
    return max(means, default=NOT_KNOWN)


def _unmeasured(snapshot: Snapshot, is_stale: bool) -> Finding:
    """Return why there is nothing to say."""
    if is_stale:
        return Finding(Trust.NOT_MEASURED, "NO_RECENT_TRAFFIC")
    if not snapshot.prompt_count:
        return Finding(Trust.NOT_MEASURED, "NO_TRAFFIC")
    code = "WARMING" if snapshot.reference else "NO_REFERENCE"
    return Finding(Trust.NOT_MEASURED, code, value=snapshot.prompt_count)


def _earlier(known: float, now: float) -> float:
    """Return when something began: NaN until it did."""
    return known if known == known else now
