"""The accuracy bench on groups whose law is known: linear tasks about a common trend."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.accuracy_table import Cell, gates
from bench.data_sets import read_sets
from bench.mistakes import CLEAN, MISTAKES, SWAP, UNIT
from model.history import draw

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Return a folder with one set of 30 linear tasks, noise variance 1."""
    rng = np.random.default_rng(0)
    with (tmp_path / "tasks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "a", "b", "y"])
        for task in range(30):
            w = np.array([2.0, -1.0]) + 0.3 * rng.normal(size=2)
            for a, b in rng.normal(size=(60, 2)):
                writer.writerow([task, a, b, w @ (a, b) + rng.normal()])
    (tmp_path / "meta.json").write_text(json.dumps({"tasks": {"groups_in_time": True}}))
    return tmp_path


def test_the_earliest_groups_are_history_and_no_other_is_written(folder, tmp_path):
    (data,) = read_sets(folder)
    data.write_history(tmp_path / "history.csv")
    rows = np.loadtxt(tmp_path / "history.csv", delimiter=",", skiprows=1)

    assert set(rows[:, 0]) == set(range(18))
    assert {group.name for group in data.unseen().groups} == {str(i) for i in range(18, 30)}


@pytest.mark.slow
def test_a_profile_served_over_grpc_equals_the_exact_solve_and_covers(folder, tmp_path):
    command = [sys.executable, "-m", "bench.accuracy", "--sets", folder, "--out", tmp_path / "o"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "o").read_text())
    assert [cell["example_count"] for cell in cells] == [8, 16, 32]
    for cell in cells:
        assert cell["error"]["profile"] == pytest.approx(cell["error"]["EB"], rel=0.02)
        assert cell["error"]["profile"] < cell["error"]["OLS"]
        assert cell["coverage"]["0.95"] == pytest.approx(0.95, abs=0.04)
        assert (cell["bad_count"], cell["refused_count"], cell["refusal"]) == (0, 0, "")
    for cell in (cells[0], cells[2]):
        assert set(cell["noticed"]) == set(MISTAKES)
        assert cell["noticed"][CLEAN] < 0.2
        assert cell["noticed"][UNIT] == 1.0
    assert "not noticed" in done.stdout


def test_the_shipped_sets_are_read_each_once():
    found = {data.name: data for data in read_sets(None)}

    assert {"ames", "bikeshare", "diabetes", "diamonds", "flights", "txhousing"} <= set(found)
    assert found["txhousing"].is_ordered and not found["flights"].is_ordered
    assert len(found["bikeshare"].known) == 32
    for data in found.values():
        assert np.isfinite(data.rows).all()
        assert len(np.setdiff1d(data.rows[:, 0], data.known)) >= 2


def test_what_is_said_of_the_sets_is_found_in_the_folder_above_too(folder):
    (folder / "meta.json").write_text(json.dumps({"tasks": {"order": "time"}}))
    (folder / "public").mkdir()
    (folder / "tasks.csv").rename(folder / "public" / "tasks.csv")

    assert [data.is_ordered for data in read_sets(folder / "public")] == [True]
    assert [data.is_ordered for data in read_sets(folder)] == [True]


def test_a_mistake_is_made_where_it_says_and_nowhere_else(folder):
    (data,) = read_sets(folder)
    prompts = draw(data.unseen(), 8, 5, 0)
    columns = np.array([[0, 1]] * 5)
    made = {name: make(prompts, columns[:, :count]) for name, (count, make) in MISTAKES.items()}

    np.testing.assert_array_equal(made[UNIT].x, prompts.x * [1000.0, 1.0])
    np.testing.assert_array_equal(made[UNIT].queries, prompts.queries * [1000.0, 1.0])
    np.testing.assert_array_equal(made[UNIT + ", queries only"].x, prompts.x)
    np.testing.assert_array_equal(made[SWAP].x, prompts.x[..., ::-1])
    np.testing.assert_array_equal(made[SWAP].queries, prompts.queries[..., ::-1])
    np.testing.assert_array_equal(made[SWAP + ", queries only"].x, prompts.x)
    for name, wrong in made.items():
        changed = any((ours != theirs).any() for ours, theirs in zip(wrong, prompts, strict=True))
        assert changed == (name != CLEAN)
        np.testing.assert_array_equal(wrong.targets, prompts.targets)


def test_a_gate_is_missed_by_what_is_worse_and_by_what_is_no_number():
    good = {"profile": 0.5, "foundation": 0.8, "EB": 0.5, "ridge-CV": 1.0, "OLS": 1.2}
    worse = {**good, "profile": 0.7}
    cells = [Cell("a", 8, good, {0.8: 0.8}, 0, ""), Cell("a", 32, good, {0.8: 0.81}, 0, "")]
    bad = [Cell("a", 8, worse, {0.8: np.nan}, 3, ""), Cell("a", 32, good, {0.8: 0.8}, 0, "")]

    assert all(gate.ok for gate in gates(cells))
    assert [gate.name.partition(",")[0] for gate in gates(bad) if not gate.ok] == [
        *["profile ÷ best yardstick"] * 3,
        "prompts without a finite answer",
        "mean coverage error at 80%",
    ]
