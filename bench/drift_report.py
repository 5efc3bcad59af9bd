"""What `bench.drift` found, and the promises it is held to (docs/monitoring.md, "Measured")."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from bench.drift_cost import Cost, State
from bench.drift_known import KNOWN
from bench.drift_scenarios import Outcome
from bench.drift_subjects import KINDS, WORLDS
from bench.drift_trials import Delay, Quiet, RunLength, Trial
from bench.promises import Gate as Promise
from bench.promises import plain
from monitoring.levels import CRITICAL, MAJOR

HARMLESS, LARGE = 1.25, 3.0
BY_WORLD = {
    "critical recall about 2x": dict(zip(WORLDS, (0.85, 0.80, 0.65), strict=True)),
    "major recall about 2x": dict(zip(WORLDS, (0.95, 0.90, 0.80), strict=True)),
}
AT_LEAST = {
    "critical precision about 2x": 0.95,
    "critical recall about 3x": 0.95,
    "major precision about 1.5x": 0.93,
}
AT_MOST = {"critical on harmless": 0.01, "major on harmless": 0.02}
DELAY_GATES = {"scale_1.5": 40.0, "rotation": 80.0}
COMBO_PROMPTS = 5.0
OBSERVE_US = {"(50,20)": 60.0, "(16,5)": 2.0}  # in batches of 256
STATE_MB = 8.0  # most of it the ring of sums that replicas tell (monitoring.recent)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.hits / self.total if self.total else float("nan")


@dataclass(frozen=True, slots=True)
class Gate(Promise):
    """One promise; `known` is why it is not kept, and which bound is kept instead."""

    known: str = ""


@dataclass(slots=True)
class Report:
    """The results of one run."""

    machine: dict[str, object]
    quick: bool
    quiet: list[Quiet] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    delays: list[Delay] = field(default_factory=list)
    run_lengths: list[RunLength] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """Take the results of a setting."""
        self.quiet += trial.quiet
        self.outcomes += trial.outcomes
        self.delays += trial.delays
        self.run_lengths += trial.run_lengths

    def cells(self) -> Iterator[tuple[str, str, list[Outcome]]]:
        """Yield the outcomes by kind of model and setting."""
        for kind in KINDS:
            for setting in dict.fromkeys(one.setting for one in self.outcomes):
                alike = [one for one in self.outcomes if (one.kind, one.setting) == (kind, setting)]
                yield kind, setting, alike

    def gates(self) -> list[Gate]:
        """Return every promise of this run."""
        found = []
        for kind, setting, outcomes in self.cells():
            measured = shares(outcomes)
            for name, bound in bounds(setting).items():
                value = measured[name].value
                found.append(_gate(f"{name}: {kind}, {setting}", value, bound, name in AT_MOST))
        for kind in KINDS:
            pages = sum(one.pages for one in self.quiet if one.kind == kind)
            found.append(_gate(f"pages in quiet prompts: {kind}", pages, 0.0, True))
        found += [*self._delay_gates(), *self._cost_gates()]
        return found

    def _delay_gates(self) -> Iterator[Gate]:
        joined: dict[tuple[str, str, str], list[float]] = {}  # over references
        for one in self.delays:
            if one.kind == "paper":
                alike = joined.setdefault((one.setting, one.detector, one.shift), [])
                alike += one.prompts
        for (setting, detector, shift), prompts in joined.items():
            if detector == "critical" and shift in DELAY_GATES and "mixed" not in setting:
                name = f"prompts to critical, 90 %: {shift}, {setting}"
                yield _gate(name, late(prompts), DELAY_GATES[shift], True)
            if (detector, shift) == ("COMBO", "correlation"):
                name = f"prompts to COMBO, 90 %: {shift}, {setting}"
                yield _gate(name, late(prompts), COMBO_PROMPTS, True)

    def _cost_gates(self) -> Iterator[Gate]:
        for one in self.costs:
            bound = OBSERVE_US.get(one.shape)
            if one.kind == "paper" and one.prompt_count > 1 and bound is not None:
                name = f"µs a prompt, {one.shape} in {one.prompt_count}s: {one.kind}"
                yield _gate(name, one.monitor_us, bound, True)
        for state in self.states:
            yield _gate(f"MB of state: {state.shape}", state.largest / 1e6, STATE_MB, True)
            name = f"growth of state from the first window on: {state.shape}"
            yield _gate(name, state.largest / state.early - 1.0, 0.01, True)
            name = f"numbers spoilt by wild prompts: {state.shape}"
            yield _gate(name, float(state.spoilt), 0.0, True)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain objects."""
        entries = {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}
        cells = [
            {"kind": kind, "setting": setting} | {k: asdict(v) for k, v in shares(alike).items()}
            for kind, setting, alike in self.cells()
        ]
        return {**entries, "cells": cells, "gates": plain(self.gates())}


