"""The baselines against scikit-learn, which a user would reach for, and against plain formulas."""

import numpy as np
import pytest

from model.baselines import PENALTIES, mean, ols, ridge_cv

SHAPES = [(16, 5), (40, 20), (64, 3), (4, 1)]
SHORT = [(8, 9), (6, 6), (5, 20)]


def prompts(M, d, B=12, Q=7, seed=0):
    rng = np.random.default_rng(seed + 1000 * M + d)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    units = 10.0 ** rng.uniform(-1, 1, size=d)  # further apart, the peer drops the small ones
    x = (rng.normal(size=(B, M, d)) @ mixing + 3.0) * units
    queries = (rng.normal(size=(B, Q, d)) @ mixing + 3.0) * units
    w = rng.normal(size=(B, d, 1))
    y = ((x / units) @ w)[..., 0] + rng.normal(size=(B, M)) + 50.0
    return x, y, queries


def one_by_one(make, x, y, queries):
    return np.array([make().fit(*xy).predict(q) for *xy, q in zip(x, y, queries, strict=True)])


def least_squares():
    from sklearn.linear_model import LinearRegression  # a second, which no other file shall wait

    return LinearRegression()


def standardised(*rest):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), *rest)


def naive_ridge(x, y, queries, penalty):
    """Ridge with an unpenalised intercept, written as its normal equations."""
    centre, middle = x.mean(axis=0), y.mean()
    gram = (x - centre).T @ (x - centre) + penalty * np.eye(x.shape[1])
    w = np.linalg.solve(gram, (x - centre).T @ (y - middle))
    return middle + (queries - centre) @ w


def naive_leave_one_out(x, y, penalty):
    """The mean squared error of every example, answered by a fit to all others."""
    keep = ~np.eye(len(y), dtype=bool)
    errors = [naive_ridge(x[k], y[k], x[~k], penalty) - y[~k] for k in keep]
    return np.mean(np.square(errors))


def test_the_mean_answers_every_query_with_its_own_prompts_labels():
    x, y, queries = prompts(M=9, d=2)

    assert mean(x, y, queries) == pytest.approx(np.tile(y.mean(axis=1)[:, None], (1, 7)))


@pytest.mark.parametrize(("M", "d"), SHAPES)
def test_least_squares_agrees_with_scikit_learn_where_there_are_enough_examples(M, d):
    x, y, queries = prompts(M, d)

    assert ols(x, y, queries) == pytest.approx(one_by_one(least_squares, x, y, queries), rel=1e-8)


@pytest.mark.parametrize(("M", "d"), SHORT)
def test_least_squares_takes_the_smallest_coefficients_where_there_are_too_few(M, d):
    x, y, queries = prompts(M, d)

    peer = one_by_one(lambda: standardised(least_squares()), x, y, queries)
    assert ols(x, y, queries) == pytest.approx(peer, rel=1e-7)
    assert ols(x, y, x) == pytest.approx(y)  # it passes through its examples


@pytest.mark.parametrize(("M", "d"), SHAPES + SHORT)
def test_ridge_agrees_with_scikit_learn(M, d):
    from sklearn.linear_model import RidgeCV

    x, y, queries = prompts(M, d)

    def peer():
        return standardised(RidgeCV(alphas=M * PENALTIES))

    assert ridge_cv(x, y, queries) == pytest.approx(one_by_one(peer, x, y, queries), rel=1e-7)


@pytest.mark.parametrize(("M", "d"), [(10, 4), (7, 9)])
def test_the_penalty_is_the_one_a_refit_without_each_example_would_choose(M, d):
    x, y, queries = prompts(M, d, B=4)
    answers = ridge_cv(x, y, queries)

    for block, labels, asked, answer in zip(x, y, queries, answers, strict=True):
        scaler = standardised().fit(block)
        z, zq = scaler.transform(block), scaler.transform(asked)
        losses = [naive_leave_one_out(z, labels, p * M) for p in PENALTIES]
        chosen = PENALTIES[np.argmin(losses)] * M
        assert answer == pytest.approx(naive_ridge(z, labels, zq, chosen), rel=1e-8)


@pytest.mark.parametrize("baseline", [mean, ols, ridge_cv])
def test_a_prompt_does_not_see_its_neighbours(baseline):
    x, y, queries = prompts(M=12, d=4)
    alone = np.concatenate(
        [baseline(x[i : i + 1], y[i : i + 1], queries[i : i + 1]) for i in range(12)]
    )

    assert baseline(x, y, queries) == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("baseline", [ols, ridge_cv])
def test_units_do_not_change_the_answer(baseline):
    x, y, queries = prompts(M=8, d=9)
    units = 2.0 ** np.arange(-4, 5)

    changed = baseline(x * units, y * 4.0 - 1.0, queries * units)
    assert changed == pytest.approx(baseline(x, y, queries) * 4.0 - 1.0, rel=1e-9)


@pytest.mark.parametrize("baseline", [ols, ridge_cv])
def test_a_constant_feature_says_nothing(baseline):
    x, y, queries = prompts(M=10, d=3)
    x[..., 1] = 0.1
    without = baseline(x[..., [0, 2]], y, queries[..., [0, 2]])

    assert baseline(x, y, queries) == pytest.approx(without, rel=1e-9)


def test_there_are_22_penalties_evenly_spaced_in_logarithm():
    assert len(PENALTIES) == 22
    assert np.diff(np.log(PENALTIES)) == pytest.approx(
        np.full(21, np.log(PENALTIES[1] / PENALTIES[0]))
    )
