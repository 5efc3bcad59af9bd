"""Write the dashboard, from the root of the project.

    python -m deploy.dashboards.gen                                 sonoba.json beside this file
    python -m deploy.dashboards.gen OUT --reports https://REPORTS   the same, for your own address

The JSON beside this file is what Grafana loads; a test compares the two. The SDK is pinned to the
variant for Grafana 11.6, because a plain install takes one for an older Grafana.
"""

import argparse
import json
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as shape

from deploy.dashboards import owner, scientist, sre
from deploy.dashboards.panels import SOURCE
from deploy.dashboards.promql import MODEL, SPACE

TITLES = {
    "Model swaps": "{{model}}: another version in force",
    "Re-evaluations": "{{model}}: checked",
    "Alarms": "{{alertname}} {{model}}",
}
REPORTS = "http://127.0.0.1:8085"  # the re-evaluator of one machine
PATH = Path(__file__).with_name("sonoba.json")


def text(reports: str = REPORTS) -> str:
    """Return the JSON of the dashboard, the same at every call; links lead to `reports`."""
    built = json.loads(json.dumps(_dashboard().build(), cls=JSONEncoder))
    for mark in built["annotations"]["list"]:  # fields of the data source, unknown to the SDK
        mark |= {"titleFormat": TITLES[mark["name"]], "step": "60s"}
    for link in (link for panel in built["panels"] for link in panel.get("links", ())):
        link["url"] = f"{reports.rstrip('/')}{link['url']}"
    return json.dumps(built, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Write the dashboard, for one machine or for the address given."""
    parser = argparse.ArgumentParser(description="Write the dashboard of Grafana.")
    parser.add_argument("out", nargs="?", type=Path, default=PATH, help="default: %(default)s")
    parser.add_argument("--reports", default=REPORTS, help="where the re-evaluator is read, a URL")
    asked = parser.parse_args(arguments)
    asked.out.write_text(text(asked.reports), encoding="utf-8")


def _dashboard() -> dashboard.Dashboard:
    board = (
        dashboard.Dashboard("sonoba")
        .uid("sonoba")
        .description("Can predictions be trusted, why not, and does the service run?")
        .tags(["sonoba"])
        .readonly()
        .refresh("30s")
        .time("now-24h", "now")
        .tooltip(shape.DashboardCursorSync.CROSSHAIR)
        .variables([_source(), *_names()])
    )
    for mark in _annotations():
        board.annotation(mark)
    for heading, panels in (owner.section(), scientist.section(), sre.section()):
        board.with_row(heading)
        for panel in panels:
            board.with_panel(panel)
    return board


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _names() -> list[dashboard.QueryVariable]:
    """Return the filters; `.*` also matches a label that is absent, as on one machine."""
    queries = {
        "namespace": ("Namespace", 'label_values(up{job="sonoba"}, namespace)'),
        "model": ("Model", f"label_values(sonoba_model_info{{{SPACE}}}, model)"),
    }
    everything = shape.VariableOption(selected=True, text=["All"], value=["$__all"])
    return [
        dashboard.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .datasource(SOURCE)
        .current(everything)
        .refresh(shape.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(shape.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        for name, (label, query) in queries.items()
    ]


def _annotations() -> list[dashboard.AnnotationQuery]:
    by_model = "by (namespace, model)"
    swaps = f'sum {by_model} (increase(sonoba_swaps_total{{{MODEL},outcome="ok"}}[2m])) > 0'
    last = f"sonoba_last_reevaluation_timestamp_seconds{{{MODEL}}}"
    firing = f'ALERTS{{{SPACE},alertname=~"Sonoba.*",alertstate="firing",severity!="info"}}'
    marks = {
        "Model swaps": (swaps, "blue"),
        "Re-evaluations": (f"max {by_model} (changes({last}[2m])) > 0", "green"),
        "Alarms": (f"max by (namespace, model, alertname) ({firing})", "red"),
    }
    return [
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .expr(query)
        .enable(True)
        .icon_color(color)
        for name, (query, color) in marks.items()
    ]


if __name__ == "__main__":
    main()
