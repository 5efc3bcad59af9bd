"""Writes the recording and alert rules of Prometheus from one template.

    python deploy/rules/gen.py              sonoba.rules.yaml beside this file
    python deploy/rules/gen.py --fast OUT   the same rules at the pace of a test

The lines of the gate come from `monitoring.levels`, so that rules, service and page cannot differ;
panel numbers come from deploy/panels.json, which the dashboard reads too. Rules keep `namespace`
in every grouping: without it a cluster's operator never routes an alert.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from monitoring import levels
from monitoring.levels import window_rows

HERE = Path(__file__).resolve().parent
RULES = HERE / "sonoba.rules.yaml"
TEMPLATE = HERE / "sonoba.rules.yaml.j2"
PANELS = HERE.parent / "panels.json"
RUNBOOKS = "deploy/runbooks"
SPANS = ("5m", "10m", "30m", "1h", "6h", "3d")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the rules run: their interval, windows and waiting times as Prometheus writes them.

    Recorded names keep the name of the window in production, so that a dashboard finds them.
    """

    interval: str = "30s"
    spans: Mapping[str, str] = field(default_factory=lambda: {span: span for span in SPANS})
    hold: str = ""  # every `for`; empty: as the template says
    keep: str = ""  # every `keep_firing_for`; empty: as the template says

    def held(self, duration: str) -> str:
        """Return how long a condition must last before its alert fires."""
        return self.hold or duration

    def kept(self, duration: str) -> str:
        """Return how long an alert fires after its condition ended."""
        return self.keep or duration


def fast(window: str = "1m", hold: str = "10s", keep: str = "20s", interval: str = "2s") -> Pace:
    """Return the pace of a test: the shortest windows are `window`, the others a few minutes."""
    spans = {"5m": window, "10m": window, "30m": "2m", "1h": "2m", "6h": "5m", "3d": "10m"}
    return Pace(interval=interval, spans=spans, hold=hold, keep=keep)


def render(
    pace: Pace | None = None,
    feature_count: int = 1,
    runbooks: str = RUNBOOKS,
    dashboards: str = "",
    reports: str = "",
) -> str:
    """Return the rules as YAML; the prefixes of links are those an operator's readers can open."""
    pace = pace or Pace()
    environment = jinja2.Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="[#",
        comment_end_string="#]",
        line_statement_prefix="%%",
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        loader=jinja2.FileSystemLoader(HERE),
    )
    template = environment.get_template(TEMPLATE.name)
    places = links(runbooks, dashboards, reports)
    return template.render(pace_names(pace) | numbers(feature_count) | places)


def pace_names(pace: Pace) -> dict[str, object]:
    """Return what the template calls interval, span(name), held(duration) and kept(duration)."""
    return {
        "interval": pace.interval,
        "span": pace.spans.__getitem__,
        "held": pace.held,
        "kept": pace.kept,
    }


def numbers(feature_count: int) -> dict[str, object]:
    """Return the lines of the gate without trailing zeros, and the rows of its window."""
    names = ("CRITICAL", "MAJOR", "WARNING", "LEAVE", "Z95", "WINDOW_PROMPTS")
    lines: dict[str, object] = {name: f"{getattr(levels, name):g}" for name in names}
    return lines | {"WINDOW_ROWS": window_rows(feature_count)}


def links(runbooks: str, dashboards: str, reports: str) -> dict[str, object]:
    """Return the prefixes of the three links and the panels by name."""
    panels = json.loads(PANELS.read_text(encoding="utf-8"))
    return {
        "runbooks": runbooks.rstrip("/"),
        "dashboards": dashboards.rstrip("/"),
        "reports": reports.rstrip("/"),
        "panels": panels,
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the rules, in production's pace or in a test's."""
    parser = argparse.ArgumentParser(description="Write the rules of Prometheus.")
    parser.add_argument("out", nargs="?", type=Path, default=RULES, help="default: %(default)s")
    parser.add_argument("--features", type=int, default=1, help="of the widest model served")
    parser.add_argument("--runbooks", default=RUNBOOKS, help="where the runbooks are read, a URL")
    parser.add_argument("--dashboards", default="", help="where Grafana is, a URL")
    parser.add_argument("--reports", default="", help="where the re-evaluator is read, a URL")
    parser.add_argument("--fast", action="store_true", help="short windows and waits, for tests")
    asked = parser.parse_args(arguments)
    if asked.fast and asked.out == RULES:
        parser.error("expected OUT with --fast, got none: the rules in use stay as they are")
    pace = fast() if asked.fast else Pace()
    text = render(pace, asked.features, asked.runbooks, asked.dashboards, asked.reports)
    asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
