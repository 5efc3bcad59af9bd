"""What `bench.accuracy` measured: cells, the promises they are held to, and both as tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.mistakes import CLEAN, MISTAKES, SWAP, UNIT

METHODS = ("profile", "foundation", "EB", "ridge-CV", "OLS")
YARDSTICKS = ("EB", "ridge-CV", "OLS")


@dataclass(frozen=True, slots=True)
class Cell:
    """One set at one length: the median error of every method, and how often intervals held."""

    name: str
    example_count: int
    error: dict[str, float]
    coverage: dict[float, float]
    bad_count: int
    refusal: str  # why `sonoba pretrain` would not have stored this profile
    noticed: dict[str, float] = field(default_factory=dict)  # by mistake; empty where none was made
    prompt_count: int = 0
    refused_count: int = 0  # prompts that the profile refuses, with the value and its range

    @property
    def ratio(self) -> float:
        """The profile's error by the best yardstick's, picked after the fact."""
        return self.error["profile"] / min(self.error.get(name, np.inf) for name in YARDSTICKS)

    def as_json(self) -> dict[str, object]:
        """Return the numbers."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise."""

    name: str
    measured: float
    bound: float

    @property
    def ok(self) -> bool:
        """Whether it holds; NaN holds nothing."""
        return self.measured <= self.bound


def gates(cells: Sequence[Cell]) -> list[Gate]:
    """Return the promises that these cells can speak of."""
    ratios = np.array([cell.ratio for cell in cells])  # (cells,)
    found = [
        Gate("profile ÷ best yardstick, median", float(np.median(ratios)), 1.01),
        Gate("profile ÷ best yardstick, 90th percentile", float(np.quantile(ratios, 0.9)), 1.05),
        Gate("profile ÷ best yardstick, worst cell", float(ratios.max()), 1.20),
        Gate("prompts without a finite answer", float(sum(c.bad_count for c in cells)), 0.0),
        Gate("profile ÷ ridge-CV at 8 examples", _to_ridge(cells, "profile", (8,)), 0.72),
        Gate("foundation ÷ ridge-CV at 8", _to_ridge(cells, "foundation", (8,)), 0.92),
        Gate("foundation ÷ ridge-CV from 32 on", _to_ridge(cells, "foundation", (32, 64)), 1.01),
    ]
    for level in cells[0].coverage:
        off = float(np.mean([abs(cell.coverage[level] - level) for cell in cells]))
        found.append(Gate(f"mean coverage error at {level:.0%}", off, 0.02))
    for mistake, most in ((UNIT, 0.05), (SWAP, 0.10)):
        if shares := _shares(cells, mistake):
            found.append(Gate(f"{mistake}, not noticed", 1.0 - float(np.mean(shares)), most))
    return found


def _shares(cells: Sequence[Cell], mistake: str) -> list[float]:
    """Return the share of the prompts with a mistake that were noticed, cell by cell."""
    return [cell.noticed[mistake] for cell in cells if mistake in cell.noticed]


def _to_ridge(cells: Sequence[Cell], method: str, lengths: tuple[int, ...]) -> float:
    """Return a method's error by ridge-CV's: the median over sets."""
    chosen = [c for c in cells if c.example_count in lengths]
    return float(np.median([c.error[method] / c.error["ridge-CV"] for c in chosen]))


def show(cells: Sequence[Cell]) -> None:
    """Print the cells and the gates."""
    console = Console(width=110)
    table = Table("set", "M", *METHODS, "ratio", *(f"in {x:.0%}" for x in cells[0].coverage))
    for cell in cells:
        numbers = [f"{cell.error.get(method, np.nan):.3f}" for method in METHODS]
        held = [f"{share:.3f}" for share in cell.coverage.values()]
        name = cell.name + (" (refused)" if cell.refusal else "")
        table.add_row(name, str(cell.example_count), *numbers, f"{cell.ratio:.3f}", *held)
    console.print(table)
    refused, asked = (sum(c.refused_count for c in cells), sum(c.prompt_count for c in cells))
    console.print(f"{refused} of {asked:,} prompts without a mistake were refused")
    console.print(_mistakes(cells))
    table = Table("promise", "measured", "bound", "")
    for gate in gates(cells):
        verdict = "ok" if gate.ok else "MISSED"
        table.add_row(gate.name, f"{gate.measured:.3f}", f"{gate.bound:g}", verdict)
    console.print(table)


def _mistakes(cells: Sequence[Cell]) -> Table:
    """Return how often each mistake is noticed, the mean over cells and the worst cell."""
    table = Table("mistake", "cells", "noticed", "worst cell")
    for mistake in MISTAKES:
        if shares := _shares(cells, mistake):
            worst = max(shares) if mistake == CLEAN else min(shares)
            table.add_row(mistake, str(len(shares)), f"{np.mean(shares):.3f}", f"{worst:.3f}")
    return table
