"""The bench of long histories, on a short one; nothing here judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytest.importorskip("resource", reason="the bench asks the system what a process has used")

from bench.pretraining import write_history

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_files_hold_the_same_rows_of_equal_groups(tmp_path):
    csv, parquet = write_history(tmp_path, 20_000)
    counts = duckdb.sql(f"SELECT count(*) AS n FROM '{parquet}' GROUP BY store").fetchall()
    told = "SELECT count(*), count(load), max(day), round(sum(sold), 2) FROM '{}'"
    ours, theirs = (duckdb.sql(told.format(path)).fetchall() for path in (csv, parquet))

    assert set(counts) == {(20,)} and len(counts) == 1000
    assert len(duckdb.sql(f"SELECT * FROM '{csv}'").columns) == 21
    assert ours == theirs


@pytest.mark.slow
def test_a_short_history_is_read_pretrained_and_accounted_for(tmp_path):
    out = tmp_path / "o"
    shape = ["--rows", "1200", "--groups", "60", "--numbers", "4"]
    command = [sys.executable, "-m", "bench.pretraining", *shape, "--out", out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    runs = json.loads(out.read_text())
    assert [run["kind"] for run in runs] == ["csv", "parquet"]
    for run in runs:
        assert 0.0 < run["read_seconds"] < run["whole_seconds"]
        assert run["peak_mb"] > 50.0
