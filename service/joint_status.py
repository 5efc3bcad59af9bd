"""The status of all workers as one: can today's predictions be trusted, whoever gave them?

The answer is the worst of what the workers say and of what their windows show together. It is
looked for regularly, so that its memory does not depend on somebody asking.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from monitoring.levels import CRITICAL
from monitoring.snapshot import Snapshot
from service import joint_sections as sections
from service.background import Repeating
from service.joint_levels import joint_snapshots
from service.standing import Standing
from service.status_numbers import Section, lines, plain, reason
from service.trust import Finding, Judge, Trust
from service.worker_answers import Answers, Ask, Heard, worst

log = logging.getLogger("sonoba")

LOOK_SECONDS = 10.0
UNKNOWN = Finding(Trust.NOT_MEASURED, "NO_WORKER")


class Joint(NamedTuple):
    """What all windows of one model show together."""

    snapshot: Snapshot
    finding: Finding


class JointStatus(Repeating):
    """Asks the workers and adds up what they say."""

    def __init__(
        self,
        standings: Callable[[], Sequence[Standing]],
        ask: Ask,
        keep_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take who there is, how to ask, and the calm that ends an alarm; clock is Unix time."""
        super().__init__(self._look, LOOK_SECONDS, "status")
        self._standings, self._ask, self._keep_seconds = standings, ask, keep_seconds
        self._clock, self._lock = clock, threading.Lock()
        self._answers = Answers(keep_seconds)
        self._judges: dict[tuple[str, str, str], Judge] = {}
        self._trust, self._since = Trust.NOT_MEASURED, clock()
        self._pool = ThreadPoolExecutor(len(standings()), "status")

    def stop(self) -> None:
        """End the threads."""
        super().stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def report(self, model: str | None = None) -> Section:
        """Return the contract of `/status.json` for all workers, and `workers` beside it.

        A model that no worker serves is a KeyError.
        """
        fresh = self._ask_all(None)
        with self._lock:
            now = self._clock()
            heard, joint = self._judged(fresh, now)
            trust, since = self._trust, self._since
        first = worst(heard)
        why, about = _reason(first, joint, trust)
        reports = [one for _, one in fresh if one is not None]
        shown = model or about or (reports[0]["model"] if reports else "")
        details = self._detailed(fresh, shown)
        if model and not details:
            raise KeyError(model)
        last = [one.report for one in heard if one.is_kept and one.report is not None]
        kept = [one for one in last if one["model"] == shown]
        return {
            **{"answer": trust, "reason": why, "since": round(since), "now": round(now)},
            "lines": lines(),
            **_of_model(shown, details, kept, joint),
            "models": sections.models(reports),
            "skipped": sections.skipped(details),
            "last_evaluation": sections.evaluation(details),
            "replicas": sum(one.standing.is_ready for one in heard),
            "workers": sections.workers(heard),
        }

    def _look(self) -> None:
        try:
            fresh = self._ask_all(None)
            with self._lock:
                self._judged(fresh, self._clock())
        except Exception:
            log.exception("the workers' answers are missing once")

    def _ask_all(self, model: str | None) -> list[tuple[Standing, Section | None]]:
        standings = list(self._standings())
        answers = self._pool.map(lambda one: self._ask(one, model), standings)
        return list(zip(standings, answers, strict=True))

    def _detailed(
        self, fresh: Sequence[tuple[Standing, Section | None]], shown: str
    ) -> list[Section]:
        """Return the reports about one model, asked for again where they are about another."""
        known = [one for _, one in fresh if one is not None]
        other = [standing for standing, one in fresh if one and one["model"] != shown]
        again = self._pool.map(lambda one: self._ask(one, shown), other)
        found = [one for one in known if one["model"] == shown]
        return found + [one for one in again if one is not None]

    def _judged(
        self, fresh: Sequence[tuple[Standing, Section | None]], now: float
    ) -> tuple[list[Heard], Joint | None]:
        """Return what counts of every worker and the worst joint finding; update the memory."""
        heard = [self._answers.heard(standing, report, now) for standing, report in fresh]
        together = joint_snapshots(one for _, one in fresh if one is not None)
        keys = [(one.model, one.version, one.reference) for one in together]
        judges = self._judges
        self._judges = {key: judges.get(key) or Judge(self._keep_seconds) for key in keys}
        found = [
            Joint(one, self._judges[key].judge(one, now))
            for key, one in zip(keys, together, strict=True)
        ]
        joint = max(found, key=lambda one: one.finding.trust.severity, default=None)
        trusts = [one.trust for one in heard] + [one.finding.trust for one in found]
        trust = max(trusts, key=lambda one: one.severity)
        if trust is not self._trust:
            self._trust, self._since = trust, now
        return heard, joint


def _reason(first: Heard, joint: Joint | None, trust: Trust) -> tuple[Section, str]:
    """Return the reason of an answer and the model it is about."""
    if first.report is not None and (joint is None or first.trust is trust):
        return first.report["reason"], first.report["reason"]["model"]
    if joint is None:
        return reason(UNKNOWN, None), ""
    return reason(joint.finding, joint.snapshot), joint.snapshot.model


def _of_model(
    shown: str, details: Sequence[Section], kept: Sequence[Section], joint: Joint | None
) -> Section:
    """Return what is told of one model: what moved is what the most harmed worker saw."""
    told = [*details, *kept]
    ranked = sorted(told, key=lambda one: (one["score"] is not None, one["score"] or 0.0))
    most = ranked[-1] if ranked else _NOTHING
    scores = [one["score"] for one in told if one["score"] is not None]
    if joint is not None and joint.snapshot.model == shown:
        gate = plain(joint.snapshot.gate / CRITICAL)
        scores += [] if gate is None else [gate]
    named = ("version", "kind", "moved", "directions", "shift_kind", "signature")
    return {
        "model": shown,
        **{name: most[name] for name in named},
        "score": max(scores, default=None),
        **sections.series(details),
    }


_NOTHING: Section = {
    **{"version": "", "kind": "", "score": None, "moved": [], "directions": []},
    **{"shift_kind": "", "signature": ""},
}
