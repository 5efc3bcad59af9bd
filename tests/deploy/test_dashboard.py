"""The committed dashboard is the generated one and clean; its lint finds what is planted here."""

import copy
import json

import pytest
import yaml

from deploy.dashboards import gen, lint
from deploy.dashboards.panels import numbers
from service.settings import Settings


@pytest.fixture
def board():
    return json.loads(gen.PATH.read_text(encoding="utf-8"))


@pytest.fixture
def rules():
    return yaml.safe_load(lint.RULES.read_text(encoding="utf-8"))


def test_the_committed_dashboard_is_what_the_generator_writes():
    assert gen.PATH.read_text(encoding="utf-8") == gen.text() == gen.text()


def test_the_dashboard_is_clean(board, rules):
    assert list(lint.breaches(board, rules)) == []


def test_every_number_that_alerts_may_link_to_is_a_row_or_panel(board):
    assert sorted(panel["id"] for panel in board["panels"]) == sorted(numbers().values())


def test_panels_do_not_overlap_and_fill_their_lines(board):
    taken = [
        (x, y)
        for panel in board["panels"]
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len(set(taken)) == len(taken) == 24 * (1 + max(y for _, y in taken))


def test_the_rows_follow_from_the_question_to_its_cause(board):
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]

    assert [title[0] for title in rows] == ["1", "2", "3"]
    assert board["panels"][1]["title"] == "Can I trust today's predictions?"


def test_the_row_of_the_owner_explains_itself_in_japanese_too(board):
    second = next(n for n, panel in enumerate(board["panels"]) if n and panel["type"] == "row")

    for panel in board["panels"][1:second]:
        assert any("぀" <= letter <= "ヿ" for letter in panel["description"]), panel["title"]


REPORTED = {  # panel → where its link leads
    "Model last checked, time ago": "/reports/latest",
    "What was decided": "/reports",
    "Model swaps and re-evaluations, by outcome": "/reports",
}


def links_of(board):
    return {
        panel["title"]: link["url"] for panel in board["panels"] for link in panel.get("links", ())
    }


def test_what_tells_of_evaluations_links_their_reports(board, tmp_path):
    port = Settings().webhook_port
    assert links_of(board) == {
        title: f"http://127.0.0.1:{port}{path}" for title, path in REPORTED.items()
    }

    gen.main([str(tmp_path / "own.json"), "--reports", "https://sonoba.example.com/"])

    own = json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))
    assert links_of(own) == {
        title: f"https://sonoba.example.com{path}" for title, path in REPORTED.items()
    }


def a_panel(board):
    return next(panel for panel in board["panels"] if panel["type"] == "timeseries")


def with_query(query):
    def plant(board):
        a_panel(board)["targets"][0]["expr"] = query

    return plant


def put(where, key, value):
    """Return a planter that sets one field of the part that `where` finds, or takes it away."""

    def plant(board):
        where(board)[key] = value
        if value is None:
            del where(board)[key]

    return plant


SPACE = 'namespace=~"$namespace"'
PLANTED = [
    (put(lambda board: board, "__inputs", []), "__inputs"),
    (put(lambda board: board, "uid", None), "expected a uid"),
    (put(lambda board: board, "editable", True), "expected editable false"),
    (put(lambda board: board["panels"][3], "id", 1), "id 1 is given more than once"),
    (put(a_panel, "padding", "x" * 200_000), "expected at most 200000 bytes"),
    (put(a_panel, "id", None), "expected a id, got none"),
    (put(a_panel, "title", ""), "expected a title"),
    (put(a_panel, "description", ""), "expected a description"),
    (put(lambda board: a_panel(board)["fieldConfig"]["defaults"], "unit", None), "expected a unit"),
    (put(a_panel, "targets", []), "expected a query"),
    (put(a_panel, "datasource", {"type": "prometheus", "uid": "mine"}), "got {'type'"),
    (put(lambda board: a_panel(board)["targets"][0], "datasource", None), "variable, got None"),
    (with_query(f"sum by (model (up{{{SPACE}}})"), "cannot be parsed"),
    (with_query("max(sonoba_model_info)"), "expected namespace"),
    (with_query(f"up{{{SPACE}}} + up"), "first in up"),
    (with_query('up{namespace="$namespace"}'), "expected namespace"),
    (with_query(f"sum(sonoba_queries_total{{{SPACE}}})"), "a counter outside"),
    (with_query(f"avg_over_time(a_total{{{SPACE}}}[$__range])"), "a counter in avg_over_time"),
    (
        with_query(f"rate(a_total{{{SPACE}}}[$__range]) / a_total{{{SPACE}}}"),
        "a counter outside",
    ),
    (with_query(f"sum(rate(a_total{{{SPACE}}}[5m]))"), "a fixed range"),
    (
        put(
            lambda board: a_panel(board)["fieldConfig"]["defaults"]["thresholds"]["steps"][1],
            *("value", 2.0),
        ),
        "expected one alarm line at 1.0, got [None, 2.0], line",
    ),
    (
        put(lambda board: a_panel(board)["fieldConfig"]["defaults"], "custom", None),
        "alarm line at 1.0, got [None, 1.0], None",
    ),
    (put(lambda board: board["annotations"]["list"][0], "datasource", None), "annotation Model"),
    (
        put(lambda board: board["annotations"]["list"][0], "expr", "sonoba_swaps_total"),
        "annotation Model swaps: expected namespace",
    ),
    (put(lambda board: board["templating"]["list"][1], "allValue", ".+"), "expected .* for all"),
    (put(lambda board: board["templating"]["list"][2], "datasource", None), "variable model"),
    (
        put(lambda board: board["templating"]["list"][2]["query"], "query", "label_values(a, b)"),
        "expected only the names of the chosen namespace",
    ),
]


@pytest.mark.parametrize(("plant", "sentence"), PLANTED)
def test_a_planted_breach_is_found(board, rules, plant, sentence):
    broken = copy.deepcopy(board)
    plant(broken)

    found = [breach for breach in lint.breaches(broken, rules) if sentence in breach]

    assert found


def test_an_alert_that_no_panel_shows_is_found(board, rules):
    rules["groups"][-1]["rules"].append({"alert": "SonobaNew", "expr": "sonoba_new > 1"})

    assert list(lint.breaches(board, rules)) == ["alert SonobaNew: no panel shows sonoba_new"]


def test_an_alert_is_shown_by_a_recorded_series_made_of_its_own(board, rules):
    rules["groups"][-1]["rules"] += [
        {"record": "model:sonoba_trust:state", "expr": "max(sonoba_new)"},
        {"alert": "SonobaNew", "expr": "sonoba_new > 1"},
    ]

    assert list(lint.breaches(board, rules)) == []


def test_a_link_to_a_panel_that_is_gone_is_found(board, rules):
    link = {"dashboard_url": "/d/sonoba?viewPanel=999"}
    rules["groups"][-1]["rules"].append({"alert": "SonobaNew", "expr": "up", "annotations": link})

    found = list(lint.breaches(board, rules))

    assert found == ["alert SonobaNew: its link names panel 999, which is not there"]
