"""The files Grafana reads at its start fit the dashboard and Prometheus's configuration."""

from pathlib import Path

import pytest
import yaml

ALERTING = Path(__file__).resolve().parents[2] / "deploy" / "alerting"
GRAFANA = ALERTING / "grafana" / "provisioning"


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def source():
    (only,) = read(GRAFANA / "datasources" / "prometheus.yaml")["datasources"]
    return only


def test_the_variable_of_the_dashboard_starts_on_the_only_source(source):
    assert (source["type"], source["uid"], source["isDefault"]) == (
        "prometheus",
        "prometheus",
        True,
    )


def test_rates_span_four_scrapes(source):
    path = ALERTING / "prometheus.yml"
    if not path.exists():
        pytest.skip("deploy/alerting/prometheus.yml is not there")

    scraped = read(path)["global"]["scrape_interval"]

    assert source["jsonData"]["timeInterval"] == scraped


def test_what_is_provisioned_is_not_edited_in_the_browser(source):
    (provider,) = read(GRAFANA / "dashboards" / "sonoba.yaml")["providers"]

    assert source["editable"] is provider["allowUiUpdates"] is False
    assert provider["folder"] == "sonoba"
