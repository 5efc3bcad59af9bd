"""The drift bench: its truth, its streams and its lines; what it measures, its gates judge."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("river", reason="ADWIN comes with the extra `bench`")

from bench.drift_arrivals import arrive, gates, observed
from bench.drift_detectors import (
    ROWS_PER_ALARM,
    Ruler,
    calls,
    covariate_scores,
    false_alarms,
    line,
)
from bench.drift_scenarios import shifted, true_ratios
from bench.drift_subjects import Subject, first_prompts, normal_errors, settings
from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.monitor import Monitor
from service.seen import seen

pytestmark = pytest.mark.slow  # seconds, all together

ROOT = Path(__file__).parents[2]
SETTING, MIXED = settings()[:2]  # five independent features, 50 examples or several lengths
SPREAD = SETTING.world.root @ SETTING.world.root
MODEL = PaperModel(SPREAD, 0.1, SETTING.world.task_variance, centred=False)


@cache
def reference():
    return first_prompts("paper", MODEL, SETTING, np.random.default_rng(0))


def test_prompts_arrive_in_order_whatever_their_length():
    came = arrive(MIXED.quiet, 50, MIXED.lengths, np.random.default_rng(0))
    rows = came.rows()

    assert set(came.counts) == set(MIXED.lengths)
    assert [len(x) for x in rows] == came.counts.tolist()
    for places, prompts in came.parts:
        for place, x in zip(places, prompts.x, strict=True):
            np.testing.assert_array_equal(rows[place], x)


def test_a_rotation_keeps_the_spectrum_and_changed_signs_keep_every_features_law():
    rng = np.random.default_rng(3)
    turned = shifted(SETTING.world, "rotation", 1.2, rng).world.root
    flipped = shifted(SETTING.world, "correlation", 1.0, rng).world.root

    np.testing.assert_allclose(np.linalg.eigvalsh(turned @ turned.T), np.linalg.eigvalsh(SPREAD))
    assert np.abs(turned @ turned.T - SPREAD).max() > 0.1
    np.testing.assert_allclose(np.diag(flipped @ flipped.T), np.diag(SPREAD))
    assert (flipped @ flipped.T)[0, 1] == pytest.approx(-SPREAD[0, 1])


def test_the_true_error_is_linear_in_the_noise():
    """So it is for one layer, whose weights do not follow the labels."""
    rng = np.random.default_rng(4)
    subject = Subject("paper", MODEL, reference(), normal_errors(MODEL, SETTING, 4000, rng))
    laws = [shifted(SETTING.world, "noise", size, rng) for size in (4.0, 7.0)]
    four, seven = (true_ratios([subject], law, SETTING, 4000, rng)[0] for law in laws)

    assert (seven[0] - 1.0) / (four[0] - 1.0) == pytest.approx(2.0, abs=0.15)
    assert four[0] == pytest.approx(four[1])  # of one length, own and pooled are one


def test_the_gate_is_what_a_monitor_shows_prompt_by_prompt():
    came = arrive(SETTING.quiet, 130, SETTING.lengths, np.random.default_rng(6))
    ((_, prompts),) = came.parts
    monitor, told = Monitor("m", "1", "paper", reference()), []
    for place in range(130):
        x, y, queries, _ = (part[place : place + 1] for part in prompts)
        monitor.observe(seen(MODEL, Block(Examples(x, y), queries)))
        told.append(monitor.snapshot().gate)

    gate = gates(reference(), observed(MODEL, came)[0])
    np.testing.assert_allclose(gate, told, rtol=1e-12)
    assert np.isnan(gate[:99]).all()
    assert np.isfinite(gate[99:]).all()


def test_ks_and_psi_are_those_of_the_last_twenty_prompts():
    from scipy import stats

    rng = np.random.default_rng(7)
    quiet = arrive(SETTING.quiet, 200, SETTING.lengths, rng).rows()
    came = arrive(SETTING.quiet, 30, SETTING.lengths, rng)
    scores = covariate_scores(Ruler.fit(quiet, reference().normal, reference().calibration), came)

    old, new = np.concatenate(quiet), np.concatenate(came.rows()[-20:])
    apart = max(stats.ks_2samp(old[:, j], new[:, j]).statistic for j in range(5))
    unit = np.sqrt(len(old) * len(new) / (len(old) + len(new)))
    assert scores["KS"][-1] / unit == pytest.approx(apart, abs=1 / 64)
    cuts = [np.quantile(old[:, j], np.arange(1, 10) / 10) for j in range(5)]
    shares = [np.bincount(np.digitize(new[:, j], cuts[j]), minlength=10) / 1000 for j in range(5)]
    psi = max(float(((p - 0.1) * np.log(p / 0.1)).sum()) for p in shares)
    assert scores["PSI"][-1] == pytest.approx(psi, rel=1e-9)


@pytest.mark.parametrize("name", ["gate", "ADWIN on LOO"])
def test_a_line_holds_the_rate_on_the_quiet_prompts_it_was_drawn_from(name):
    rng = np.random.default_rng(8)
    streams, rows = list(rng.exponential(size=(4, 900))), [np.full(900, 50.0)] * 4
    at = line(name, streams, rows)

    assert false_alarms(name, streams, rows, at) >= ROWS_PER_ALARM
    assert np.isfinite(false_alarms("gate", streams, rows, 1.0))


def test_adwin_calls_a_rise_and_no_fall():
    rng = np.random.default_rng(9)
    low, high = rng.exponential(size=200), 5.0 + rng.exponential(size=200)
    rise = calls("ADWIN on h", np.r_[low, high], 0.002)

    assert 200 <= rise[0] < 220
    assert not len(calls("ADWIN on h", np.r_[high, low], 0.002))


@pytest.mark.slow
def test_a_short_run_finds_the_harm_and_stays_silent_without(tmp_path):
    command = [sys.executable, "-m", "bench.drift", "--quick", "--setting", SETTING.name]
    command += ["--out", tmp_path / "drift.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "drift.json").read_text())
    assert {one["kind"] for one in found["cells"]} == {"paper", "foundation", "profile"}
    assert all(one["pages"] == 0 for one in found["quiet"])
    delays = {(d["kind"], d["shift"], d["detector"]): d["prompts"] for d in found["delays"]}
    assert max(delays["paper", "scale_2", "critical"]) < 30
    assert max(delays["paper", "correlation", "critical"]) < 60
    assert min(delays["paper", "task_new", "critical"]) == np.inf
    assert max(delays["profile", "noise_4", "critical"]) < 100
    assert all(one["spoilt"] == 0 for one in found["states"])
    assert len(found["gates"]) > 30
    assert "Gates" in done.stdout
