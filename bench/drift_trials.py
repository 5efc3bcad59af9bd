"""The runs: quiet prompts, random scenarios, delays after the shifts that are known by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Arrivals, Law, arrive, gates, inflations, observed
from bench.drift_detectors import (
    ADWIN_NAMES,
    KS_LINE,
    NAMES,
    PSI_LINE,
    ROWS_PER_ALARM,
    Ruler,
    calls,
    combo_scores,
    covariate_scores,
    false_alarms,
    line,
)
from bench.drift_scenarios import (
    QUIET_PROMPTS,
    ROWS_TO_ALARM,
    SIZES,
    Outcome,
    scenario,
    stream,
    true_ratios,
)
from bench.drift_subjects import Setting, subjects
from bench.drift_worlds import SHIFTS
from monitoring.calibration import calibrate
from monitoring.levels import CRITICAL, MAJOR

Array = NDArray[np.float64]
Tick = Callable[[], None]

FIXED = {"critical": ("gate", CRITICAL), "major": ("gate", MAJOR)}
TEXTBOOK = {"KS, p < .05": ("KS", KS_LINE), "PSI > .2": ("PSI", PSI_LINE)}
DELAYED = (
    *("scale_1.5", "scale_2", "rotation", "correlation", "mean_0.5", "one_scale_2", "t3"),
    *("query_2", "noise_4", "scale_1.1", "mean_0.25", "task_new"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried, with each of the references of a setting."""

    reference_count: int = 2
    scenarios_a_shift: int = 10
    truth_prompts: int = 800
    normal_prompts: int = 6000
    quiet_streams: int = 4
    quiet_prompts: int = 900  # a stream
    delay_streams: int = 8
    delay_prompts: int = 200  # a stream
    state_prompts: int = 1_000_000
    cost_shapes: int = 3  # of the prompts whose cost is measured, the smallest first
    cost_repeats: int = 40


QUICK = Plan(1, 2, 200, 800, 2, 400, 2, 100, 4_000, 1, 5)


class Quiet(NamedTuple):
    """Quiet prompts as one model with one reference saw them."""

    setting: str
    kind: str
    prompt_count: int
    largest_gate: float
    pages: int  # prompts after which the gate was above critical
    tickets: int
    channels: tuple[float, float]  # mean u of h and LOO


class Delay(NamedTuple):
    """How long a detector took after a shift."""

    setting: str
    kind: str
    shift: str
    true_ratio: float
    detector: str
    prompts: list[float]  # by stream, infinite where it did not call


class RunLength(NamedTuple):
    """How often a detector called on quiet prompts at its line."""

    setting: str
    kind: str
    detector: str
    line: float
    rows: float  # for one false call


class Trial(NamedTuple):
    """All of one setting and reference."""

    quiet: list[Quiet]
    outcomes: list[Outcome]
    delays: list[Delay]
    run_lengths: list[RunLength]


class _Bench:
    """The subjects of one reference and the lines of the detectors."""

    def __init__(self, setting: Setting, plan: Plan, seed: int) -> None:
        self.setting, self.plan = setting, plan
        self.rng = np.random.default_rng([seed, 2])
        self.subjects = subjects(setting, seed, plan.normal_prompts)
        reference = self.subjects[0].reference
        sample = arrive(setting.quiet, 400, setting.lengths, self.rng).rows()
        self.ruler = Ruler.fit(sample, reference.normal, reference.calibration)
        self.lines: dict[str, dict[str, float]] = {}  # by kind of model, then detector

    def scores(self, came: Arrivals) -> dict[str, dict[str, Array]]:
        """Return by kind of model every detector's values (n,)."""
        shared = covariate_scores(self.ruler, came)
        found = {}
        for one in self.subjects:
            seen, places = observed(one.model, came)
            full = np.full((3, len(came.counts)), np.nan)  # (3, n)
            full[0, places] = gates(one.reference, seen)
            full[1:, places] = inflations(one.reference, seen).clipped.T
            full = np.where(np.isnan(full), [[0.0], [1.0], [1.0]], full)
            own = dict(zip(("gate", *ADWIN_NAMES), full, strict=True))
            found[one.kind] = own | shared
        return found

    def delays(self, kind: str, values: dict[str, Array], counts: Array) -> dict[str, float]:
        """Return the prompts to the call by detector, within ROWS_TO_ALARM."""
        equal = {name: (name, self.lines[kind][name]) for name in NAMES}
        equal["gate, equal rate"] = equal.pop("gate")
        within = int((np.cumsum(counts[QUIET_PROMPTS:]) <= ROWS_TO_ALARM).sum())
        found = {}
        for label, (name, at) in {**FIXED, **TEXTBOOK, **equal}.items():
            called = calls(name, values[name], at) - QUIET_PROMPTS
            later = called[(called >= 0) & (called < within)]
            found[label] = float(later[0] + 1) if len(later) else float("inf")
        return found


