"""COMBO: the formulas as written, the streams it must see and the quiet ones it must not."""

import numpy as np
import pytest

from bench.drift_worlds import stream, worlds
from monitoring.calibration import (
    block_prompts,
    count_alarms,
    run,
    signals_in_order,
    standardised,
    threshold,
)
from monitoring.combo import Calibration, Combo, calibrate
from monitoring.covariates import (
    Normal,
    prompt_statistics,
    statistics_in_order,
    summary_statistics,
    upper,
)
from monitoring.moving import BOUND, TRACE_BOUND, WEIGHTS, statistics
from monitoring.snapshot import INFO_CHANNELS

TARGET_ROWS = 20_000
MIXED = (8, 16, 32, 50)


def quiet_prompts(name, prompt_count, lengths, rng):
    return [prompt.x[0] for prompt in stream(worlds()[name], "quiet", prompt_count, lengths, rng)]


@pytest.fixture(scope="module")
def quiet():
    prompts = quiet_prompts("iid5", 1000, (50,), np.random.default_rng(20))
    normal = Normal.fit(prompts)
    return normal, calibrate(normal, prompts, TARGET_ROWS, seed=3)


def warm(quiet, rng, prompt_count=150):
    combo = Combo(*quiet)
    told = prompt_statistics(quiet[0], np.stack(quiet_prompts("iid5", prompt_count, (50,), rng)))
    combo.update_many(*told, 50)
    return combo


def naive_statistics(normal, told, count):
    """The 27 statistics of prompts of one length by the definition, prompt after prompt."""
    r = len(normal.mean_between)
    found = {name: [] for name in INFO_CHANNELS}
    for weight in WEIGHTS:
        s, q, t = np.zeros(r), np.zeros(len(normal.second_moment)), 0.0
        mean, C = np.zeros(r), np.eye(r)
        for z, moment, tail in zip(*told, strict=True):
            step = (z / normal.mean_deviation(count)).clip(-BOUND, BOUND) - s
            s = s + weight * step
            off = (upper(moment) - normal.second_moment) / normal.moment_deviation(count)
            q = q + weight * (off.clip(-BOUND, BOUND) - q)
            t += weight * (np.clip((tail - 0.01) / normal.tail_deviation(count), -6, 6) - t)
            shrink = min(1.0, TRACE_BOUND * r / np.trace(moment))
            mean = mean + weight * (np.sqrt(shrink) * z - mean)
            C = C + weight * (shrink * moment - C)
        k = (2.0 - weight) / weight
        square = np.zeros((r, r))
        square[np.triu_indices(r)] = q
        found["mean"].append(np.cbrt(k * np.sum(s**2)))
        found["mean_max"].append(np.sqrt(k) * np.max(np.abs(s)))
        found["covariance"].append(np.cbrt(k * np.sum(q**2)))
        found["diagonal"].append(np.cbrt(k * np.sum(np.diag(square) ** 2)))
        found["covariance_max"].append(np.sqrt(k) * np.max(np.abs(q)))
        found["tail"].append(np.sqrt(k) * abs(t))
        about = C - np.outer(mean, mean) + 1e-6 * np.eye(r)
        if weight <= 0.15:
            found["glr"].append(np.cbrt(np.trace(C) - r - np.log(np.linalg.det(about))))
    return np.concatenate([found[name] for name in INFO_CHANNELS])


@pytest.mark.parametrize("shift", ["quiet", "scale_2"])
def test_the_statistics_are_the_definition_prompt_by_prompt(quiet, shift):
    normal = quiet[0]
    prompts = stream(worlds()["iid5"], shift, 30, (20,), np.random.default_rng(21))
    told = prompt_statistics(normal, np.concatenate([prompt.x for prompt in prompts]))
    combo = Combo(*quiet)
    combo.update_many(*told, 20)

    expected = naive_statistics(normal, told, 20)
    assert len(expected) == 27
    assert statistics(combo._state, normal) == pytest.approx(expected, rel=1e-9)


def test_many_at_once_are_the_same_as_one_by_one(quiet):
    rng = np.random.default_rng(22)
    together, alone = Combo(*quiet), Combo(*quiet)
    for length in (50, 8, 23):
        prompts = np.stack(quiet_prompts("iid5", 60, (length,), rng))
        prompts[3, 0, 0] = np.nan
        told = prompt_statistics(quiet[0], prompts)
        together.update_many(*told, length)
        for mean, moment, tail in zip(*told, strict=True):
            alone.update(mean, moment, float(tail), length)

    assert together.prompt_count == alone.prompt_count == 3 * 59
    assert together.channels == pytest.approx(alone.channels, rel=1e-10)


def test_the_score_is_the_largest_channel_and_silent_until_warm(quiet):
    combo = warm(quiet, np.random.default_rng(23), 149)

    assert np.isnan(combo.score)
    assert all(np.isnan(value) for value in combo.channels.values())

    combo = warm(quiet, np.random.default_rng(23), 150)

    assert tuple(combo.channels) == INFO_CHANNELS
    assert combo.score == max(combo.channels.values())


def test_a_flip_of_correlations_is_seen_within_five_prompts_at_twenty_thousand_rows(quiet):
    delays = []
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        combo = warm(quiet, rng)
        for place, prompt in enumerate(stream(worlds()["iid5"], "correlation", 30, (50,), rng)):
            combo.update_many(*prompt_statistics(quiet[0], prompt.x), 50)
            if combo.score > 1.0:
                delays.append(place + 1)
                break

    assert len(delays) == 20
    assert max(delays) <= 5


