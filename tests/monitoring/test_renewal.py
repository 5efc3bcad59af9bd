"""The reference of a version for other covariates: normal errors stay, where rows lie is new."""

import numpy as np
import pytest

from monitoring.covariates import Normal, prompt_statistics
from monitoring.reference import Reference
from monitoring.renewal import Rows, renewed_normal, renewed_reference
from tests.monitoring.quiet import reference

TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])


def moved(seed=0, count=300, length=20):
    """Return prompts (n, M, 2) of another place, spread and correlation, each with its own mean."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, length, 2)) * np.array([3.0, 0.5]) @ TURN
    return rows + np.array([5.0, -2.0]) + 0.4 * rng.normal(size=(count, 1, 2))


def rows_of(x):
    means = x.mean(axis=1)
    about = x - means[:, None]
    within = np.einsum("bmi,bmj->ij", about, about) / (len(x) * x.shape[1])
    return Rows(means.mean(axis=0), np.cov(means.T, bias=True), within, x.shape[1])


def renewed(x, excess=0.1):
    known = reference()
    return known, renewed_reference(known, known.scene, rows_of(x), excess)


def test_errors_and_their_line_stay():
    known, made = renewed(moved())

    assert made.baselines is known.baselines
    assert made.clip_means is known.clip_means
    assert made.calibration is known.calibration
    assert made.window_prompts == known.window_prompts
    assert made.id != known.id


def test_it_is_a_whole_reference():
    _, made = renewed(moved())

    assert Reference.from_arrays(made.to_arrays()).id == made.id


def test_rows_of_the_window_are_white_in_it():
    x = moved()
    normal = renewed(x)[1].normal
    means, moments, _ = prompt_statistics(normal, moved(seed=1))

    assert normal.mean == pytest.approx(x.mean(axis=(0, 1)))
    assert normal.deviation == pytest.approx(x.std(axis=(0, 1)))
    assert moments.mean(axis=0) == pytest.approx(np.eye(2), abs=0.06)
    assert means.mean(axis=0) == pytest.approx(np.zeros(2), abs=0.05)
    assert means.std(axis=0) == pytest.approx(normal.mean_deviation(20.0), rel=0.15)


def test_it_agrees_with_a_law_fitted_to_the_rows():
    x = moved()
    made, fitted = renewed(x)[1].normal, Normal.fit(list(x))

    assert made.mean == pytest.approx(fitted.mean)
    assert made.mean_within == pytest.approx(fitted.mean_within, rel=0.1)
    assert made.mean_between == pytest.approx(fitted.mean_between, abs=0.02)


def test_what_h_leaves_beside_the_expected_excess_is_noise():
    known, made = renewed(moved(), excess=0.1)
    worse = renewed(moved(), excess=1e9)[1]

    assert made.noise_variance == pytest.approx(known.baselines.mean("predicted") - 0.1)
    assert worse.noise_variance == 0.0


def test_a_feature_that_stands_still_is_not_watched():
    x = moved()
    x[..., 1] = 7.0

    made = renewed_normal(reference().normal, rows_of(x))

    assert made.dropped_count == 1
    assert made.whitening[1] == pytest.approx(0.0)
    assert len(made.moment_within) == 1


def test_constants_alone_are_refused():
    x = np.full((20, 10, 2), 3.0)

    with pytest.raises(ValueError, match="covariates: expected a feature that varies"):
        renewed_normal(reference().normal, rows_of(x))