def bounds(setting: str) -> dict[str, float]:
    """Return the bounds of a setting by what they bound."""
    world = setting.split(",")[0]
    own = {name: by_world[world] for name, by_world in BY_WORLD.items()}
    return {**AT_LEAST, **own, **AT_MOST}


def shares(outcomes: Sequence[Outcome]) -> dict[str, Share]:
    """Return what the gate called and what it should have."""
    page, ticket = called(outcomes, "critical"), called(outcomes, "major")
    return {
        "critical precision about 2x": precision(page, CRITICAL),
        "critical recall about 3x": recall(outcomes, "critical", LARGE),
        "critical recall about 2x": recall(outcomes, "critical", CRITICAL),
        "major recall about 2x": recall(outcomes, "major", CRITICAL),
        "major precision about 1.5x": precision(ticket, MAJOR),
        "critical on harmless": on_harmless(outcomes, "critical"),
        "major on harmless": on_harmless(outcomes, "major"),
    }


def called(outcomes: Sequence[Outcome], detector: str) -> list[Outcome]:
    """Return the scenarios in which a detector called."""
    return [one for one in outcomes if np.isfinite(one.delays[detector])]


def precision(those_called: Sequence[Outcome], ratio: float) -> Share:
    """Return how many of the calls were about an error that rose by a ratio."""
    return Share(sum(one.true_ratio >= ratio for one in those_called), len(those_called))


def recall(outcomes: Sequence[Outcome], detector: str, ratio: float) -> Share:
    """Return in how many of the scenarios that call for it a detector called."""
    real = [one for one in outcomes if one.true_ratio >= ratio]
    return Share(len(called(real, detector)), len(real))


def on_harmless(outcomes: Sequence[Outcome], detector: str) -> Share:
    """Return in how many of the harmless scenarios a detector called."""
    harmless = [one for one in outcomes if one.true_ratio < HARMLESS]
    return Share(len(called(harmless, detector)), len(harmless))


def late(prompts: Sequence[float]) -> float:
    """Return the delay that 90 % keep; infinite where more never called."""
    ordered = sorted(prompts)
    return ordered[min(int(np.ceil(0.9 * len(ordered))), len(ordered)) - 1]


def _gate(name: str, measured: float, bound: float, is_most: bool) -> Gate:
    """Return the gate; what was not to be seen in this run holds."""
    known_bound, reason = KNOWN.get(name, (bound, ""))
    sign = "<=" if is_most else ">="
    holds = bool(np.isnan(measured)) or _within(measured, bound, is_most)
    if holds or not reason:
        return Gate(name, measured, f"{sign} {bound:g}", holds)
    known = f"known, {sign} {known_bound:g}: {reason}"
    return Gate(name, measured, f"{sign} {bound:g}", _within(measured, known_bound, is_most), known)


def _within(measured: float, bound: float, is_most: bool) -> bool:
    return measured <= bound if is_most else measured >= bound
