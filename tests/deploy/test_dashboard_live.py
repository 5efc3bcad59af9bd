"""Every query of the dashboard answers on a real Prometheus with the real rules.

Grafana itself is not run here: how panels look is seen by eye only.
"""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

import prometheus_client
import pytest

from deploy.dashboards import gen
from deploy.rules import gen as rules
from tests.deploy import moving

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 90
CHOSEN = {  # what a visitor may have chosen: everything, one installation, one machine's
    "all": {"namespace": ".*", "model": ".*"},
    "one": {"namespace": "live", "model": "foundation"},
    "unnamed": {"namespace": "", "model": "foundation|profile"},
}
STEPS = {"$__rate_interval": "15s", "$__range": "1m"}
MAY_BE_EMPTY: dict[str, str] = {}  # title → why nothing can be expected


@dataclass
class Target:
    """Where Prometheus scrapes, and the labels it gives what it finds there."""

    address: str
    labels: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def targets():
    """Serve two replicas: one as on one machine, one as in a cluster."""
    served = [prometheus_client.start_http_server(0, "127.0.0.1", moving.registry()) for _ in "ab"]
    one, other = (f"127.0.0.1:{server.server_port}" for server, _ in served)
    yield [Target(one), Target(other, {"namespace": "live", "pod": "sonoba-0"})]
    for server, thread in served:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def ask(targets, tmp_path_factory):
    """Run Prometheus on the targets, and return the function that asks its API."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    configure(folder, targets)
    port = free_port()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.json'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        api = Api(f"http://127.0.0.1:{port}")
        until(api.is_ready, lambda: (folder / "log").read_text())
        yield api
        process.terminate()


def configure(folder, targets):
    """Write the rules at the pace of a test, and a configuration that scrapes every second."""
    pace = rules.fast(interval="1s", hold="1s", keep="10s")
    (folder / "rules.yaml").write_text(rules.render(pace), encoding="utf-8")
    scraped = [{"targets": [one.address], "labels": one.labels} for one in targets]
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [{"job_name": "sonoba", "static_configs": scraped}],
    }
    (folder / "prometheus.json").write_text(json.dumps(configuration))  # JSON is YAML


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Api:
    """Prometheus's HTTP API."""

    def __init__(self, address):
        self.address = address

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.address}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def get(self, path, **parameters):
        """Return the data of an answer; a refused query is an error with Prometheus's sentence."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{query}", timeout=10) as it:
                return json.load(it)["data"]
        except urllib.error.HTTPError as refused:
            with refused:
                raise AssertionError(f"{parameters}: {refused.read().decode()}") from None

    def numbers(self, query):
        """Return the numbers that a query gives now."""
        found = self.get("query", query=query)["result"]
        return [float(one["value"][1]) for one in found if one["value"][1] != "NaN"]


def until(holds, say):
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, say()
        time.sleep(0.5)


def filled(text, chosen):
    """Return a query or variable as Grafana sends it."""
    for name, value in (STEPS | {f"${name}": value for name, value in chosen.items()}).items():
        text = text.replace(name, value)
    assert "$" not in text.replace("$labels", ""), text
    return text


def board():
    return json.loads(gen.PATH.read_text(encoding="utf-8"))


def queries():
    """Return (title, PromQL) of every panel and annotation."""
    drawn = [
        (panel["title"], target["expr"])
        for panel in board()["panels"]
        for target in panel.get("targets", ())
    ]
    return drawn + [(mark["name"], mark["expr"]) for mark in board()["annotations"]["list"]]


@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN)
def test_every_query_of_the_dashboard_finds_numbers(ask, chosen):
    empty = [(title, filled(query, chosen)) for title, query in queries()]

    def all_found():
        empty[:] = [(title, query) for title, query in empty if not ask.numbers(query)]
        return {title for title, _ in empty} <= set(MAY_BE_EMPTY)

    until(all_found, lambda: "\n".join(f"nothing for {t}: {q}" for t, q in empty))


def test_every_variable_finds_names(ask):
    wanted = {"namespace": {"live"}, "model": {"foundation"}}
    variables = [v for v in board()["templating"]["list"] if v["type"] == "query"]

    def names(variable):
        call = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        match = {"match[]": filled(call[1], CHOSEN["all"])}
        return set(ask.get(f"label/{call[2]}/values", **match))

    until(lambda: {v["name"]: names(v) for v in variables} == wanted, lambda: "no names")


def test_no_rule_fails(ask):
    def states():
        groups = ask.get("rules")["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    until(lambda: "unknown" not in states(), lambda: "rules that are never evaluated")

    assert states() == {"ok"}


def test_the_big_answer_says_no_while_errors_are_four_times_normal(ask):
    trust = filled('model:sonoba_trust:state{namespace=~"$namespace"}', CHOSEN["all"])

    until(lambda: ask.numbers(trust) == [2, 2], lambda: f"trust is {ask.numbers(trust)}")


def test_the_error_against_normal_leaves_out_the_reference_that_was_replaced(ask):
    title = "Error against normal, ×"
    query = filled(dict(queries())[title], CHOSEN["one"])
    until(lambda: ask.numbers(query), lambda: "nothing")

    assert ask.numbers(query) == [pytest.approx(4, rel=0.01)]
