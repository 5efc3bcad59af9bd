"""The bench of merges: a fleet of fifty is one monitor, and what is off is found."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bench.merge import __main__ as bench
from bench.merge import fleet as fleets
from bench.merge.__main__ import SETTING, promised, subject_of
from bench.merge.compare import count_error, level_error, sum_error, verdict
from bench.merge.process import VERSION
from bench.merge.pull import answer_of, pull
from service.gather import joined
from service.replicas import Silent

pytestmark = pytest.mark.slow  # seconds, all together

HARD = fleets.CASES[-1]


@pytest.fixture(scope="module")
def subject():
    return subject_of("paper")


@pytest.fixture(scope="module")
def fleet(subject):
    return fleets.run(SETTING, subject, HARD, 50, 30)


@pytest.fixture(scope="module")
def single(subject, fleet):
    return fleets.all_seen(subject, fleet.blocks, np.random.default_rng(0))


def test_fifty_replicas_some_away_are_one_monitor(subject, fleet, single):
    found = joined(fleet.found, VERSION)

    assert fleet.prompt_count == pytest.approx(50 * 30, abs=fleets.CHUNKS)
    assert 0 < found.prompt_count < fleet.prompt_count
    assert (len(found.missing), found.is_enough) == (7, True)
    assert count_error(found.state, single) == 0.0
    assert sum_error(found.state, single, fleet.states) < 1e-13
    assert level_error(found.state, single) < 1e-12
    assert verdict(subject, found.state) == verdict(subject, single)
    assert verdict(subject, single).startswith("RECALIBRATE/COVARIATE")


def test_a_replica_that_is_left_out_or_counted_twice_is_found(fleet, single):
    last = max(place for place, one in enumerate(fleet.found) if getattr(one, "state", None))
    for changed in (fleet.found[:last], [*fleet.found, fleet.found[0]]):
        state = joined(changed, VERSION).state

        assert count_error(state, single) >= 25.0
        assert sum_error(state, single, fleet.states) > 1e-6


def test_a_sum_that_is_slightly_off_is_found(fleet, single):
    part = single.parts[0]
    off = replace(part, excess_error=part.excess_error * (1.0 + 1e-9))
    other = replace(single, parts=(off, *single.parts[1:]))

    assert count_error(other, single) == 0.0
    assert 1e-12 < sum_error(other, single, fleet.states) < 1e-6
    assert level_error(replace(single, parts=single.parts[:1]), single) > 1e-9
    assert count_error(replace(single, parts=single.parts[:1]), single) == float("inf")


def test_what_is_measured_is_printed_kept_and_gated(tmp_path, monkeypatch):
    case = replace(HARD, silent=0.3)
    monkeypatch.setattr(bench, "CASES", (case,))
    monkeypatch.setattr(bench, "STATES", 3)
    out = tmp_path / "merge.json"
    options = ["--replicas", "20", "--each", "60", "--out", str(out), "--gate"]

    done = CliRunner().invoke(bench.main, options)

    assert done.exit_code == 0, done.output
    (told,) = json.loads(out.read_text())["merged"]
    assert (told["missing_count"], told["is_enough"]) == (7, False)  # 6 silent, 1 of before
    assert (told["count_error"], told["verdict"]) == (0.0, told["single_verdict"])
    assert "7, too many" in done.output


def test_ports_are_asked_and_merged_and_who_is_away_is_missed(fleet):
    answers = [answer_of(one) for one in fleet.found if not isinstance(one, Silent)]

    made = pull(answers, 6, looks=2)

    assert [look.told_count for look in made.looks] == [6, 6]
    assert [gate.ok for gate in promised([made])] == [True]
    away = made._replace(looks=[*made.looks, made.looks[0]._replace(told_count=4)])
    assert [gate.ok for gate in promised([away])] == [False]
