"""The kinds of panel the dashboard uses, in the types of Grafana's own SDK."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import (
    DashboardLink,
    FieldColor,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import prometheus as promql

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
ALARM = "alarm line 1.0"
REPORT_TITLE = "Reports of evaluations 再評価レポート"
Queries = dict[str, str]  # legend → PromQL


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has; its name stands in panels.json, by which alerts link to it."""

    name: str
    title: str
    description: str  # what it means and what to do, for somebody who does not know the term
    unit: str  # Grafana's id of a unit
    width: int = 8  # of 24
    height: int = 7
    window: str = ""  # at least as long as the alarm's, so that both judge the same
    report: str = ""  # where its link leads below the re-evaluator's address


Panel = stat.Panel | timeseries.Panel | bargauge.Panel | statetimeline.Panel | heatmap.Panel
AnyPanel = TypeVar(
    "AnyPanel",
    stat.Panel,
    timeseries.Panel,
    bargauge.Panel,
    statetimeline.Panel,
    heatmap.Panel,
)
NUMBERS = Path(__file__).resolve().parents[1] / "panels.json"
NOTHING = "#808080"  # there is no number: neither good nor bad

Section = tuple[Row, list[Panel]]


def row(name: str, title: str) -> Row:
    """Return the heading of one audience."""
    return Row(title).id(numbers()[name])


@cache
def numbers() -> dict[str, int]:
    """Return the number of every row and panel, by which alerts and people link to it."""
    read: dict[str, int] = json.loads(NUMBERS.read_text(encoding="utf-8"))
    return read


def number(
    frame: Frame, query: str, limits: dict[float, str], nothing: str, decimals: int = 0
) -> stat.Panel:
    """Return one big number now; limits colour it, and it says in words that there is none."""
    limits = {0.0: "green"} | limits if limits else {}
    return (
        _framed(stat.Panel(), frame, {"": query}, limits, instant=True)
        .reduce_options(_last())
        .graph_mode(shape.BigValueGraphMode.NONE)
        .color_mode(shape.BigValueColorMode.BACKGROUND if limits else shape.BigValueColorMode.NONE)
        .no_value(nothing)
        .decimals(decimals)
    )


def lines(
    frame: Frame, queries: Queries, limit: float | None = None, stacked: bool = False
) -> timeseries.Panel:
    """Return curves over time, with a red line at the limit where there is one."""
    limits = {} if limit is None else {limit: "red"}
    line = shape.GraphThresholdsStyleMode.LINE
    style = shape.GraphThresholdsStyleMode.OFF if limit is None else line
    mode = shape.StackingMode.NORMAL if stacked else shape.StackingMode.NONE
    panel = (
        _framed(timeseries.Panel(), frame, queries, limits)
        .min(0)
        .fill_opacity(30 if stacked else 0)
        .stacking(common.StackingConfig().mode(mode))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        .tooltip(common.VizTooltipOptions().mode(shape.TooltipDisplayMode.MULTI))
        .legend(common.VizLegendOptions().show_legend(True))
    )
    return panel if limit is None else panel.axis_soft_max(1.1 * limit)


def bars(frame: Frame, queries: Queries, nothing: str, decimals: int = 0) -> bargauge.Panel:
    """Return one bar for every series now."""
    return (
        _framed(bargauge.Panel(), frame, queries, {}, instant=True)
        .reduce_options(_last())
        .color_scheme(FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .display_mode(shape.BarGaugeDisplayMode.BASIC)
        .orientation(shape.VizOrientation.HORIZONTAL)
        .no_value(nothing)
        .decimals(decimals)
    )


def history(
    frame: Frame, queries: Queries, mappings: list[dashboard.ValueMapping]
) -> statetimeline.Panel:
    """Return a band for every series whose colour and word tell its state over time."""
    return (
        _framed(statetimeline.Panel(), frame, queries, {})
        .mappings(mappings)
        .show_value(shape.VisibilityMode.AUTO)
        .fill_opacity(80)
    )


def spread(frame: Frame, query: str) -> heatmap.Panel:
    """Return a histogram over time from the sums of its buckets."""
    target = _target("A", query, "{{le}}").format(promql.PromQueryFormat.HEATMAP)
    return (
        _framed(heatmap.Panel(), frame, {}, {})
        .with_target(target)
        .calculate(False)
        .hide_y_histogram()
        .show_legend()
    )


def _framed(
    panel: AnyPanel, frame: Frame, queries: Queries, limits: dict[float, str], instant: bool = False
) -> AnyPanel:
    steps = [dashboard.Threshold(value=None, color=NOTHING)]
    steps += [dashboard.Threshold(value=at, color=color) for at, color in limits.items()]
    mode = dashboard.ThresholdsMode.ABSOLUTE
    panel = (
        panel.id(numbers()[frame.name])
        .title(frame.title)
        .description(frame.description)
        .unit(frame.unit)
        .span(frame.width)
        .height(frame.height)
        .datasource(SOURCE)
        .thresholds(ThresholdsConfig().mode(mode).steps(steps))
    )
    if frame.window:
        panel = panel.interval(frame.window)
    if frame.report:
        link = DashboardLink(REPORT_TITLE).type(dashboard.DashboardLinkType.LINK)
        panel = panel.links([link.url(frame.report).target_blank(True)])
    for letter, (legend, expression) in zip("ABCDEFGH", queries.items(), strict=False):
        target = _target(letter, expression, legend)
        panel = panel.with_target(target.instant() if instant else target.range())
    return panel


def _target(letter: str, expression: str, legend: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(letter).expr(expression).datasource(SOURCE)
    return query.legend_format(legend).editor_mode(promql.QueryEditorMode.CODE)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])
