import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from service.trust import Judge, Trust, rules
from tests.service.snapshots import NOON, WARMING, harmed, levels, measured

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy/rules/sonoba.rules.yaml"


def judged(*steps):
    """Return the answers of one judge to (seconds since noon, snapshot) one after another."""
    judge = Judge()
    return [judge.judge(snapshot, NOON + seconds).trust.value for seconds, snapshot in steps]


@pytest.mark.parametrize(
    ("snapshot", "trust", "code"),
    [
        (replace(WARMING, prompt_count=0), "NOT_MEASURED", "NO_TRAFFIC"),
        (WARMING, "NOT_MEASURED", "WARMING"),
        (replace(WARMING, reference=""), "NOT_MEASURED", "NO_REFERENCE"),
        (measured(1.0, last_update_seconds=NOON - 22_000), "NOT_MEASURED", "NO_RECENT_TRAFFIC"),
        (measured(1.0, last_update_seconds=NOON - 20_000), "YES", "NORMAL"),
        (measured(1.0), "YES", "NORMAL"),
        (measured(1.5), "YES", "NORMAL"),
        (measured(1.51), "WATCH", "HARM_MAJOR"),
        (measured(2.0), "WATCH", "HARM_MAJOR"),
        (measured(2.01), "NO", "HARM_CRITICAL"),
        (measured(1.0, levels=levels(0.9, loo=2.5)), "NO", "HARM_CRITICAL"),
    ],
)
def test_a_snapshot_has_its_answer_at_once(snapshot, trust, code):
    finding = Judge().judge(snapshot, NOON)

    assert (finding.trust, finding.code) == (trust, code)


@pytest.mark.parametrize(
    ("snapshot", "wait_seconds", "trust", "code"),
    [
        (measured(1.3), 900, "WATCH", "HARM_WARNING"),
        (measured(1.0, length_effect=1.6), 1800, "WATCH", "SHORT_CONTEXTS"),
        (measured(1.0, clipped_share=0.06), 600, "WATCH", "CLIPPED_PROMPTS"),
        (measured(1.0, info_score=1.1), 300, "YES", "COVARIATES_MOVED"),
    ],
)
def test_what_may_pass_by_itself_counts_only_when_it_lasts(snapshot, wait_seconds, trust, code):
    judge = Judge()
    at_once = judge.judge(snapshot, NOON)
    nearly = judge.judge(snapshot, NOON + wait_seconds - 1)
    lasting = judge.judge(snapshot, NOON + wait_seconds)
    over = judge.judge(measured(1.0), NOON + wait_seconds + 1)

    assert at_once.code == nearly.code == over.code == "NORMAL"
    assert (lasting.trust, lasting.code) == (trust, code)


def test_an_interruption_starts_the_waiting_again():
    high, calm = measured(1.0, clipped_share=0.06), measured(1.0)

    assert judged((0, high), (590, calm), (600, high), (1190, high), (1200, high)) == [
        *("YES", "YES", "YES", "YES", "WATCH")
    ]


def test_no_is_kept_until_half_an_hour_of_calm():
    assert (
        judged(
            (0, harmed(2.1)),
            (60, measured(1.7)),  # below the line, not calm
            (6000, measured(1.3)),
            (6060, measured(1.2)),  # calm begins
            (7859, measured(1.2)),
        )
        == ["NO"] * 5
    )
    assert judged((0, harmed(2.1)), (60, measured(1.2)), (1860, measured(1.2))) == [
        *("NO", "NO", "YES")
    ]


def test_a_relapse_starts_the_calm_again():
    calm, relapse = measured(1.2), measured(1.3)

    answers = judged((0, harmed(2.1)), (60, calm), (1800, relapse), (1860, calm), (3600, calm))
    assert answers == ["NO"] * 5


def test_the_calm_that_is_missing_is_told():
    judge = Judge()
    judge.judge(harmed(2.1), NOON)
    held = judge.judge(measured(1.7), NOON + 30)
    judge.judge(measured(1.0), NOON + 60)
    clearing = judge.judge(measured(1.0), NOON + 660)

    assert held.clears_in_seconds != held.clears_in_seconds
    assert clearing.clears_in_seconds == 1200


def test_an_alarm_does_not_end_because_the_traffic_does():
    stale = harmed(2.1)
    stale = replace(stale, last_update_seconds=NOON - 30_000)

    answers = judged((0, harmed(2.1)), (60, WARMING), (90, stale), (1860, stale))
    assert answers == ["NO", "NO", "NO", "NOT_MEASURED"]


def test_the_kept_time_is_a_parameter():
    judge = Judge(keep_seconds=10.0)
    answers = [
        judge.judge(snapshot, NOON + seconds).trust
        for seconds, snapshot in [(0, harmed()), (1, measured(1.0)), (11, measured(1.0))]
    ]

    assert answers == [Trust.NO, Trust.NO, Trust.YES]


def test_lines_and_delays_are_those_of_the_alerts():
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}

    for rule in rules():
        alert = alerts[rule.runbook]
        assert re.search(
            rf"> {re.escape(f'{rule.enter:g}')}\b", alert["expr"].replace("> .", "> 0.")
        )
        kept = alert.get("keep_firing_for", "0m")
        assert rule.keep_seconds == 60 * int(kept.removesuffix("m"))
        if not rule.code.startswith(("HARM_CRITICAL", "HARM_MAJOR")):
            assert rule.wait_seconds == 60 * int(alert["for"].removesuffix("m"))
