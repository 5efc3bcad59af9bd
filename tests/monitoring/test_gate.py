"""The gate: bounds by hand, windows against a list that keeps everything."""

import numpy as np
import pytest

from monitoring.gate import Inflated, Window, clipped, lower_bound


def inflated(h, loo):
    """Return prompts whose clipped and plain ratios are alike."""
    both = np.column_stack([np.atleast_1d(h), np.atleast_1d(loo)]).astype(float)
    return Inflated(both, 10.0 * both, np.empty((len(both), 0)))


def naive(kept, prompts_min, rows_min, channel):
    """Return (gate, mean, count) over the fewest newest (u_h, u_loo, rows) that have a channel."""
    chosen, rows = [], 0
    for prompt in reversed(kept):
        if len(chosen) >= prompts_min and rows >= rows_min:
            break
        if not np.isnan(prompt[channel]):
            chosen.append(prompt[channel])
            rows += prompt[2]
    if len(chosen) < prompts_min or rows < rows_min:
        return None
    n, mean = len(chosen), sum(chosen) / len(chosen)
    square = sum(u * u for u in chosen) / n
    return mean - 1.645 * np.sqrt((square - mean**2) / n), mean, n


def test_the_bound_of_four_values_is_that_of_a_hand():
    u = [1.0, 2.0, 3.0, 4.0]  # mean 2.5, mean square 7.5, variance 1.25

    assert lower_bound(2.5, 7.5, 4) == pytest.approx(2.5 - 1.645 * np.sqrt(1.25 / 4.0))
    assert lower_bound(2.5, 7.5, 4) == pytest.approx(np.mean(u) - 1.645 * np.std(u) / 2.0)


def test_values_that_are_all_alike_have_their_mean_for_a_bound():
    assert lower_bound(3.0, 9.0 - 1e-15, 100) == 3.0


def test_no_ratio_counts_more_than_twenty_and_none_stays_none():
    np.testing.assert_array_equal(clipped(np.array([0.1, 20.0, 1e9])), [0.1, 20.0, 20.0])
    assert np.isnan(clipped(np.array([np.nan])))


def test_a_window_of_few_prompts_is_silent():
    window = Window(1, 100)
    window.add(inflated(np.ones(99), np.ones(99)), 50)

    assert window.levels() == {}
    assert len(window.recent()) == 0


def test_a_window_of_few_rows_is_silent():
    window = Window(1, 100)
    window.add(inflated(np.ones(124), np.ones(124)), 16)  # 1984 rows
    before = window.levels()
    window.add(inflated(1.0, 1.0), 16)

    assert before == {}
    assert window.levels()["h"].prompt_count == 125


def test_many_features_need_more_rows():
    window = Window(100, 100)
    window.add(inflated(np.ones(200), np.ones(200)), 20)  # 4000 of 5000 rows
    before = window.levels()
    window.add(inflated(np.ones(50), np.ones(50)), 20)

    assert before == {}
    assert window.levels()["loo"].prompt_count == 250


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1,), (7, 1, 40), (300,), (2000,)], ids=str)
def test_windows_are_those_of_a_list_that_keeps_everything(sizes):
    rng = np.random.default_rng(len(sizes))
    window, kept = Window(1, 100), []
    compared = 0
    while len(kept) < 5000:  # the ring holds 1001
        B, M = int(rng.choice(sizes)), int(rng.choice([2, 5, 20, 64]))
        h, loo = rng.lognormal(size=(2, B))
        loo[rng.random(B) < 0.2] = np.nan
        window.add(inflated(h, loo), M)
        kept += zip(h.tolist(), loo.tolist(), [M] * B, strict=True)
        if len(kept) % 7 and len(sizes) == 1 and sizes[0] == 1:
            continue
        levels = window.levels()
        for channel, name in enumerate(("h", "loo")):
            expected = naive(kept[-1001:], 100, 2000, channel)
            assert (name in levels) == (expected is not None)
            if expected is not None:
                level = levels[name]
                got = level.gate, level.clipped_mean, level.prompt_count
                np.testing.assert_allclose(got, expected, rtol=1e-9)
                np.testing.assert_allclose(level.mean, 10.0 * level.clipped_mean)
                compared += 1

    assert compared > (2 if sizes[0] == 2000 else 20)


def test_a_summary_now_and_then_does_not_silence_the_other_channel():
    window = Window(1, 100)
    loo = np.full(110, 3.0)
    loo[::11] = np.nan  # ten summaries among the newest
    window.add(inflated(np.ones(110), loo), 50)

    levels = window.levels()
    assert levels["loo"].prompt_count == 100
    assert levels["loo"].gate == pytest.approx(3.0)
    assert levels["h"].prompt_count == 100


def test_summaries_alone_have_one_channel():
    window = Window(1, 100)
    window.add(inflated(np.ones(200), np.full(200, np.nan)), 50)

    assert list(window.levels()) == ["h"]


def test_what_else_is_averaged_comes_along():
    window = Window(1, 100, other_count=2)
    both = np.ones((150, 2))
    window.add(Inflated(both, both, np.column_stack([np.arange(150.0), np.ones(150)])), 50)

    recent = window.recent()
    assert recent.shape == (100, 6)
    np.testing.assert_array_equal(np.sort(recent[:, 4]), np.arange(50.0, 150.0))
