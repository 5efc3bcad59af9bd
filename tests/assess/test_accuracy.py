"""Errors of every method beside ours, held to loops over prompts."""

import numpy as np
import pytest

from model.history import Prompts
from service.assess.accuracy import accuracy, compared
from service.held_out import BOOSTING, MEAN, METHODS, OLS, PROFILE, RESAMPLES, Cell
from tests.assess.histories_made import asked_by_hand

P, M, Q, D = 40, 8, 4, 2


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def cell(rng, group_count=10):
    errors = {name: rng.uniform(0.2, 1.0, P) for name in METHODS if name != BOOSTING}
    return Cell(M, np.arange(P) % group_count, errors)


def asked(rng, misses):
    targets = rng.normal(size=(P, Q))
    weight = np.ones((P, Q))
    weight[::3, -1] = 0.0
    x, y = rng.normal(size=(P, M, D)), rng.normal(size=(P, M))
    queries = rng.normal(size=(P, Q, D))
    prompts = Prompts(x, y, queries, targets, weight, np.arange(P))
    return asked_by_hand(prompts, targets + misses)


def test_ours_comes_first_and_is_as_good_as_itself(rng):
    (found,) = accuracy([cell(rng)], {M: asked(rng, np.ones((P, Q)))}, 0)

    names = [one.method for one in found.methods]
    ratio = found.methods[0].ratio
    assert names == [name for name in METHODS if name != BOOSTING]
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 1.0, 1.0)
    assert (found.example_count, found.prompt_count) == (M, P)


def test_a_ratio_is_that_of_the_medians_and_its_bounds_draw_whole_groups(rng):
    one = cell(rng)
    ours, theirs, group = one.error[PROFILE], one.error[OLS], one.group

    found = compared(one, OLS, 5)

    again = np.random.default_rng(5)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = again.choice(np.arange(10), 10)
        mine = [ours[b] for g in drawn for b in range(P) if group[b] == g]
        other = [theirs[b] for g in drawn for b in range(P) if group[b] == g]
        ratios.append(np.median(mine) / np.median(other))
    low, high = np.exp(np.quantile(np.log(ratios), [0.025, 0.975]))
    assert found.error == np.median(theirs)
    assert found.ratio.value == pytest.approx(np.median(ours) / np.median(theirs))
    assert (found.ratio.low, found.ratio.high) == (pytest.approx(low), pytest.approx(high))


def test_prompts_that_either_refused_are_not_compared(rng):
    one = cell(rng)
    one.error[PROFILE][:7], one.error[MEAN][5:12] = np.nan, np.nan
    both = slice(12, None)

    found = compared(one, MEAN, 0)

    expected = np.median(one.error[PROFILE][both]) / np.median(one.error[MEAN][both])
    assert found.ratio.value == pytest.approx(expected)
    assert found.error == np.median(np.r_[one.error[MEAN][:5], one.error[MEAN][12:]])


def test_a_length_at_which_nothing_was_answered_is_left_out(rng):
    one = cell(rng)
    one.error[PROFILE][:] = np.nan

    assert accuracy([one], {M: asked(rng, np.full((P, Q), np.nan))}, 0) == ()


def test_a_method_that_answered_nothing_is_left_out(rng):
    one = cell(rng)
    one.error[OLS][:] = np.nan

    (found,) = accuracy([one], {M: asked(rng, np.ones((P, Q)))}, 0)

    assert OLS not in [method.method for method in found.methods]


def test_of_one_group_the_bounds_speak_of_its_prompts(rng):
    found = compared(cell(rng, group_count=1), MEAN, 0).ratio

    assert found.low < found.value < found.high


def test_the_typical_error_is_the_root_mean_square_over_real_queries(rng):
    misses = rng.normal(size=(P, Q))
    misses[4] = np.nan
    told = asked(rng, misses)

    (found,) = accuracy([cell(rng)], {M: told}, 0)

    real = [
        misses[p, q]
        for p in range(P)
        for q in range(Q)
        if p != 4 and told.prompts.weight[p, q] > 0.0
    ]
    assert found.typical_error == pytest.approx(np.sqrt(np.mean(np.square(real))))
    assert np.mean(np.abs(real) <= found.within) == pytest.approx(0.8, abs=1.0 / len(real))
