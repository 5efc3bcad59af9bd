"""Coverage of intervals on answers whose errors are drawn from a known law."""

import math

import numpy as np
import pytest

from model.history import Prompts
from service.assess.coverage import RESAMPLES, coverage, share
from tests.assess.histories_made import asked_by_hand

Z80, Z95 = 1.2815516, 1.959964  # two-sided normal quantiles


def asked(misses, groups, half_widths, weight=None):
    P, Q = misses.shape
    zeros = np.zeros((P, 2, 1))
    weight = np.ones((P, Q)) if weight is None else weight
    prompts = Prompts(
        zeros, zeros[..., 0], np.zeros((P, Q, 1)), np.zeros((P, Q)), weight, np.asarray(groups)
    )
    return asked_by_hand(prompts, misses, half_widths)


def test_right_intervals_of_normal_errors_cover_what_they_say():
    P, Q, sigma = 2000, 16, 3.0
    misses = sigma * np.random.default_rng(0).normal(size=(P, Q))

    low, high = coverage([asked(misses, np.arange(P) % 50, [Z80 * sigma, Z95 * sigma])], 0)

    assert low.covered.value == pytest.approx(0.80, abs=4 * math.sqrt(0.8 * 0.2 / (P * Q)))
    assert high.covered.value == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / (P * Q)))
    assert (low.level, high.level, low.example_count) == (0.80, 0.95, 2)
    assert low.half_width == pytest.approx(Z80 * sigma)


def test_intervals_half_as_wide_are_found_out():
    misses = np.random.default_rng(1).normal(size=(400, 16))

    _, found = coverage([asked(misses, np.arange(400) % 40, [Z80 / 2, Z95 / 2])], 0)

    held = math.erf(Z95 / 2 / math.sqrt(2))  # 0.673
    assert found.covered.value == pytest.approx(held, abs=0.03)
    assert found.covered.high < 0.75


def test_bounds_are_those_of_a_loop_that_draws_groups():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 9, 60)
    asked_of = rng.integers(3, 17, 60)
    held = rng.binomial(asked_of, 0.7)

    found = share(held, asked_of, groups, 4)

    names = np.unique(groups)
    times = np.random.default_rng(4).multinomial(
        len(names), np.full(len(names), 1 / len(names)), RESAMPLES
    )
    shares = []
    for drawn in times:
        prompts = [
            p
            for name, often in zip(names, drawn, strict=True)
            for p in np.flatnonzero(groups == name).tolist() * int(often)
        ]
        shares.append(sum(held[p] for p in prompts) / sum(asked_of[p] for p in prompts))
    assert found.value == pytest.approx(held.sum() / asked_of.sum())
    assert found.low == pytest.approx(np.quantile(shares, 0.025))
    assert found.high == pytest.approx(np.quantile(shares, 0.975))


@pytest.mark.slow
def test_bounds_hold_the_truth_where_groups_share_their_luck():
    rng = np.random.default_rng(6)
    repeats, groups, each, inside = 150, 40, 10, 0
    asked_of, of = np.ones(groups * each, int), np.repeat(np.arange(groups), each)
    for repeat in range(repeats):
        luck = np.repeat(rng.beta(4, 1, groups), each)  # mean 0.8, shared by a group
        found = share((rng.random(groups * each) < luck).astype(int), asked_of, of, repeat)
        inside += found.low <= 0.8 <= found.high

    # 40 groups give a percentile bootstrap 0.93; bounds of 400 independent queries hold 0.8 in 0.82
    assert inside / repeats == pytest.approx(0.94, abs=4 * math.sqrt(0.94 * 0.06 / repeats))


def test_refused_prompts_and_places_without_a_query_do_not_count():
    misses = np.array([[0.5, 9.0], [np.nan, np.nan], [0.2, 2.0]])
    weight = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])

    found, _ = coverage([asked(misses, [0, 1, 2], 1.0, weight)], 0)

    assert found.covered.value == pytest.approx(2 / 3)


def test_a_length_without_any_interval_is_left_out():
    assert coverage([asked(np.full((3, 2), np.nan), [0, 1, 2], 1.0)], 0) == ()


def test_of_one_group_the_bounds_speak_of_its_prompts():
    misses = np.random.default_rng(0).normal(size=(80, 4))

    found, _ = coverage([asked(misses, np.full(80, 3), [Z80, Z95])], 0)

    assert found.covered.low < found.covered.value < found.covered.high