@pytest.mark.parametrize(
    ("shift", "channel"),
    [
        ("mean_0.5", "mean"),
        ("scale_1.5", "diagonal"),
        ("correlation", "covariance"),
        ("t3", "tail"),
    ],
)
def test_a_shift_lifts_the_channel_that_is_named_for_it(quiet, shift, channel):
    rng = np.random.default_rng(24)
    combo = warm(quiet, rng)
    before = combo.channels[channel]
    for prompt in stream(worlds()["iid5"], shift, 40, (50,), rng):
        combo.update_many(*prompt_statistics(quiet[0], prompt.x), 50)

    assert before < 1.0 < combo.channels[channel]


def run_rows(name, lengths, seeds):
    """Rows that quiet streams take for one alarm, over several references of 1000 prompts."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        prompts = quiet_prompts(name, 1000, lengths, rng)
        normal = Normal.fit(prompts)
        calibration = calibrate(normal, prompts, TARGET_ROWS, seed)
        told = statistics_in_order(normal, quiet_prompts(name, 20 * 1500, lengths, rng))
        places = np.arange(20 * 1500).reshape(20, 1500)
        as_it_is = np.zeros((20, 1)), np.ones((20, 1))
        moved = run(normal, signals_in_order(normal, told), places, as_it_is)
        scores = standardised(moved, calibration).max(axis=2)
        peaks, rows = count_alarms(scores, told.counts[places[:, 150:]], calibration.threshold)
        found.append((len(peaks), rows))
    alarms, rows = np.sum(found, axis=0)
    return rows / alarms


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lengths"), [("iid5", (50,)), ("het5", MIXED)])
def test_quiet_streams_alarm_about_as_rarely_as_asked(name, lengths):
    found = run_rows(name, lengths, range(8))

    assert TARGET_ROWS / 2 < found < TARGET_ROWS * 2.5


def test_one_wild_prompt_is_forgotten_and_a_broken_one_never_counts(quiet):
    rng = np.random.default_rng(25)
    combo = warm(quiet, rng)
    before = combo.channels
    broken = prompt_statistics(quiet[0], np.full((1, 50, 5), np.inf))
    combo.update_many(*broken, 50)

    assert combo.channels == before
    assert combo.prompt_count == 150

    wild = rng.normal(size=(1, 50, 5)) * 1e140
    combo.update_many(*prompt_statistics(quiet[0], wild), 50)

    assert np.isfinite(combo.score)

    told = prompt_statistics(quiet[0], np.stack(quiet_prompts("iid5", 150, (50,), rng)))
    combo.update_many(*told, 50)

    assert combo.score < 1.0


def test_a_summary_moves_every_channel_but_the_tail(quiet):
    combo = warm(quiet, np.random.default_rng(26))
    before = combo.channels
    scatter = np.broadcast_to(np.eye(5) * 500.0, (5, 5, 5))
    told = summary_statistics(quiet[0], 50, np.ones((5, 5)), scatter)
    combo.update_many(*told, np.full(5, np.nan), 50)

    assert combo.channels["tail"] == before["tail"]
    assert combo.channels["mean"] > 1.0 > before["mean"]
    assert combo.channels["covariance"] > 1.0 > before["covariance"]


def test_calibration_is_the_same_for_a_seed_and_survives_arrays(quiet):
    calibration = quiet[1]
    again = Calibration.from_arrays({**calibration.to_arrays(), "other": np.zeros(1)})

    assert again.means.tobytes() == calibration.means.tobytes()
    assert again.deviations.tobytes() == calibration.deviations.tobytes()
    assert (again.threshold, again.seed) == (calibration.threshold, 3)
    assert isinstance(again.block_prompts, int)
    assert again.rows_per_alarm == TARGET_ROWS


def test_a_longer_run_length_asks_for_a_higher_line_and_an_exponential_tail_is_found():
    rng = np.random.default_rng(27)
    scores = rng.exponential(size=(100, 1200))  # alarms at rate exp(-line) a prompt
    rows = np.ones_like(scores)
    lines = [threshold(scores, rows, target) for target in (500.0, 1e5, 1e7)]

    assert lines == pytest.approx(np.log([500.0, 1e5, 1e7]), rel=0.12)


def test_alarms_are_counted_with_a_silence_after_each():
    scores = np.zeros((1, 1000))
    scores[0, [10, 20, 100, 500]] = [2.0, 5.0, 3.0, 4.0]
    peaks, watched = count_alarms(scores, np.full((1, 1000), 2.0), 1.0)

    assert peaks.tolist() == [5.0, 4.0]
    assert watched == 2.0 * (1000 - 2 * 150)


def test_blocks_grow_with_how_long_prompts_stay_alike(quiet):
    rng = np.random.default_rng(28)
    signals = rng.normal(size=(800, 41))
    slow = np.convolve(rng.normal(size=859), np.ones(60), "valid")  # alike for 60 prompts

    assert block_prompts(quiet[0], signals) == 10
    assert 60 < block_prompts(quiet[0], signals, slow) < 160


def test_prompts_that_are_not_finite_make_no_calibration(quiet):
    prompts = [np.ones((5, 5)), np.full((5, 5), np.nan)] * 20

    with pytest.raises(ValueError, match="finite covariates"):
        calibrate(quiet[0], prompts)
