"""What may become a reference, and what is refused with which sentence."""

import numpy as np
import pytest

from monitoring.baseline import Unfit, build
from tests.monitoring.quiet import altered, prompts, quiet, reference

FOUND = quiet()
P = len(FOUND.observed.counts)


def wide(d, M, P=400):
    """Return prompts of many features whose errors are as in FOUND."""
    covariates = list(np.random.default_rng(d).normal(size=(P, M, d)))
    counts = np.full(P, float(M))
    return altered(FOUND._replace(covariates=covariates), counts=counts)


def uneven(often, size=50.0):
    """Return quiet prompts, every so often followed by twenty of a much larger error."""
    factor = np.where(np.arange(P) % often < 20, size, 1.0)
    return altered(FOUND, predicted=FOUND.observed.predicted * factor)


def test_quiet_prompts_are_a_reference_of_their_means():
    observed, base = FOUND.observed, reference().baselines

    np.testing.assert_allclose(base.predicted, [observed.predicted.mean()])
    np.testing.assert_allclose(base.loo, [observed.loo.mean()])
    np.testing.assert_allclose(base.ridge, [observed.ridge.mean()])
    np.testing.assert_allclose(base.label_power, [observed.label_power.mean()])
    np.testing.assert_allclose(base.query_signal, [observed.query_signal.mean()])
    np.testing.assert_allclose(base.best, [observed.best.mean()])
    assert (reference().row_count, reference().prompt_count) == (8000, 400)
    assert reference().window_prompts == 100


def test_the_same_prompts_and_seed_make_the_same_reference():
    assert build(quiet(), "paper").id == reference().id


NOISY = FOUND.observed.label_power
REFUSED = {
    "few prompts": (
        FOUND._replace(
            observed=FOUND.observed.take(np.arange(399)), covariates=FOUND.covariates[:399]
        ),
        "paper",
        "expected at least 400 prompts, got 399",
    ),
    "few examples": (wide(200, 20), "paper", "expected at least 10000 examples in all, got 8000"),
    "few groups": (
        FOUND._replace(groups=np.arange(P) % 3),
        "paper",
        "expected prompts of at least 4 groups, got 3",
    ),
    "no better than the mean": (
        altered(FOUND, loo=NOISY),
        "paper",
        r"leave-one-out error is 1\.00 of the labels' own variance \(expected below 0\.9\)",
    ),
    "a layer far from ridge": (
        altered(FOUND, ridge=FOUND.observed.loo / 3.1),
        "paper",
        r"is 3\.10 times that of an exact ridge on the same prompts \(expected at most 3\.0\)",
    ),
    "layers far from ridge": (
        altered(FOUND, ridge=FOUND.observed.loo / 1.3),
        "foundation",
        r"is 1\.30 times that .* \(expected at most 1\.25\)",
    ),
    "a profile far from ridge": (
        altered(FOUND, ridge=FOUND.observed.loo / 1.3),
        "profile",
        r"is 1\.30 times that .* \(expected at most 1\.25\)",
    ),
    "not finite": (
        altered(FOUND, predicted=np.r_[np.inf, FOUND.observed.predicted[1:]]),
        "paper",
        "expected finite errors, got others",
    ),
    "a signal that is not finite": (
        altered(FOUND, query_signal=np.r_[np.inf, FOUND.observed.query_signal[1:]]),
        "paper",
        r"array baselines\.query_signal: expected finite numbers",
    ),
    "no error at all": (
        altered(FOUND, predicted=np.zeros(P)),
        "paper",
        "expected errors above 0, got none",
    ),
    "constants alone": (
        FOUND._replace(covariates=[np.ones((20, 2))] * P),
        "paper",
        "expected a feature that varies, got constants alone",
    ),
    "covariates too far off for squares": (
        FOUND._replace(covariates=[np.full((20, 2), np.nan), *FOUND.covariates[1:]]),
        "paper",
        r"expected covariates between ±1e\+100, got others",
    ),
    "too uneven": (
        uneven(200),
        "paper",
        r"a window of 200 quiet prompts reaches a gate of .* \(expected at most 1\.5\)",
    ),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(("found", "kind", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_normal_is_refused_in_a_sentence(found, kind, sentence):
    with pytest.raises(Unfit, match=sentence):
        build(found, kind)


def test_a_layer_may_be_farther_from_ridge_than_layers_that_invert():
    build(altered(FOUND, ridge=FOUND.observed.loo / 2.9), "paper")


@pytest.mark.slow
def test_prompts_without_groups_need_none():
    assert reference().group_count == 0
    assert build(FOUND._replace(groups=np.arange(P) % 4), "paper").group_count == 4


@pytest.mark.slow
def test_uneven_prompts_are_judged_over_twice_as_many():
    found = altered(
        FOUND, predicted=FOUND.observed.predicted * np.where(np.arange(P) < 10, 5.0, 1.0)
    )

    assert build(found, "paper").window_prompts == 200


@pytest.mark.slow
def test_short_prompts_whose_window_is_set_by_rows_get_twice_of_that():
    """100 prompts of 4 examples are no window, 500 are: twice as many are 1000."""
    base = quiet(((1200, 4),), seed=3)
    factor = np.where(np.arange(1200) < 260, 20.0, 1.0)
    found = altered(base, predicted=base.observed.predicted * factor)

    made = build(found, "paper")
    assert made.window_prompts == 1000


def test_a_length_with_few_prompts_has_no_baseline_of_its_own():
    made = build(quiet(((400, 20), (19, 64))), "paper")

    np.testing.assert_array_equal(made.baselines.lengths, [20.0])
    np.testing.assert_array_equal(made.baselines.counts, [400.0])


def test_a_prompt_without_ridge_leaves_the_others_mean():
    sparse = np.where(np.arange(P) % 8 == 0, FOUND.observed.ridge, np.nan)
    made = build(altered(FOUND, ridge=sparse), "paper")

    np.testing.assert_allclose(made.baselines.ridge, [FOUND.observed.ridge[::8].mean()])


def test_the_world_of_these_tests_is_what_it_says():
    x, y = prompts(0, 4000).context
    residual = y.var() - 1.5  # E wᵀSw = tr S

    assert residual == pytest.approx(0.5, abs=4 * 2.0 / np.sqrt(4000))
    np.testing.assert_allclose(np.cov(x.reshape(-1, 2).T), [[1.0, 0.3], [0.3, 0.5]], atol=0.03)
