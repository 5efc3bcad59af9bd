"""The report of `bench.drift` as a person reads it."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.table import Table

from bench.drift_report import (
    AT_MOST,
    COMBO_PROMPTS,
    LARGE,
    Report,
    Share,
    bounds,
    called,
    late,
    on_harmless,
    precision,
    recall,
    shares,
)
from bench.drift_subjects import KINDS
from bench.drift_trials import DELAYED, FIXED, Delay
from bench.tables import titled
from monitoring.levels import CRITICAL

DETECTORS = (
    *("critical", "gate, equal rate", "ADWIN on h", "ADWIN on LOO", "KS", "PSI", "COMBO"),
    *("KS, p < .05", "PSI > .2"),
)


def tables(report: Report) -> Iterator[Table]:
    """Yield the tables in the order they should be read, the gates last."""
    yield _quiet(report)
    yield _scenarios(report)
    yield _delays(report)
    yield _detectors(report)
    yield _detector_delays(report)
    yield _run_lengths(report)
    yield _costs(report)
    yield _states(report)
    yield _gates(report)


def _quiet(report: Report) -> Table:
    table = titled(
        "Quiet prompts: nothing may page",
        *("model", "setting", "prompts", "largest gate", "pages", "above 1.5"),
        *("mean h/h₀", "mean LOO/LOO₀"),
    )
    for kind in KINDS:
        for setting in dict.fromkeys(one.setting for one in report.quiet):
            alike = [one for one in report.quiet if (one.kind, one.setting) == (kind, setting)]
            means = np.array([one.channels for one in alike])  # (references, 2)
            table.add_row(
                *(kind, setting, f"{sum(one.prompt_count for one in alike):,}"),
                f"{max(one.largest_gate for one in alike):.2f}",
                *(f"{sum(one.pages for one in alike)}", f"{sum(one.tickets for one in alike)}"),
                *("  ".join(f"{x:.2f}" for x in column) for column in means.T),
            )
    return table


def _scenarios(report: Report) -> Table:
    names = list(bounds("iid5"))
    table = titled(
        "Random shifts: share (how many of how many); red misses its bound",
        *("model", "setting", *names),
    )
    for kind, setting, outcomes in report.cells():
        limits = bounds(setting)
        measured = shares(outcomes)
        cells = [_against(measured[name], limits[name], name in AT_MOST) for name in names]
        table.add_row(kind, setting, *cells)
    return table


def _against(share: Share, bound: float, is_most: bool) -> str:
    text = f"{share.value:.3f} ({share.hits}/{share.total})" if share.total else "none"
    missed = share.value > bound if is_most else share.value < bound
    return f"[red]{text}[/]" if missed else text


def _delays(report: Report) -> Table:
    table = titled(
        "Prompts from a shift to the call of the gate, median / 90 %; × is the true error",
        *("setting", "shift"),
        *(f"{kind} {name}" for kind in KINDS for name in ("×", "critical", "major")),
    )
    for setting in dict.fromkeys(one.setting for one in report.delays):
        for shift in DELAYED:
            row: list[str] = []
            for kind in KINDS:
                critical, major = (
                    _of(report.delays, kind, setting, level, shift) for level in FIXED
                )
                row += [f"{_ratio(critical):.3g}", _delay(critical), _delay(major)]
            table.add_row(setting, shift, *row)
    return table


def _of(delays: Sequence[Delay], kind: str, setting: str, detector: str, shift: str) -> list[Delay]:
    """Return the delays of all references."""
    wanted = (kind, setting, detector, shift)
    return [one for one in delays if (one.kind, one.setting, one.detector, one.shift) == wanted]


def _ratio(alike: Sequence[Delay]) -> float:
    return float(np.mean([one.true_ratio for one in alike]))


def _delay(alike: Sequence[Delay]) -> str:
    prompts = [delay for one in alike for delay in one.prompts]
    return f"{_count(float(np.median(prompts)))} / {_count(late(prompts))}"


def _count(prompts: float) -> str:
    return f"{prompts:.0f}" if np.isfinite(prompts) else "–"


def _detectors(report: Report) -> Table:
    table = titled(
        "Who calls about a real doubling, all settings (at an equal rate of one false call in "
        "20,000 rows, but the first and the last two)",
        *("model", "detector", "precision ≥ 2x", "recall ≥ 2x", "recall ≥ 3x", "calls on harmless"),
    )
    for kind in KINDS:
        alike = [one for one in report.outcomes if one.kind == kind]
        for name in DETECTORS:
            table.add_row(
                *(kind, name),
                _text(precision(called(alike, name), CRITICAL)),
                _text(recall(alike, name, CRITICAL)),
                _text(recall(alike, name, LARGE)),
                _text(on_harmless(alike, name)),
            )
    return table


def _text(share: Share) -> str:
    return f"{share.value:.2f} ({share.hits}/{share.total})"


def _detector_delays(report: Report) -> Table:
    table = titled(
        f"Prompts from a shift to the call of other detectors, `paper`, median / 90 %; COMBO has "
        f"{COMBO_PROMPTS:.0f} for correlation",
        *("setting", "detector", *DELAYED),
    )
    for setting in dict.fromkeys(one.setting for one in report.delays):
        for name in DETECTORS:
            rows = (_of(report.delays, "paper", setting, name, shift) for shift in DELAYED)
            table.add_row(setting, name, *(_delay(alike) for alike in rows))
    return table


def _run_lengths(report: Report) -> Table:
    table = titled(
        "Rows for one false call on quiet prompts, at the lines drawn from them",
        *("setting", "model", "detector", "line", "rows"),
    )
    for one in report.run_lengths:
        if one.kind in ("paper", ""):
            rows = f"{one.rows:,.0f}" if np.isfinite(one.rows) else "none"
            table.add_row(one.setting, one.kind or "–", one.detector, f"{one.line:.3g}", rows)
    return table


def _costs(report: Report) -> Table:
    table = titled(
        "µs of one processor a prompt, off the reply path, median",
        *("model", "shape", "in batches of", "answered again", "numbers", "numbers and monitor"),
    )
    for one in report.costs:
        times = (one.estimator_us, one.numbers_us, one.monitor_us)
        table.add_row(one.kind, one.shape, f"{one.prompt_count}", *(f"{x:.1f}" for x in times))
    return table


def _states(report: Report) -> Table:
    table = titled(
        "State of a monitor of `paper`, kB pickled",
        *("shape", "prompts: kB", "spoilt by wild prompts", "gate before", "gate after"),
    )
    for one in report.states:
        looks = zip(one.prompts, one.size, strict=True)
        text = ", ".join(f"{prompts:,}: {size / 1e3:.0f}" for prompts, size in looks)
        gates = (f"{one.gate_before:.2f}", f"{one.gate_after:.2f}")
        table.add_row(one.shape, text, f"{one.spoilt}", *gates)
    return table


def _gates(report: Report) -> Table:
    table = titled("Gates", "promise", "measured", "bound", "")
    for gate in report.gates():
        verdict = "[green]ok[/]" if gate.ok else "[bold red]MISSED[/]"
        if gate.ok and gate.known:
            verdict = f"[yellow]missed; {gate.known}[/]"
        measured = "none" if np.isnan(gate.measured) else f"{gate.measured:.3g}"
        table.add_row(gate.name, measured, gate.bound, verdict)
    return table
