"""The benches of verdicts and recalibration: what they count, print and gate."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bench import recalibration, verdicts
from bench.data_sets import SHIPPED, read_sets
from bench.recalibration import Row, lost_noon, missed, shifts, turned_clock
from bench.verdict_right import EXCEPTIONS, NEVER, PAPER, RIGHT, is_forbidden, is_right, share_min
from monitoring.verdict import Reason, Verdict
from tests.service.reports import findings as reported

pytestmark = pytest.mark.slow  # seconds, all together


WORDS = ("Words.", "言葉。")


def findings(verdict, reason="NONE"):
    return reported(verdict, reason, WORDS, WORDS)


def test_a_verdict_is_right_by_its_code_or_with_its_reason():
    assert is_right(findings("KEEP"), "paper", "quiet")
    assert is_right(findings("RECALIBRATE", "COVARIATE"), "paper", "rotation")
    assert is_right(findings("TELL_BUSINESS", "NOISE"), "paper", "noise_4")
    assert not is_right(findings("TELL_BUSINESS", "TARGET_SCALE"), "paper", "noise_4")
    assert is_forbidden(findings("TELL_BUSINESS", "NOISE"), "paper", "t3")
    assert not is_forbidden(findings("TELL_BUSINESS", "NOISE"), "profile", "t3")


def test_what_is_right_is_told_of_every_shift_and_in_known_codes():
    codes = {*Verdict, *(f"{verdict}/{reason}" for verdict in Verdict for reason in Reason)}

    assert all(set(told) == set(PAPER) for told in RIGHT.values())
    assert all(one in codes for told in RIGHT.values() for right in told.values() for one in right)
    assert set(NEVER) == {"scale_1.1", "scale_1.5", "t3"}
    assert {share_min(world, "paper", shift) for world, shift in EXCEPTIONS} == {0.0, 0.75}
    assert share_min("het5", "profile", "scale_0.5") == 0.95


def test_verdicts_are_counted_printed_and_gated(tmp_path):
    out = tmp_path / "verdicts.json"
    options = ["--seeds", "1", "--world", "iid5", "--kind", "foundation", "--out", str(out)]

    done = CliRunner().invoke(verdicts.main, [*options, "--gate"])

    assert done.exit_code == 0, done.output
    assert "100 / 100" in done.output
    told = json.loads(out.read_text())["verdicts"]
    assert told["iid5 foundation quiet kept"] == {"KEEP/NONE": 1}
    assert len(told) == 2 * len(PAPER)


def test_a_missed_promise_is_named():
    case = verdicts.Case("", "paper", "t3", "sums", findings("TELL_BUSINESS", "NOISE"), None)
    found = {("iid5", "paper", "t3", "sums"): [case]}

    sentences = verdicts.missed(found)

    assert sentences == [
        "paper in iid5, t3, sums: 0% right (at least 95%): {'TELL_BUSINESS/NOISE': 1}",
        "paper in iid5, t3, sums: 1 forbidden verdicts",
    ]


def row(shift, error):
    return Row(SHIPPED.stem, shift, 0.0, 3.0, {256: error}, {256: 1.0}, 1.2)


def test_only_what_can_be_repaired_is_held_to_a_bound():
    rows = [row("rotation", 1.3), row("mirrored", 1.2), row("lost noon", 1.9)]

    assert [one.split(":")[0] for one in missed(rows)] == ["bikeshare, rotation"]
    assert missed([replace(row("rotation", 1.3), name="ames")]) == []
    assert missed([row("rotation", float("nan"))])
    assert recalibration.table(rows).row_count == 3


def test_shifts_of_the_bikes_can_be_undone_but_for_lost_noon():
    data = next(iter(read_sets(None)))
    x = data.rows[:200, 1:-1]
    changes = shifts(x.mean(axis=0), x.std(axis=0), data, seed=0)
    features = data.header[1:-1]

    assert turned_clock(turned_clock(x, features, 5), features, -5) == pytest.approx(x)
    for name in ("scale x2", "rotation", "mirrored", "mean +.5", "UTC clock"):
        design, moved = (np.column_stack([np.ones(len(x)), one]) for one in (x, changes[name](x)))
        left = design - moved @ np.linalg.lstsq(moved, design)[0]
        assert np.abs(left).max() < 1e-8, name
    hours = lost_noon(x, features)
    assert len(np.unique(hours[:, 5:7].round(6), axis=0)) < len(
        np.unique(x[:, 5:7].round(6), axis=0)
    )
