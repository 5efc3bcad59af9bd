"""Routing of one machine: who hears which alert, and that every file is valid."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.settings import Settings

ALERTING = Path(__file__).resolve().parents[2] / "deploy/alerting"
ALERTMANAGER, PROMETHEUS = ALERTING / "alertmanager.yml", ALERTING / "prometheus.yml"

ROUTES = {
    "severity=critical action=reevaluate model=bikes": "reevaluate,people",
    "severity=major action=reevaluate model=bikes namespace=prod": "reevaluate,people",
    "severity=info model=bikes": "silent",
    "severity=warning model=bikes": "people",
    "severity=critical job=sonoba": "people",
    "severity=major action=notify_caller model=bikes": "people",
}


def run(tool: str, package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: Debian package {package}")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60)


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("amtool", "prometheus-alertmanager", *arguments)


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_amtool_accepts_the_configuration():
    ran = amtool("check-config", str(ALERTMANAGER))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(("labels", "receivers"), ROUTES.items(), ids=ROUTES)
def test_an_alert_reaches_its_receivers(labels, receivers):
    ran = amtool(
        *("config", "routes", "test", f"--config.file={ALERTMANAGER}"),
        *(f"--verify.receivers={receivers}", *labels.split()),
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_webhook_that_swallows_pages_is_found(tmp_path):
    config = read(ALERTMANAGER)
    del config["route"]["routes"][2]  # the child for people
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))

    ran = amtool(
        *("config", "routes", "test", f"--config.file={tmp_path / 'alertmanager.yml'}"),
        *("--verify.receivers=reevaluate,people", "severity=critical", "action=reevaluate"),
    )

    assert ran.returncode == 1


def test_a_critical_alert_of_a_model_hides_the_lesser_ones_of_that_model():
    (rule,) = read(ALERTMANAGER)["inhibit_rules"]

    assert rule["source_matchers"] == ['severity = "critical"', 'model =~ ".+"']
    assert rule["target_matchers"] == ['severity =~ "major|warning|info"']
    assert rule["equal"] == ["namespace", "model"]


def test_the_webhook_has_a_token_and_no_secret_is_committed():
    text = ALERTMANAGER.read_text(encoding="utf-8")
    webhook = next(r for r in read(ALERTMANAGER)["receivers"] if r["name"] == "reevaluate")
    (call,) = webhook["webhook_configs"]

    assert call["url"] == "http://127.0.0.1:8085/alerts"
    assert call["http_config"]["authorization"]["credentials_file"] == "webhook.token"
    assert not re.search(r"^\s*(credentials|password|.*_key):", text, flags=re.MULTILINE)
    assert not (ALERTING / "webhook.token").exists() or "webhook.token" in (
        (ALERTING / ".gitignore").read_text(encoding="utf-8")
    )


def test_promtool_accepts_the_configuration_and_its_rules():
    ran = run("promtool", "prometheus", "check", "config", str(PROMETHEUS))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 rule files found" in ran.stdout


def test_prometheus_asks_the_ports_that_are_opened():
    server, reevaluator = read(PROMETHEUS)["scrape_configs"]

    assert server["job_name"] == "sonoba"  # the name that absent alerts rest on
    assert server["static_configs"][0]["targets"] == [f"127.0.0.1:{Settings().metrics_port}"]
    assert reevaluator["job_name"] == "sonoba-reevaluator"  # alone, it must not hide the servers
    (target,) = reevaluator["static_configs"][0]["targets"]
    document = (ALERTING.parents[1] / "docs/reevaluation.md").read_text(encoding="utf-8")
    assert f"--metrics-port {target.removeprefix('127.0.0.1:')}" in document


def test_the_webhook_goes_to_the_port_of_the_reevaluator():
    receivers = {one["name"]: one for one in read(ALERTMANAGER)["receivers"]}
    (call,) = receivers["reevaluate"]["webhook_configs"]

    assert call["url"] == f"http://127.0.0.1:{Settings().webhook_port}/alerts"
