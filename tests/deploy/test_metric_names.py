"""Every name that rules, dashboard and scalers ask for is one that a real process exports."""

import json
import re
import urllib.request

import pytest
import yaml
from prometheus_client import generate_latest

from deploy.checks.render import COMPONENTS
from deploy.dashboards import gen as boards
from deploy.dashboards import lint
from deploy.rules import gen
from service.publish_metrics import PublishCollector
from service.publish_watch import PublishTally
from service.reevaluator import Reevaluator
from service.server import Server
from service.settings import Settings
from service.worker_metrics import registry_of
from tests.security.certificates import Authority

pytestmark = pytest.mark.slow  # seconds, all together
PROMETHEUS = {"up", "ALERTS"}  # its own


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def names(text):
    """Return the names of a metrics page: its families, and the series of its histograms."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, flags=re.MULTILINE))
    ends = ("_bucket", "_count", "_sum")
    buckets = {
        f"{name}{end}" for name, kind in kinds.items() for end in ends if kind == "histogram"
    }
    return kinds.keys() | buckets


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The names that a server with a certificate, a re-evaluator and a supervisor export."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "token").write_text("a-token-of-this-test\n")
    (folder / "store").mkdir()
    pair = Authority(folder / "authority").server().settings
    server = Server(Settings(grpc_port=0, metrics_port=0, **pair))
    judge = Reevaluator(
        Settings(
            metrics_port=0,
            admin_port=0,
            webhook_port=0,
            admin_token_file=folder / "token",
            webhook_token_file=folder / "token",
            replicas=("127.0.0.1:1",),
            store=folder / "store",
            reports=folder / "reports",
        )
    )
    server.start()
    judge.start()
    try:
        pages = [page(server.metrics_port), page(judge.metrics_port)]
    finally:
        judge.stop()
        server.stop(0.0)
    # a supervisor would bring workers, and publishing an API server
    registry = registry_of(list)
    registry.register(PublishCollector(PublishTally()))
    pages.append(generate_latest(registry).decode())
    return set().union(*map(names, pages))


def rules():
    groups = yaml.safe_load(gen.RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def unknown(queries, exported):
    """Return the names in some queries that are neither exported nor recorded."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = set().union(*map(lint.series, queries))
    return sorted(asked - exported - recorded - PROMETHEUS)


def queries_of(board):
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return panels + [mark["expr"] for mark in board["annotations"]["list"]]


def test_rules_ask_for_what_is_exported(exported):
    assert unknown([rule["expr"] for rule in rules()], exported) == []


def test_the_dashboard_asks_for_what_is_exported(exported):
    queries = queries_of(json.loads(boards.PATH.read_text(encoding="utf-8")))

    assert len(queries) > 30
    assert unknown(queries, exported) == []


def test_the_scaler_asks_for_what_is_exported(exported):
    path = COMPONENTS / "keda/scaledobject.yaml"
    scaler = yaml.safe_load(path.read_text(encoding="utf-8"))
    queries = [trigger["metadata"]["query"] for trigger in scaler["spec"]["triggers"]]

    assert unknown(queries, exported) == []
    assert set().union(*map(lint.series, queries)) <= exported


@pytest.mark.parametrize("query", ["sonoba_promts_total", "model:sonoba_drift_gate:min"])
def test_a_name_that_nobody_exports_is_found(exported, query):
    assert unknown([f"sum(rate({query}[5m]))", "up"], exported) == [query]
