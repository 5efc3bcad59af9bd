"""Runbooks: one for every alert, and what they tell to type exists."""

import functools
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import promql_parser
import pytest
import yaml

from deploy.rules import gen
from service.cli import cli
from service.settings import PREFIX, Settings
from tests.deploy.moving import CLOCKS, COUNTERS, GAUGES

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / gen.RUNBOOKS
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
GROUPS = yaml.safe_load(gen.RULES.read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
OF_HARM = [
    name
    for name, rule in ALERTS.items()
    if "drift" in rule["expr"] and not name.startswith("SonobaMonitor")
]


def read(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    books = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}

    assert books == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_says_what_it_must(name):
    text = read(name)
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)

    assert text.startswith(f"# {name}\n")
    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS
    assert f"({name}.md)" in read("README")


@pytest.mark.parametrize("name", OF_HARM)
def test_a_runbook_of_harm_says_what_the_machine_did(name):
    said = read(name).partition("\n## What the machine already did\n\n")[2].partition("\n## ")[0]
    is_evaluated = ALERTS[name]["labels"].get("action") == "reevaluate"

    assert said.startswith("It began a re-evaluation" if is_evaluated else "Nothing beyond this")
    if is_evaluated:
        for words in ("report_url", "sonoba audit list", "taken back", "no re-evaluator runs"):
            assert words in " ".join(said.split())
        assert "sonoba models rollback" in read(name) or name == "SonobaPodErrorInflation"


def test_no_runbook_waits_for_a_release():
    assert "next release" not in all_of_them()


def commands() -> list[list[str]]:
    """Return every command of ours that runbooks name, as words."""
    found = re.findall(r"(?:`|^ {4,})sonoba ([a-z][^`\n]*)", all_of_them(), flags=re.MULTILINE)
    return [shlex.split(one) for one in found]


def test_commands_that_runbooks_name_exist_with_their_options():
    names = set()
    for words in commands():
        command, context = cli, click.Context(cli)
        while isinstance(command, click.Group):
            found = command.get_command(context, words[0])
            assert found, words
            command, words = found, words[1:]
            names.add(command.name)
        if words:
            command.make_context(command.name, words)  # a sentence of its own for what is wrong

    assert {"evaluate", "promote", "rollback", "verify", "list"} <= names


QUERIES = r"promtool query instant http://\S+ '([^']+)'"
OF_OTHERS = {"scrape_samples_scraped", "process_cpu_seconds_total", "up", "ALERTS"}
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("service", "monitoring")
    for path in (ROOT / package).glob("*.py")
)


@functools.cache
def told() -> set[str]:
    """Return the series that rules read or record, that a dashboard was tried with, or others'."""
    every = [rule for group in GROUPS for rule in group["rules"]]
    found = {*GAUGES, *CLOCKS, *(f"{one}_total" for one in COUNTERS), *OF_OTHERS}
    found |= {rule["record"] for rule in every if "record" in rule}
    return found.union(*(names(rule["expr"]) for rule in every))


def is_known(name: str) -> bool:
    """Return whether a series is recorded, exported, or Prometheus' own."""
    return name in told() or f'"{name.removesuffix("_total")}"' in SOURCES


def names(query: str) -> set[str]:
    """Return the series that a query reads; a ValueError of its own where it is none."""
    found = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.add(node.vector_selector.name)

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


def test_what_runbooks_ask_of_prometheus_is_a_query_of_series_that_exist():
    queries = re.findall(QUERIES, all_of_them())

    assert len(queries) > 20
    for query in queries:
        assert [name for name in names(query) if not is_known(name)] == [], query


def test_a_series_that_nobody_exports_is_noticed():
    assert not is_known("sonoba_modle_info")
    assert not is_known("sonoba_drift_rows_totl")
    assert is_known("sonoba_worker_restarts_total")


def test_every_heading_of_a_runbook_has_something_below_it():
    for alert in ALERTS:
        parts = re.split(r"^## .+$", read(alert), flags=re.MULTILINE)[1:]
        assert all(len(part.split()) >= 8 for part in parts), alert


TOOLS = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


@pytest.mark.parametrize("tool", TOOLS)
def test_commands_of_prometheus_and_alertmanager_are_understood(tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: Debian package {TOOLS[tool]}")
    lines = re.findall(rf"(?:`|^ {{4,}})({tool} [^`\n]*)", all_of_them(), flags=re.MULTILINE)
    kinds = {re.match(r"\w+ \w+ \w+", line)[0]: line for line in lines}

    assert kinds
    for line in kinds.values():  # nobody listens there: understood, and not answered
        words = shlex.split(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", line))
        ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert "connection refused" in ran.stdout + ran.stderr, line


def test_settings_that_runbooks_name_exist():
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)", all_of_them()))

    assert "PAGE_NAMES" in named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_files_and_alerts_that_runbooks_name_exist():
    text = all_of_them()

    assert set(re.findall(r"Sonoba[A-Z]\w+", text)) <= set(ALERTS)
    for name in re.findall(r"\b(?:docs|deploy)/[\w/.]+\.\w+", text):
        assert (ROOT / name).is_file(), name


def all_of_them() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(RUNBOOKS.glob("*.md")))
