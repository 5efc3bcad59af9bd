"""Which alert a change would raise, and how soon: runs of prompts through the monitoring's rules.

A run draws judged prompts with replacement: some as they are, then changed ones, CHANGED_WINDOWS
windows of the gate. The few prompts that are drawn again and again differ from the reference as a
sample does; COMBO would notice, for a real stream never repeats itself. So what it averages is
measured from the mean of the quiet prompts. A rule that fires in many runs without any change tells
nothing of a change, and is not named for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.calibration import WARM_UP_PROMPTS
from monitoring.levels import window_rows
from monitoring.reference import Reference
from service.assess.crossing import HARM, MOVED, WINDOW_MINUTES, Rule, crossed, held
from service.assess.findings import Severity
from service.assess.judged import Judged

Places = NDArray[np.intp]
Fired = Mapping[str, int]
"""After how many prompts of the change each rule fires that does."""

RUNS = 10
CHANGED_WINDOWS = 4
TELLING = 0.2  # of the quiet runs: a rule that fires in more is not named
STALLED = "SonobaMonitorStalled"
STALLED_PROMPTS = 240  # 0.2 calls a second for ten minutes without a count, and `for: 10m`


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the runs of one change raise."""

    alert: str = ""
    severity: Severity | None = None
    prompts: int | None = None  # from the change on, in the middle run
    share: float = 0.0  # of the runs in which it fires; of no alert, in which any does


class Run(NamedTuple):
    """The watched prompts of a run."""

    prompts: Judged  # m of them
    came: Places  # (m,) how many had come before each, watched or not
    start: int  # the change


@dataclass(frozen=True, slots=True)
class Replay:
    """Runs against one reference; `quiet` are the prompts unchanged."""

    reference: Reference
    quiet: Judged
    seed: int
    quiet_fired: tuple[Fired, ...]

    @classmethod
    def of(cls, reference: Reference, quiet: Judged, seed: int) -> Self:
        """Return runs of prompts, the quiet ones already looked at."""
        made = cls(reference, quiet, seed, ())
        rules = (*HARM, MOVED)
        fired = tuple(made.fired(run, rules) for run in made.runs(quiet))
        return cls(reference, quiet, seed, fired)

    @property
    def window(self) -> int:
        """The prompts that the gate looks at."""
        rows = window_rows(self.reference.feature_count)
        return max(self.reference.window_prompts, -(-rows // int(self.quiet.rows[0])))

    @property
    def run_prompts(self) -> int:
        """The prompts of a run after the change."""
        return CHANGED_WINDOWS * self.window

    @property
    def quiet_share(self) -> float:
        """The share of runs without a change in which a rule fires that calls somebody."""
        calls = [any(rule.alert in run for rule in HARM) for run in self.quiet_fired]
        return float(np.mean(calls))

    def alarm(self, changed: Judged) -> Alarm:
        """Return the most severe alert that fires in at least half of the runs with a change."""
        if changed.answered.any() and not changed.watched.any():
            prompts = round(STALLED_PROMPTS / float(changed.answered.mean()))
            return Alarm(STALLED, "critical", prompts, 1.0)
        runs = [*self.runs(changed)]
        harm = [self.fired(run, self._telling(HARM)) for run in runs]
        if (found := _middle(harm)).alert:
            return found
        info = [self.fired(run, self._telling((MOVED,))) for run in runs]
        return _middle([{**one, **other} for one, other in zip(info, harm, strict=True)])

    def _telling(self, rules: Sequence[Rule]) -> list[Rule]:
        """Return the rules that mostly stay silent where nothing changes."""
        most = TELLING * len(self.quiet_fired)
        return [r for r in rules if sum(r.alert in run for run in self.quiet_fired) <= most]

    def runs(self, changed: Judged) -> Iterator[Run]:
        """Yield runs that turn from quiet prompts to changed ones."""
        P, usual = len(self.quiet.rows), self.quiet.usual_covariates()
        is_alike = changed.rows[0] == self.quiet.rows[0]
        usual_now = usual if is_alike else changed.usual_covariates()  # a mean is of one length
        whole = self.quiet.measured_from(usual).joined(changed.measured_from(usual_now))
        start = max(self.window, WARM_UP_PROMPTS)
        for run in range(RUNS):
            rng = np.random.default_rng([self.seed, run])
            order = rng.integers(0, P, start + self.run_prompts)  # (n,)
            order[start:] += P
            came = np.flatnonzero(whole.watched[order])  # (m,)
            yield Run(whole.take(order[came]), came, start)

    def fired(self, run: Run, rules: Sequence[Rule]) -> Fired:
        """Return the rules that fire in a run, and when."""
        after = run.came >= run.start  # (m,)
        found = {}
        over = crossed(run.prompts, self.reference, rules)
        for rule in rules:
            hold = round(rule.minutes / WINDOW_MINUTES * self.window)
            place = held(over[rule.alert][after], hold)
            if place is not None:
                found[rule.alert] = int(run.came[after][place]) - run.start + 1
        return found


def _middle(fired: Sequence[Fired]) -> Alarm:
    """Return the most severe alert of at least half of the runs."""
    for rule in (*HARM, MOVED):
        prompts = [run[rule.alert] for run in fired if rule.alert in run]
        if 2 * len(prompts) >= len(fired):
            share = len(prompts) / len(fired)
            return Alarm(rule.alert, rule.severity, round(float(np.median(prompts))), share)
    return Alarm(share=float(np.mean([bool(run) for run in fired])))
