"""Find what makes a dashboard fail quietly: `python -m deploy.dashboards.lint` prints and exits 1.

What it cannot know, whether a query returns anything, is asked of a live Prometheus in the tests.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

HERE = Path(__file__).resolve().parent
RULES = HERE.parent / "rules" / "sonoba.rules.yaml"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COUNTER = re.compile(r"_(total|bucket|count|sum)$")
GAINS = {"rate", "increase", "changes"}  # what a counter may be put into
HARM = re.compile(r"sonoba_drift_(score|gate|info_)")  # ÷ the line, so that 1.0 is the alarm
FIXED_RANGE = re.compile(r"\[(?!\$)")
STEPS = {"$__rate_interval": "1m", "$__range": "1h"}
MAX_BYTES = 200_000  # a client-side apply keeps a copy in an annotation of 262,144
NOT_DRAWN = {"ALERTS": "it is the alarm itself"}  # names in alerts that no panel has to show

Json = dict[str, Any]
Names = set[str]


def breaches(board: Json, rules: Json) -> Iterator[str]:
    """Yield one sentence for every rule of the dashboard that is broken."""
    yield from _board_breaches(board)
    for panel in board["panels"]:
        for breach in _panel_breaches(panel) if panel["type"] != "row" else ():
            yield f"panel {panel.get('title') or panel.get('id')}: {breach}"
    for mark in board["annotations"]["list"]:
        for breach in (*_source_breaches(mark), *query_breaches(mark["expr"])):
            yield f"annotation {mark['name']}: {breach}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield from (f"variable {variable['name']}: {it}" for it in _variable_breaches(variable))
    yield from _alert_breaches(board, rules)


def query_breaches(query: str) -> Iterator[str]:
    """Yield what is wrong with one query: syntax, installation not selected, raw counters."""
    try:
        selectors, in_range, functions = _parts(query)
    except ValueError as error:
        yield f"cannot be parsed: {error}"
        return
    for selector in selectors:
        if '{namespace=~"$namespace"' not in str(selector).replace(", ", ","):
            yield f'expected namespace=~"$namespace" first in {selector}'
    counters = {str(one) for one in selectors if COUNTER.search(one.name or "")}
    bare = Counter(map(str, selectors)) - Counter(in_range)
    yield from (f"a counter outside {', '.join(sorted(GAINS))}: {it}" for it in counters & {*bare})
    for function, counter in functions:
        if counter in counters and function not in GAINS:
            yield f"a counter in {function}: {counter}"


def series(query: str) -> Names:
    """Return the names of the series that a query reads; none where it cannot be parsed."""
    try:
        return {selector.name or "" for selector in _parts(query)[0]}
    except ValueError:
        return set()


def _parts(
    query: str,
) -> tuple[list[promql_parser.VectorSelector], list[str], list[tuple[str, str]]]:
    """Return all selectors, those with a range, and (function, its selector with a range)."""
    selectors, in_range, functions = [], [], []
    for name, value in STEPS.items():
        query = query.replace(name, value)

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            in_range.append(str(node.vector_selector))
        elif isinstance(node, promql_parser.Call):
            for argument in node.args:
                if isinstance(argument, promql_parser.MatrixSelector):
                    functions.append((node.func.name, str(argument.vector_selector)))

    promql_parser.walk(promql_parser.parse(query), visit)
    return selectors, in_range, functions


def _board_breaches(board: Json) -> Iterator[str]:
    if "__inputs" in board:
        yield "__inputs are asked for by a person only: use a variable of type datasource"
    if not board.get("uid"):
        yield "expected a uid, by which alerts link here"
    if board.get("editable", True):
        yield "expected editable false: changes are made in the generator"
    twice = [n for n, times in Counter(p.get("id") for p in board["panels"]).items() if times > 1]
    yield from (f"id {number} is given more than once" for number in twice)
    if (size := len(json.dumps(board).encode())) > MAX_BYTES:
        yield f"expected at most {MAX_BYTES} bytes, got {size}"


def _panel_breaches(panel: Json) -> Iterator[str]:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    for what, value in (
        ("id", panel.get("id")),
        ("title", panel.get("title")),
        ("description", panel.get("description")),
        ("unit", defaults.get("unit")),
        ("query", panel.get("targets")),
    ):
        if not value:
            yield f"expected a {what}, got none"
    yield from _source_breaches(panel)
    queries = [target["expr"] for target in panel.get("targets", ())]
    for target in panel.get("targets", ()):
        yield from _source_breaches(target)
    for query in queries:
        yield from query_breaches(query)
        if FIXED_RANGE.search(query):
            yield f"a fixed range, which does not follow the zoom: {query}"
    if panel["type"] == "timeseries" and any(map(HARM.search, queries)):
        steps = [step["value"] for step in defaults["thresholds"]["steps"]]
        style = defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode")
        if steps != [None, 1.0] or style != "line":
            yield f"expected one alarm line at 1.0, got {steps}, {style}"


def _source_breaches(part: Json) -> Iterator[str]:
    if part.get("datasource") != SOURCE:
        yield f"expected the data source of the variable, got {part.get('datasource')}"


def _variable_breaches(variable: Json) -> Iterator[str]:
    yield from _source_breaches(variable)
    if variable.get("allValue") != ".*":
        yield f"expected .* for all, which matches an absent label, got {variable.get('allValue')}"
    if variable["name"] != "namespace" and "$namespace" not in variable["query"]["query"]:
        yield "expected only the names of the chosen namespace"


def _alert_breaches(board: Json, rules: Json) -> Iterator[str]:
    """Yield alerts whose series no panel shows, as it is or through a recorded one."""
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    recorded = {rule["record"]: series(rule["expr"]) for rule in every if "record" in rule}
    panels = {panel.get("id"): panel for panel in board["panels"] if panel["type"] != "row"}
    shown: Names = set().union(*(_drawn(panel, recorded) for panel in panels.values()))
    for rule in every:
        if "alert" not in rule:
            continue
        wanted = {name for name in series(rule["expr"]) if name not in NOT_DRAWN}
        for name in sorted(wanted - shown):
            yield f"alert {rule['alert']}: no panel shows {name}"
        link = re.search(r"viewPanel=(\d+)", rule.get("annotations", {}).get("dashboard_url", ""))
        if link and int(link[1]) not in panels:
            yield f"alert {rule['alert']}: its link names panel {link[1]}, which is not there"


def _drawn(panel: Json, recorded: dict[str, Names]) -> Names:
    """Return what a panel shows: its series, and what recorded ones of them are made of."""
    names: Names = set().union(*(series(target["expr"]) for target in panel["targets"]))
    while more := set().union(*(recorded.get(name, set()) for name in names)) - names:
        names |= more
    return names


def main() -> None:
    """Check the dashboard beside this file against the rules."""
    board = json.loads((HERE / "sonoba.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    if found := list(breaches(board, rules)):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
