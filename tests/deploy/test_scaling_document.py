"""docs/scaling.md: tables follow from what was measured, Prometheus takes its configuration."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.rules import gen
from monitoring.evidence import Sizes
from tests.calling.document import named_blocks, table

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
COSTS = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
FEDERATE = named_blocks(TEXT)["federate"]
UTILISATION = 0.7
LOADS = (500, 2000, 10_000, 50_000)
MODELS = ("paper", "profile", "foundation")


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def measured() -> dict[str, float]:
    """Return the microseconds a call that docs/performance.md has, by the names of our table."""
    rows = table(COSTS, "what grows")
    queries = next(row for row in rows if row[0] == "queries (64,20)")
    prompts = next(place for place, row in enumerate(rows) if row[0] == "prompts a call (16,5)")
    batches = next(row for row in rows[prompts:] if row[1].strip() == "256")
    found = {}
    for name, column in zip(("paper", "foundation", "profile"), (2, 3, 4), strict=True):
        for row, kind in (
            (rows[prompts], "(16,5)"),
            (queries, "(64,20)"),
            (batches, "(16,5), in batches"),
        ):
            found[f"{name} {kind}"] = float(row[column].split("(")[0])
    return found


def test_replicas_follow_from_what_a_call_was_measured_to_cost():
    rows = table(TEXT, "model, (examples, features)")
    costs = measured()

    assert {row[0].replace("`", "") for row in rows} == set(costs)
    for name, cost, *counts, at_most in rows:
        spent = costs[name.replace("`", "")]
        assert number(cost) == spent
        replicas = [max(2, math.ceil(n * spent / 1e6 / UTILISATION)) for n in LOADS]
        assert [number(one) for one in counts] == replicas
        assert number(at_most) == round(UTILISATION * 1e6 / spent)


def test_bytes_of_a_state_are_those_of_its_numbers():
    for features, travels, held, many in table(TEXT, "features"):
        d = int(features)
        sizes = Sizes(d, d, min(d, 32))
        full = sizes.number_count + 10 * (d * d - d * (d + 1) // 2)

        assert number(travels) == 8 * sizes.number_count
        assert number(held) == 8 * full
        assert many == f"{2 * 1000 * 8 * (full + sizes.number_count) / 1e6:.0f} MB"


def test_series_follow_from_the_formula():
    base, each, direction = map(
        int, re.search(r"= (\d+) \+ models × \((\d+) \+ (\d+) ×", TEXT).groups()
    )

    def series(models, features):
        return base + models * (each + direction * min(features, 32))

    for row in table(TEXT, "profiles beside `foundation`"):
        for cell, features in zip(row[1:3], (5, 20), strict=True):
            assert number(cell) == pytest.approx(series(int(row[0]), features), rel=0.03)
    for row in table(TEXT, "replicas")[:3]:
        cells = (number(cell) for cell in row[1:4])
        for cell, of in zip(cells, ((1, 5), (5, 20), (20, 20)), strict=True):
            assert cell == pytest.approx(number(row[0]) * series(*of), rel=0.05)
        assert number(row[4]) == pytest.approx(number(row[0]) * series(5, 20) / 15, rel=0.05)
    limit = {d: (5000 - base) // (each + direction * min(d, 32)) for d in (5, 20, 32)}
    assert f"{limit[5]} models of 5 features, {limit[20]} of 20, {limit[32]} of 32" in TEXT


def test_what_is_federated_is_recorded_and_prometheus_takes_it(tmp_path):
    (job,) = yaml.safe_load(FEDERATE)["scrape_configs"]
    pattern = re.search(r'__name__=~"([^"]+)"', job["params"]["match[]"][0])[1]
    rules = yaml.safe_load(gen.RULES.read_text(encoding="utf-8"))["groups"]
    recorded = [rule["record"] for group in rules for rule in group["rules"] if "record" in rule]

    taken = [name for name in recorded if re.fullmatch(pattern, name)]
    assert "model:sonoba_drift_gate:max" in taken
    assert [name for name in recorded if name not in taken] == ["pod:sonoba_drift_gate:max"]
    assert job["honor_labels"] is True

    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Debian package prometheus")
    (tmp_path / "prometheus.yml").write_text(FEDERATE)
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
