"""Dashboards and runbooks as a cluster gets them: every alert has a page and a panel."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from deploy.checks.alerts import rules_of
from deploy.checks.objects import Json, Tree, labels, said
from deploy.dashboards import gen, lint

RUNBOOKS = Path(__file__).resolve().parents[1] / "runbooks"
FOUND_BY = {"grafana_dashboard": "1"}  # the label that Grafana's sidecar looks for
HASHED = re.compile("-[bcdfghkmt2456789]{10}$")  # kustomize writes hashes in these letters
KEPT_BYTES = 262_144  # of all annotations; a client-side apply keeps the whole object in one


def dashboard_breaches(tree: Tree) -> Iterator[str]:
    """Yield dashboards that are not found, do not fit, or are not the committed ones."""
    rules: Json = {"groups": [{"rules": rules_of(tree)}]}
    for document in _boards(tree):
        if HASHED.search(document["metadata"]["name"]):
            yield f"{said(document)}: expected a name without a hash, else there are two of one uid"
        if len(json.dumps(document).encode()) > KEPT_BYTES:
            yield f"{said(document)}: expected at most {KEPT_BYTES} bytes"
        for name, text in document["data"].items():
            board = json.loads(text)
            yield from (f"{said(document)}: {name}: {it}" for it in lint.breaches(board, rules))
            if _unlinked(text) != _unlinked(gen.PATH.read_text(encoding="utf-8")):
                yield f"{said(document)}: {name}: expected {gen.PATH.name} as it is committed"


def _unlinked(text: str) -> Json:
    """Return a dashboard without the links of its panels: an operator's readers have their own."""
    board: Json = json.loads(text)
    return board | {
        "panels": [{k: v for k, v in panel.items() if k != "links"} for panel in board["panels"]]
    }


def board_count_breaches(tree: Tree) -> Iterator[str]:
    """Yield alerts without the dashboard that they link to."""
    if rules_of(tree) and not _boards(tree):
        yield "ConfigMap: expected a dashboard beside the rules, which link to it, got none"


def runbook_breaches(tree: Tree) -> Iterator[str]:
    """Yield alerts whose runbook is not written."""
    for rule in rules_of(tree):
        if "alert" in rule:
            page = PurePosixPath(urlsplit(rule["annotations"].get("runbook_url", "")).path).name
            if page != f"{rule['alert']}.md" or not (RUNBOOKS / page).is_file():
                yield f"{rule['alert']}: expected a link to its runbook, got {page or 'none'}"


def _boards(tree: Tree) -> list[Json]:
    return [
        document
        for document in tree.of("ConfigMap")
        if labels(document).items() >= FOUND_BY.items()
    ]
