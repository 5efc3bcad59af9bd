"""What is kept of every prompt: the numbers of `monitoring.harm`, of chosen prompts and queries."""

import numpy as np

from monitoring.harm import best_error, leave_one_out, predicted_error, ridge_leave_one_out
from monitoring.observation import Observations, observe
from tests.monitoring.quiet import prompts, seen, summarised

SERVED = seen(prompts(1, 21, Q=3)).served


def test_the_numbers_are_those_of_harm():
    found = observe(SERVED)

    np.testing.assert_array_equal(found.counts, np.full(21, 20.0))
    np.testing.assert_allclose(found.predicted, predicted_error(SERVED).mean(axis=1))
    np.testing.assert_array_equal(found.loo, leave_one_out(SERVED))
    np.testing.assert_array_equal(found.best, best_error(SERVED))
    np.testing.assert_array_equal(found.label_power, (SERVED.labels**2).mean(axis=1))


def test_ridge_is_solved_for_every_eighth_prompt_only():
    exact, found = ridge_leave_one_out(SERVED), observe(SERVED, ridge_every=8).ridge

    np.testing.assert_allclose(found[[0, 8, 16]], exact[[0, 8, 16]], rtol=1e-12)
    assert np.isnan(np.delete(found, [0, 8, 16])).all()
    np.testing.assert_allclose(observe(SERVED).ridge, exact)


def test_queries_that_are_not_there_do_not_count():
    weights = np.tile([1.0, 0.0, 1.0], (21, 1))
    weights[4] = [0.0, 1.0, 0.0]

    h, found = predicted_error(SERVED), observe(SERVED, weights).predicted
    expected = (h[:, 0] + h[:, 2]) / 2.0
    expected[4] = h[4, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_query_that_is_not_there_may_be_anything():
    wild = seen(prompts(1, 21, Q=3)).served
    wild.queries[:, 2] = np.inf

    found = observe(wild, np.tile([1.0, 1.0, 0.0], (21, 1)))
    np.testing.assert_allclose(found.predicted, predicted_error(SERVED)[:, :2].mean(axis=1))


def test_a_summary_has_no_leave_one_out():
    found = observe(summarised(prompts(1, 21, Q=3)).served)

    assert np.isnan([found.loo, found.ridge, found.label_power]).all()
    np.testing.assert_allclose(found.predicted, observe(SERVED).predicted, rtol=1e-9)
    np.testing.assert_allclose(found.best, observe(SERVED).best, rtol=1e-9)


def test_batches_join_in_order_and_parts_are_taken():
    whole = observe(SERVED)
    parts = [whole.take(np.arange(21) < 5), whole.take(np.arange(5, 21))]

    for column, expected in zip(Observations.joined(parts), whole, strict=True):
        np.testing.assert_array_equal(column, expected)


def test_a_prompt_that_overflows_changes_no_other():
    wild = seen(prompts(1, 21, Q=3)).served
    wild.gram[7] = np.inf

    found, whole = observe(wild), observe(SERVED)
    others = np.arange(21) != 7
    assert not np.isfinite(found.predicted[7])
    for column, expected in zip(found, whole, strict=True):
        np.testing.assert_allclose(column[others], expected[others], rtol=1e-12)
