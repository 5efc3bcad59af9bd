"""The figures of `sonoba reproduce`: theory as lines, what was measured as dots with error bars."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.reproduce_report import Chart, Panel, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HUES = ("#0072b2", "#c04f00", "#3a7d44", "#8a6d00", "#7a4a9e", "#6b6b6b")
INK, FAINT = "#1f2328", "#d9dce0"
BARS = 2.0  # standard errors


def draw_panel(panel: Panel, path: Path) -> None:
    """Write the charts of a panel side by side as one PNG."""
    from matplotlib.figure import Figure

    width = 4.9 * len(panel.charts) if len(panel.charts) > 1 else 7.0
    figure = Figure(figsize=(width, 4.1), dpi=150, facecolor="white", layout="constrained")
    for place, chart in enumerate(panel.charts, start=1):
        _draw(figure.add_subplot(1, len(panel.charts), place), chart)
    figure.savefig(path)


def _draw(axes: "Axes", chart: Chart) -> None:
    for one in chart.series:
        _draw_series(axes, one)
    axes.set_title(chart.title, size=11, weight="bold", color=INK, loc="left")
    axes.set_xlabel(chart.x_label, color=INK)
    axes.set_ylabel(chart.y_label, color=INK)
    if chart.x_log:
        axes.set_xscale("log")
        _mark_points(axes, chart)
    if chart.y_log:
        axes.set_yscale("log")
    axes.tick_params(length=0, colors=INK, which="both")
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.legend(fontsize=8, labelcolor=INK, framealpha=0.85, edgecolor="none")


def _mark_points(axes: "Axes", chart: Chart) -> None:
    """Put the ticks of a logarithmic axis where something was measured."""
    places = sorted({x for one in chart.series if one.dots for x in one.x})
    if places:
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.minorticks_off()


def _draw_series(axes: "Axes", one: Series) -> None:
    colour = HUES[one.hue % len(HUES)]
    if one.dots:
        bars = [BARS * error for error in one.errors] or None
        label = one.label or None
        axes.errorbar(one.x, one.y, bars, fmt="o", markersize=4, color=colour, label=label)
    else:
        style = "--" if one.dashed else "-"
        axes.plot(one.x, one.y, style, color=colour, linewidth=1.6, label=one.label)
