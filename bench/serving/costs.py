"""`python -m bench.serving.costs`: measures what a prompt costs, prints it and draws the plot.

With `--from out/bench.json` it draws what `python -m bench.serving` has measured.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.console import Console

from bench.serving.prompt_costs import AGAINST
from bench.serving.run import run
from service.reproduce_plot import FAINT, HUES, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT = Path("docs/img/serving-costs.png")


class Line(NamedTuple):
    """One model against one thing that grows."""

    against: str
    model: str
    places: list[float]
    cpu_us: list[float]


def lines(points: list[dict[str, object]]) -> Iterator[Line]:
    """Yield the lines of the points of a report, every one from left to right."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in points:
        key = str(point["against"]), str(point["model"])
        spread = point["cpu_us"]
        assert isinstance(spread, dict)
        place = float(str(point["place"])), float(spread["median"])
        found.setdefault(key, []).append(place)
    for (against, model), places in found.items():
        xs, ys = zip(*sorted(places), strict=True)
        yield Line(against, model, list(xs), list(ys))


def draw(found: list[Line], path: Path) -> None:
    """Write the plot: four pairs of axes, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.4), dpi=110, facecolor="white", layout="constrained")
    models = list(dict.fromkeys(line.model for line in found))
    for number, (against, words) in enumerate(AGAINST.items(), start=1):
        axes = figure.add_subplot(2, 2, number)
        for line in found:
            if line.against == against:
                hue = HUES[models.index(line.model)]
                axes.plot(line.places, line.cpu_us, "o-", ms=4, color=hue, label=line.model)
        axes.set_xlabel(words, color=INK)
        _dress(axes, sorted({x for line in found if line.against == against for x in line.places}))
    figure.axes[0].legend(fontsize=9, labelcolor=INK, framealpha=0.85, edgecolor="none")
    figure.supylabel("µs of a processor, a prompt", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _dress(axes: "Axes", places: list[float]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{x:g}" for x in places])
    axes.minorticks_off()
    axes.set_yticks(*_ticks(*axes.get_ylim()))
    axes.tick_params(length=0, colors=INK, which="both")
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return 1, 2 and 5 of every decade between two numbers, and how they are written."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    shown = [place for place in places if low <= place <= high]
    return shown, [f"{place:g}" for place in shown]


@click.command()
@click.option("--from", "report", type=click.Path(exists=True, path_type=Path))
@click.option("--quick", is_flag=True, help="Look briefly: tries it, proves nothing.")
@click.option("--plot", type=click.Path(path_type=Path), default=PLOT, show_default=True)
def main(report: Path | None, quick: bool, plot: Path) -> None:
    """Measure what prompts cost, or read it from a report, and draw it; about two minutes."""
    if report is not None:
        found = json.loads(report.read_text())
    else:
        console = Console(width=None if sys.stdout.isatty() else 150)
        made = run(["costs"], quick, console)
        for table in made.tables:
            console.print(table)
        found = made.as_json()
    draw(list(lines(found["costs"]["points"])), plot)
    click.echo(f"wrote {plot}")


if __name__ == "__main__":
    main()
