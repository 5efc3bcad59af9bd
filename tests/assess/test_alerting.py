"""Replayed alerts: the real monitor's numbers, the rules file's names and lines, quiet runs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from model.history import draw
from model.prompt import Block, Examples
from monitoring.levels import CRITICAL, LEAVE, MAJOR, WARNING
from monitoring.monitor import Monitor
from service.assess.alerting import STALLED, STALLED_PROMPTS, Replay
from service.assess.answered import answer
from service.assess.changes import moved
from service.assess.conditions import scene_of
from service.assess.crossing import (
    CLIPPED_SHARE,
    COVARIATES,
    HARM,
    MOVED,
    RELATIVE_HARM,
    SHORT_CONTEXTS,
    held,
    lines,
    moved_scores,
)
from service.assess.judged import judge
from service.seen import seen_by
from tests.assess.linear_world import material

pytestmark = pytest.mark.slow  # its material takes some seconds

RULES = Path(__file__).resolve().parents[2] / "deploy/rules/sonoba.rules.yaml"


@pytest.fixture(scope="module")
def made():
    return material()


@pytest.fixture(scope="module")
def replay(made):
    return Replay.of(made.fitted.reference, judged(made, held_out(made)), 0)


def held_out(made, length=32, count=160, seed=0):
    return draw(made.unseen, length, count, seed)


def judged(made, prompts):
    answered = answer(made.model, prompts)
    return judge(made.model, made.fitted.reference, answered, prompts.weight)


def scaled(prompts, factor):
    """Return prompts whose label noise is larger by the spread of labels."""
    rng = np.random.default_rng(0)
    more = factor * rng.normal(size=prompts.y.shape)
    return prompts._replace(y=prompts.y + more)


def test_levels_and_scores_are_those_of_the_real_monitor(made):
    reference = made.fitted.reference
    streams = [held_out(made, count=200), scaled(held_out(made, seed=1), 1.0)]
    monitor = Monitor("m", "1", "profile", reference)
    for prompts in streams:
        assert (prompts.weight == 1.0).all()
        for row in range(len(prompts.y)):
            one = slice(row, row + 1)
            block = Block(Examples(prompts.x[one], prompts.y[one]), prompts.queries[one])
            monitor.observe(seen_by(made.model.estimator(block), block))
    both = judged(made, streams[0]).joined(judged(made, streams[1]))
    now, shown = lines(both, reference), monitor.snapshot()

    assert both.watched.all() and shown.prompt_count == 360
    assert now.gate[-1] == pytest.approx(shown.gate, rel=1e-9)
    for place, channel in enumerate(("h", "loo")):
        level = shown.levels[channel]
        assert now.channels[-1, place] == pytest.approx(level.gate, rel=1e-9)
        assert now.short[-1, place] == pytest.approx(level.clipped_mean, rel=1e-9)
    assert moved_scores(both, reference)[-1] == pytest.approx(shown.info_score, rel=1e-9)
    totals = monitor.watch.released.public
    assert totals.prompts == 360
    assert both.excess.sum() == pytest.approx(totals.excess_error, rel=1e-9)
    assert both.signal.sum() == pytest.approx(totals.query_signal, rel=1e-9)
    assert both.at_clip.sum(axis=0) == pytest.approx(totals.clipped, abs=1e-9)


def test_every_alert_stands_in_the_rules_with_its_line_and_its_minutes():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    at = {
        "SonobaErrorInflationCritical": CRITICAL,
        "SonobaErrorInflationMajor": MAJOR,
        "SonobaErrorInflationWarning": WARNING,
        "SonobaShortContexts": SHORT_CONTEXTS,
        "SonobaRelativeHarm": RELATIVE_HARM,
        "SonobaClippedPrompts": CLIPPED_SHARE,
        "SonobaCovariatesMoved": COVARIATES,
    }
    named = {"critical": "critical", "info": "information"}  # the others are warnings

    assert set(at) == {rule.alert for rule in (*HARM, MOVED)}
    for rule in (*HARM, MOVED):
        written = found[rule.alert]
        assert written["for"] == f"{rule.minutes}m", rule
        assert named.get(written["labels"]["severity"], "warning") == rule.severity, rule
        assert re.search(rf"> {at[rule.alert]:g}\b", written["expr"]), rule
    assert f"unless model:sonoba_drift_gate:max > {LEAVE:g}" in found[MOVED.alert]["expr"]
    assert found[STALLED]["for"] == "10m" and "[10m])) > 0.2" in found[STALLED]["expr"]
    assert STALLED_PROMPTS == 0.2 * 60 * (10 + 10)


def test_windows_are_those_of_a_hand(made):
    few = judged(made, held_out(made, count=230))
    shuffled = replace(few, rows=np.where(np.arange(230) < 100, 32.0, 8.0))
    now, reference = lines(shuffled, made.fitted.reference), made.fitted.reference

    assert reference.window_prompts == 100
    assert np.isnan(now.gate[98]) and np.isfinite(now.gate[99])
    end = 200  # 2,000 rows of the newest: 101 short prompts and 38 long ones
    count = next(n for n in range(100, end) if shuffled.rows[end - n : end].sum() >= 2000.0)
    u = shuffled.inflation[end - count : end]
    bound = u.mean(axis=0) - 1.645 * u.std(axis=0) / np.sqrt(count)
    assert count == 138
    np.testing.assert_allclose(now.channels[end - 1], bound, rtol=1e-9)
    np.testing.assert_allclose(now.short[end - 1], u.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(now.long[end - 1], shuffled.inflation[:end].mean(axis=0))
    effect = shuffled.length_effect[max(end - 2 * count, 0) : end].mean()
    assert now.length[end - 1] == pytest.approx(effect)


def test_a_line_must_be_crossed_for_as_long_as_the_rule_says():
    crossings = np.array([0, 1, 1, 0, 1, 1, 1, 1, 0], np.bool_)

    assert held(crossings, 0) == 1
    assert held(crossings, 1) == 2
    assert held(crossings, 2) == 6
    assert held(crossings, 4) is None
    assert held(np.zeros(3, np.bool_), 0) is None


def test_quiet_runs_stay_quiet(replay):
    assert replay.quiet_share == 0.0
    assert replay.run_prompts == 400
    alarm = replay.alarm(replay.quiet)
    assert (alarm.alert, alarm.severity, alarm.prompts, alarm.share) == ("", None, None, 0.0)


def test_noisy_labels_call_somebody_and_more_of_them_sooner(made, replay):
    some, many = (replay.alarm(judged(made, scaled(held_out(made), f))) for f in (1.0, 3.0))

    assert (some.alert, some.severity) == ("SonobaErrorInflationCritical", "critical")
    assert some.share == many.share == 1.0
    assert 1 < many.prompts < some.prompts < 120


def test_the_prompts_to_an_alert_are_those_of_a_run_by_hand(made, replay):
    """One run, its gate recomputed prompt by prompt, is the first to be above 2 for 1 minute."""
    changed = judged(made, scaled(held_out(made), 1.0))
    run = next(iter(replay.runs(changed)))
    start, hold = run.start, round(1 / 30 * 100)
    gates = []
    for end in range(start + 1, len(run.came) + 1):
        u = run.prompts.inflation[end - 100 : end]
        gates.append((u.mean(axis=0) - 1.645 * u.std(axis=0) / 10.0).max())
    above = np.array(gates) > 2.0
    first = next(n for n in range(hold, len(above)) if above[n - hold : n + 1].all())

    fired = replay.fired(run, HARM)
    assert fired["SonobaErrorInflationCritical"] == first + 1


def test_moved_columns_are_information_where_nothing_is_harmed(made, replay):
    scene = scene_of(made)
    higher = moved(scene, scene.free(), np.add, 0.5)
    alarm = replay.alarm(judged(made, higher))

    assert (alarm.alert, alarm.severity) == ("SonobaCovariatesMoved", "information")
    assert alarm.share == 1.0 and alarm.prompts < 150


def test_prompts_that_the_profile_leaves_to_another_stall_the_monitor(made, replay):
    prompts = held_out(made)
    far = judged(made, prompts._replace(x=1000.0 * prompts.x, queries=1000.0 * prompts.queries))

    assert far.answered.all() and not far.watched.any()
    alarm = replay.alarm(far)
    assert (alarm.alert, alarm.prompts, alarm.share) == (STALLED, STALLED_PROMPTS, 1.0)
    none = replace(far, answered=np.zeros_like(far.answered))
    assert replay.alarm(none).alert == ""  # a refusal in every reply, and no alert
