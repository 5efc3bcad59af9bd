"""How many examples a prompt needs: nested prompts, their errors, and the knee of known curves."""

import numpy as np
import pytest

from model.baselines import mean, ols
from model.history import Group, History
from service.assess.curve import (
    NUMBERS,
    errors_with,
    knee,
    medians,
    nested_prompts,
    resamples,
)


def exactly(curve):
    """Return a curve without any uncertainty."""
    return np.repeat(np.array(curve)[:, None], 5, axis=1)


def grown(noise, d, numbers=NUMBERS):
    """Return the risk of a linear fit: noise and, of every coefficient, noise by examples."""
    return [np.sqrt(noise**2 + d * noise**2 / M) for M in numbers]


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_knee_of_a_linear_fits_risk_is_where_theory_puts_it(d):
    best = grown(1.0, d)[-1]
    wanted = next(M for M in NUMBERS if np.sqrt(1 + d / M) <= 1.05 * best)

    assert knee(NUMBERS, exactly(grown(1.0, d))) == wanted
    assert knee(NUMBERS, exactly(grown(7.0, d))) == wanted  # whatever the scale


def test_of_a_flat_curve_the_fewest_examples_are_enough():
    assert knee(NUMBERS, exactly([0.4] * len(NUMBERS))) == 4
    assert knee(NUMBERS, exactly([0.0] * len(NUMBERS))) == 4


def test_of_a_curve_that_falls_to_its_end_no_example_is_too_many():
    assert knee(NUMBERS, exactly([1 / M for M in NUMBERS])) == NUMBERS[-1]


def test_a_curve_that_rises_again_is_judged_by_what_lies_beyond():
    assert knee((4, 8, 16, 32), exactly([1.0, 0.5, 0.6, 0.7])) == 8


def test_a_dip_that_chance_may_have_made_is_no_gain():
    rng = np.random.default_rng(0)
    drawn = 1 + 0.2 * rng.normal(size=(3, 401))  # (numbers, 1 + R)
    drawn[:, 0] = [1.0, 0.9, 0.93]
    sure = exactly([1.0, 0.9, 0.93])

    assert knee((4, 8, 16), np.abs(drawn)) == 4
    assert knee((4, 8, 16), sure) == 8


def test_an_empty_curve_and_one_of_a_single_number_have_a_knee():
    assert knee((), np.zeros((0, 3))) == 0
    assert knee((4,), exactly([0.5])) == 4


def test_simulated_prompts_show_the_knee_that_their_theory_has():
    """Least squares of d Gaussian features and an intercept risks s² (1 + 1/M)(M - 2)/(M - d - 2).

    Derived for the prediction error of a Gaussian design with an intercept (Breiman & Freedman
    1983); the knee of simulated errors is that of the formula.
    """
    d, numbers = 3, (8, 12, 16, 24, 32, 48, 64)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 80, d))
    y = (x @ rng.normal(size=(4000, d, 1)))[..., 0] + rng.normal(size=(4000, 80))
    simulated = []
    for M in numbers:
        error = ols(x[:, :M], y[:, :M], x[:, 64:]) - y[:, 64:]
        simulated.append(np.sqrt((error**2).mean()))
    theory = [np.sqrt((1 + 1 / M) * (M - 2) / (M - d - 2)) for M in numbers]

    np.testing.assert_allclose(simulated, theory, rtol=0.03)
    assert knee(numbers, exactly(simulated)) == knee(numbers, exactly(theory)) == 32


def history(sizes, is_ordered=False, seed=0):
    rng = np.random.default_rng(seed)
    groups = [
        Group(f"g{i}", rng.normal(size=(n, 2)), np.arange(n) + 0.5) for i, n in enumerate(sizes)
    ]
    return History(tuple(groups), is_ordered)


@pytest.mark.parametrize(
    ("sizes", "longest"), [([100, 80], 64), ([67, 20, 12], 16), ([11, 11], 8), ([9, 8], 4)]
)
def test_prompts_are_as_long_as_most_groups_allow(sizes, longest):
    assert nested_prompts(history(sizes), 0).x.shape[1] == longest


def test_no_group_no_prompt():
    assert nested_prompts(history([6, 5]), 0) is None


def test_in_order_the_examples_next_to_the_queries_are_kept():
    """Labels are their row's number: the mean of the last M before the first query is known."""
    prompts = nested_prompts(history([100, 90], is_ordered=True), 0)
    first = prompts.targets[:, 0]
    asked = {}

    def last_mean(x, y, queries):
        asked[x.shape[1]] = y.mean(axis=1)
        return mean(x, y, queries)

    for M in (4, 16):
        errors_with(prompts, M, {"mean": last_mean}, True)
        np.testing.assert_allclose(asked[M], first - (M + 1) / 2)


def test_errors_are_those_of_the_formula_written_naively():
    prompts = nested_prompts(history([40, 22, 30], seed=3), 5)
    found = errors_with(prompts, 8, {"mean": mean}, False)["mean"]

    assert prompts.weight.min() == 0  # the group of 22 rows has fewer queries than the others
    for p in range(0, len(found), 37):
        label, held = prompts.y[p, :8].mean(), prompts.weight[p] > 0
        rmse = np.sqrt(np.mean((prompts.targets[p][held] - label) ** 2))
        assert found[p] == pytest.approx(rmse / prompts.y[p].std())


def test_whole_groups_are_drawn_again():
    groups = np.array([2, 2, 5, 5, 5, 9])
    drawn = resamples(groups, 0)

    assert drawn[0].tolist() == list(range(6))
    for places in drawn[1:]:
        taken = np.bincount(places, minlength=6)
        assert taken[0] == taken[1] and taken[2] == taken[3] == taken[4]
    assert {len(places) for places in drawn[1:]} > {3, 6, 9}


def test_of_one_group_its_prompts_are_drawn_so_that_bounds_are_not_nothing():
    error = np.random.default_rng(0).normal(size=50)
    drawn = medians(error, resamples(np.zeros(50, np.int64), 0))

    assert drawn[1:].std() > 0.05


def test_a_prompt_without_an_answer_counts_as_the_worst():
    error = np.array([1.0, np.nan, 2.0])

    assert medians(error, [np.arange(3)]).tolist() == [2.0]
