"""Prometheus and Alertmanager as an operator runs them, with the shipped rules at a test's pace."""

import json
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import yaml

from deploy.rules import gen as rules
from deploy.stack import programs, readiness
from tests.deploy.test_dashboard_live import free_port

ALERTMANAGER = Path(rules.__file__).parents[1] / "alerting" / "alertmanager.yml"
TOKEN = "a-webhook-token-of-the-test"
READY_SECONDS = 30


class Webhook:
    """Stands in the place of a re-evaluator: keeps what Alertmanager posts, and when."""

    def __init__(self):
        self.posted = []  # (seconds, alert)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.headers["Authorization"] == f"Bearer {TOKEN}"
                outer.posted += [(time.monotonic(), alert) for alert in body["alerts"] if known]
                self.send_response(200 if known else 401)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def first(self, model, status, after, name):
        """Return when an alert of a model was first told after a moment; None if it was not."""
        for seconds, alert in self.posted:
            labels = alert["labels"]
            found = labels.get("model"), alert["status"], labels["alertname"]
            if found == (model, status, name) and seconds >= after:
                return seconds
        return None

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def alerting(folder, targets, webhook_url, reevaluators=(), restarts=None):
    """Run both on targets (host:port) until the end of the block; yield Prometheus's address.

    `restarts` is a list that gets a function for each, which kills it and starts it again.
    """
    prometheus, alertmanager = free_port(), free_port()
    _configure(folder, targets, webhook_url, alertmanager, reevaluators)
    at = f"127.0.0.1:{alertmanager}", f"127.0.0.1:{prometheus}"
    paths = programs.found()
    commands = [
        programs.alertmanager_command(
            paths["alertmanager"], folder / "alertmanager.yml", folder / "silences", at[0]
        ),
        programs.prometheus_command(
            paths["prometheus"], folder / "prometheus.yml", folder / "data", at[1]
        ),
    ]
    with (folder / "log").open("w") as log:
        children = [subprocess.Popen(one, stdout=log, stderr=log) for one in commands]
        ports = (alertmanager, prometheus)

        def again(place):
            children[place].kill()
            children[place].wait()
            children[place] = subprocess.Popen(commands[place], stdout=log, stderr=log)
            _wait(f"http://127.0.0.1:{ports[place]}/-/ready", folder / "log")

        if restarts is not None:
            restarts += [lambda: again(0), lambda: again(1)]
        try:
            for port in ports:
                _wait(f"http://127.0.0.1:{port}/-/ready", folder / "log")
            yield f"http://127.0.0.1:{prometheus}"
        finally:
            for child in children:
                child.terminate()
                child.wait()


def ask(prometheus, query):
    """Return the samples of an instant query, (labels, value)."""
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?query={quote(query)}") as reply:
        found = json.load(reply)["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in found]


def _configure(folder, targets, webhook_url, alertmanager_port, reevaluators):
    """Write the shipped configuration, with the test's addresses and a test's patience."""
    pace = rules.fast(window="30s", hold="4s", keep="10s", interval="2s")
    (folder / "rules.yml").write_text(rules.render(pace))
    prometheus = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
        "rule_files": ["rules.yml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
        },
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": list(some)}]}
            for name, some in (("sonoba", targets), ("sonoba-reevaluator", reevaluators))
            if some
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
    shipped = yaml.safe_load(ALERTMANAGER.read_text())
    for route in [shipped["route"], *shipped["route"]["routes"]]:
        route |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in shipped["receivers"]:
        for hook in receiver.get("webhook_configs", []):
            hook["url"] = webhook_url
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(shipped))
    (folder / "webhook.token").write_text(TOKEN)


def _wait(url, log):
    ends = time.monotonic() + READY_SECONDS
    while not readiness.answers(url):
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.1)
