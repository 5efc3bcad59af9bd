"""The configuration of Prometheus for several workers fits what their supervisor opens."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.discovery import SUPERVISOR_JOB
from service.settings import Settings
from service.worker_ports import ports_of

ALERTING = Path(__file__).parents[2] / "deploy" / "alerting"
PROMETHEUS = ALERTING / "prometheus-workers.yml"


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_promtool_accepts_it():
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Debian package prometheus")
    command = ["promtool", "check", "config", str(PROMETHEUS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_asks_the_supervisor_and_no_port_of_a_worker():
    server, reevaluator = read(PROMETHEUS)["scrape_configs"]
    (discovered,) = server["http_sd_configs"]
    (elsewhere,) = reevaluator["static_configs"]
    taken = {one.metrics for one in ports_of(Settings(workers=32), 50051)}

    assert server["job_name"] == "sonoba"  # the name that absent alerts rest on
    assert server["job_name"] != SUPERVISOR_JOB
    assert discovered["url"] == f"http://127.0.0.1:{Settings().metrics_port}/sd"
    assert int(elsewhere["targets"][0].rpartition(":")[2]) not in taken


def test_all_else_is_as_for_one_process():
    several, one = read(PROMETHEUS), read(ALERTING / "prometheus.yml")

    assert {**several, "scrape_configs": []} == {**one, "scrape_configs": []}
