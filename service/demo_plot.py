"""The picture of a replay: median error of every method against the number of examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.held_out import BOOSTING, MEAN, OLS, PROFILE, RIDGE
from service.replay import FOUNDATION, QUERY_COUNT, SONOBA, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOURCE = "Data: Bike Sharing, Fanaee-T & Gama 2013, UCI 275, CC BY 4.0, adapted"
COLOURS = {
    **{SONOBA: "#0072b2", PROFILE: "#0072b2", FOUNDATION: "#00795a"},
    **{RIDGE: "#c04f00", OLS: "#8a6d00", MEAN: "#6b6b6b", BOOSTING: "#7b3f8c"},
}
INK, FAINT = "#1f2328", "#d9dce0"
LABEL_GAP = 0.06  # smallest distance of two labels, share of the axis


class PlotMissing(Exception):
    """There is no matplotlib to draw with."""


def draw_plot(scores: Sequence[Score], path: Path) -> None:
    """Write the picture as PNG."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotMissing(
            "matplotlib is not installed; `pip install matplotlib` gives it"
        ) from None

    figure = Figure(figsize=(8.0, 5.0), dpi=160, facecolor="white")
    axes = figure.add_axes((0.085, 0.16, 0.70, 0.66))
    _draw_axes(axes, scores)
    _draw_lines(axes, scores)
    figure.text(0.085, 0.925, "How far predictions are off", size=15, weight="bold", color=INK)
    figure.text(0.085, 0.87, _subtitle(scores), size=10.5, color=INK)
    figure.text(0.085, 0.025, SOURCE, size=8, color=COLOURS[MEAN])
    figure.savefig(path)


def _subtitle(scores: Sequence[Score]) -> str:
    prompts = f"{scores[0].prompt_count} prompts a point, {QUERY_COUNT} queries each"
    unseen = ", of weeks the profile has not seen" if PROFILE in scores[0].ratios else ""
    return f"Bike rental by hour; {prompts}{unseen}"


def _draw_axes(axes: "Axes", scores: Sequence[Score]) -> None:
    sizes = [score.example_count for score in scores]
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(sizes[0] * 0.93, sizes[-1] * 1.02)
    highest = max(max(score.median_nrmse.values()) for score in scores)
    axes.set_ylim(0.0, highest * 1.06)
    axes.set_xlabel("labelled examples in the prompt", size=10.5, color=INK, labelpad=6)
    axes.set_ylabel("median error (1 = spread of the labels)", size=10.5, color=INK, labelpad=6)
    axes.tick_params(length=0, labelsize=10.5, colors=INK)
    axes.minorticks_off()
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_lines(axes: "Axes", scores: Sequence[Score]) -> None:
    """Draw a line a method, named and valued at its end."""
    sizes = [score.example_count for score in scores]
    top = axes.get_ylim()[1]
    lead = next(iter(scores[0].ratios))
    names = list(scores[0].median_nrmse)
    ends = [scores[-1].median_nrmse[name] for name in names]
    places = _spread(ends, LABEL_GAP * top)
    for name, end, place in zip(names, ends, places, strict=True):
        is_ours = name == lead
        axes.plot(
            sizes,
            [score.median_nrmse[name] for score in scores],
            color=COLOURS[name],
            linewidth=3.0 if is_ours else 1.8,
            linestyle="--" if name == BOOSTING else "-",
            marker="o",
            markersize=7 if is_ours else 5,
            zorder=3 if is_ours else 2,
            clip_on=False,
        )
        _draw_label(axes, name, end, place, is_ours)


def _draw_label(axes: "Axes", name: str, end: float, place: float, is_ours: bool) -> None:
    """Write a line's name and last value beside its end, with a hair line from one to the other."""
    beside = axes.get_yaxis_transform()  # x in shares of the axis, y in data
    axes.plot(
        [1.0, 1.015, 1.05],
        [end, end, place],
        color=COLOURS[name],
        linewidth=0.8,
        transform=beside,
        clip_on=False,
    )
    axes.text(
        1.06,
        place,
        f"{name}  {end:.2f}",
        transform=beside,
        color=COLOURS[name],
        weight="bold" if is_ours else "normal",
        size=11.5 if is_ours else 10.5,
        va="center",
    )


def _spread(values: Sequence[float], gap: float) -> list[float]:
    """Return places near the values, in their order, that keep the gap.

    >>> _spread([1.0, 0.5, 0.5], gap=0.1)
    [1.0, 0.45, 0.55]
    """
    order = np.argsort(values, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        groups.append([int(index)])
        while len(groups) > 1 and _bottom(groups[-1], values, gap) < _top(groups[-2], values, gap):
            groups[-2:] = [groups[-2] + groups[-1]]
    places = [0.0] * len(values)
    for group in groups:
        for step, index in enumerate(group):
            places[index] = round(_bottom(group, values, gap) + (step + 0.5) * gap, 12)
    return places


def _bottom(group: list[int], values: Sequence[float], gap: float) -> float:
    """Return where a stack of labels begins that is centred on its values."""
    return float(np.mean([values[index] for index in group])) - 0.5 * gap * len(group)


def _top(group: list[int], values: Sequence[float], gap: float) -> float:
    return _bottom(group, values, gap) + gap * len(group)
