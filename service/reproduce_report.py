"""What `sonoba reproduce` found: checks with their verdicts, and the numbers of every figure."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIGMAS = 4.0  # standard errors that a simulation may be off
CHECK_COLUMNS = ("panel", "claim", "theory", "measured", "tolerance", "basis", "verdict")


class Verdict(StrEnum):
    """What came of a check or a panel; skipped is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated, and where torch trains."""

    quick: bool = False
    device: str = "cpu"

    def draws(self, full: int) -> int:
        """Return how many prompts to draw where a full run draws `full`."""
        return full // 8 if self.quick else full


@dataclass(frozen=True, slots=True)
class Check:
    """One number of theory beside the measured one; `basis` says where the tolerance is from."""

    claim: str
    theory: float
    measured: float
    tolerance: float
    basis: str
    skipped: str = ""  # why it did not run

    @property
    def verdict(self) -> Verdict:
        """Whether the two agree within the tolerance; what is not finite does not."""
        if self.skipped:
            return Verdict.SKIPPED
        agrees = abs(self.measured - self.theory) <= self.tolerance < math.inf
        return Verdict.PASS if agrees else Verdict.FAIL


@dataclass(frozen=True, slots=True)
class Measured:
    """A simulated number and its standard error."""

    value: float
    error: float

    def against(self, claim: str, theory: float) -> Check:
        """Return the check that the number is within `SIGMAS` standard errors of theory."""
        tolerance = SIGMAS * self.error
        return Check(claim, theory, self.value, tolerance, f"{SIGMAS:.0f} standard errors")


def mean_of(values: Array) -> Measured:
    """Return the mean of independent values (n,)."""
    return Measured(float(values.mean()), float(values.std() / math.sqrt(len(values))))


def ratio_of(above: Array, below: Array) -> Measured:
    """Return the ratio of two means over the same draws (n,), with its error to first order."""
    ratio = float(above.mean() / below.mean())
    rest = mean_of(above - ratio * below)
    return Measured(ratio, rest.error / abs(float(below.mean())))


def exact(claim: str, theory: float, measured: float, tolerance: float, basis: str = "") -> Check:
    """Return a check without chance in it."""
    return Check(claim, theory, measured, tolerance, basis or "rounding")


def absent(claim: str, what: str) -> Check:
    """Return a check that could not run because something is not installed."""
    return Check(claim, math.nan, math.nan, math.nan, "", f"{what} is absent")


@dataclass(frozen=True, slots=True)
class Series:
    """One curve of a chart; series of one hue belong together, dots are measured."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    hue: int
    errors: Sequence[float] = ()  # standard errors of y
    dots: bool = False
    dashed: bool = False  # a bound or a baseline


@dataclass(frozen=True, slots=True)
class Chart:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One claim of the paper: what it says, what was run, what came of it."""

    key: str  # name of its files
    title: str
    claim: str
    charts: tuple[Chart, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Fail if any check fails; pass if any passes; skipped if none ran."""
        found = {check.verdict for check in self.checks}
        return next((v for v in (Verdict.FAIL, Verdict.PASS) if v in found), Verdict.SKIPPED)

    def count(self, verdict: Verdict) -> int:
        """Return how many checks ended so."""
        return sum(check.verdict == verdict for check in self.checks)


def dots(label: str, x: Sequence[float], found: Sequence[Measured], hue: int) -> Series:
    """Return measured points with their standard errors."""
    values, errors = [one.value for one in found], [one.error for one in found]
    return Series(label, x, values, hue, errors, dots=True)


def checks_csv(panels: Sequence[Panel], path: Path) -> None:
    """Write every check as one row."""
    rows = (
        (panel.key, c.claim, c.theory, c.measured, c.tolerance, c.skipped or c.basis, c.verdict)
        for panel in panels
        for c in panel.checks
    )
    _write(path, CHECK_COLUMNS, rows)


def series_csv(panel: Panel, path: Path) -> None:
    """Write every point of a panel's charts as one row; standard_error is empty for theory."""
    _write(path, ("chart", "series", "x", "y", "standard_error"), _points(panel))


def _points(panel: Panel) -> Iterator[tuple[object, ...]]:
    for chart in panel.charts:
        for one in chart.series:
            errors: Sequence[object] = one.errors or [""] * len(one.x)
            for x, y, error in zip(one.x, one.y, errors, strict=True):
                yield chart.title, one.label, x, y, error


def _write(path: Path, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