def trial(setting: Setting, plan: Plan, seed: int, tick: Tick) -> Trial:
    """Run everything in a setting, with a reference drawn by the seed."""
    bench = _Bench(setting, plan, seed)
    tick()
    quiet, run_lengths = _quiet(bench)
    tick()
    outcomes = []
    for shift in SIZES:
        outcomes += _outcomes(bench, shift)
        tick()
    delays = _delays(bench)
    tick()
    return Trial(quiet, outcomes, delays, run_lengths)


def _quiet(bench: _Bench) -> tuple[list[Quiet], list[RunLength]]:
    """Watch quiet prompts, and draw the detectors' lines from them."""
    setting, plan = bench.setting, bench.plan
    came = [
        arrive(setting.quiet, plan.quiet_prompts, setting.lengths, bench.rng)
        for _ in range(plan.quiet_streams)
    ]
    rows = [one.counts for one in came]
    streams = [bench.scores(one) for one in came]
    found, lengths = [], []
    for kind in streams[0]:
        values = {name: [one[kind][name] for one in streams] for name in NAMES}
        lines = bench.lines[kind] = {name: line(name, values[name], rows) for name in NAMES}
        gate = np.concatenate(values["gate"])  # (n,)
        means = [float(np.concatenate(values[name]).mean()) for name in ADWIN_NAMES]
        above = [int((gate > at).sum()) for at in (CRITICAL, MAJOR)]
        largest = float(gate.max())
        channels = (means[0], means[1])
        found.append(Quiet(setting.name, kind, len(gate), largest, above[0], above[1], channels))
        for name in NAMES:
            length = false_alarms(name, values[name], rows, lines[name])
            lengths.append(RunLength(setting.name, kind, name, lines[name], length))
    lengths.append(_combo_length(bench, came, rows))
    return found, lengths


def _combo_length(bench: _Bench, came: list[Arrivals], rows: list[Array]) -> RunLength:
    """Return COMBO's run length at the line of its own calibration from 400 prompts."""
    sample = arrive(bench.setting.quiet, 400, bench.setting.lengths, bench.rng).rows()
    normal = type(bench.ruler.normal).fit(sample)
    own = calibrate(normal, sample, ROWS_PER_ALARM)
    scores = [combo_scores(normal, own, one.rows()) for one in came]
    length = false_alarms("COMBO", scores, rows, 1.0)
    return RunLength(bench.setting.name, "", "COMBO as calibrated", 1.0, length)


def _outcomes(bench: _Bench, shift: str) -> list[Outcome]:
    found = []
    setting, rng = bench.setting, bench.rng
    for _ in range(bench.plan.scenarios_a_shift):
        case = scenario(setting, shift, rng)
        truth = true_ratios(bench.subjects, case.law, setting, bench.plan.truth_prompts, rng)
        for (kind, values), ratios in zip(bench.scores(case.came).items(), truth, strict=True):
            delays = bench.delays(kind, values, case.came.counts)
            gate = float(values["gate"][QUIET_PROMPTS:].max())
            found.append(Outcome(setting.name, kind, shift, case.size, *ratios, gate, delays))
    return found


def _delays(bench: _Bench) -> list[Delay]:
    found = []
    setting, plan, rng = bench.setting, bench.plan, bench.rng
    for shift in DELAYED:
        law = Law(setting.world, SHIFTS[shift])
        truth = true_ratios(bench.subjects, law, setting, plan.truth_prompts, rng)
        runs: dict[str, dict[str, list[float]]] = {one.kind: {} for one in bench.subjects}
        for _ in range(plan.delay_streams):
            came = stream(setting, law, plan.delay_prompts, rng)
            for kind, values in bench.scores(came).items():
                for name, prompts in bench.delays(kind, values, came.counts).items():
                    runs[kind].setdefault(name, []).append(prompts)
        for (kind, by_name), (ratio, _) in zip(runs.items(), truth, strict=True):
            found += [
                Delay(setting.name, kind, shift, ratio, name, prompts)
                for name, prompts in by_name.items()
            ]
    return found
