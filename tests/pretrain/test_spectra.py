import numpy as np
import pytest

from model.pretrain.spectra import (
    EXAMPLE_COUNTS,
    FEATURES,
    KINDS,
    covariance_spectra,
    draw,
    risk,
    spectra_of,
    training_spectra,
)


def test_covariances_have_the_condition_numbers_and_scales_of_the_recipe():
    variances = covariance_spectra(np.random.default_rng(0), 4000)
    condition = variances.max(axis=1) / variances.min(axis=1)
    scale = variances.mean(axis=1)

    assert 1.0 <= condition.min() < 1.01 and 99.0 < condition.max() <= 100.0 * (1 + 1e-12)
    assert 0.25 * (1 - 1e-12) <= scale.min() < 0.26 and 3.9 < scale.max() <= 4.0 * (1 + 1e-12)
    assert np.median(condition) == pytest.approx(10.0, rel=0.1)
    assert np.median(scale) == pytest.approx(1.0, rel=0.1)


def test_every_spectrum_is_positive_semidefinite_with_the_noise_of_the_recipe():
    spectra = training_spectra(0, prompts=300)

    assert (spectra.gram >= 0.0).all() and (spectra.query_power > 0.0).all()
    assert 0.1 <= spectra.noise.min() < 0.11 and 9.0 < spectra.noise.max() <= 10.0
    assert (spectra.ridge_risk > 0.0).all()


def test_every_count_and_kind_has_its_share():
    spectra = training_spectra(0, prompts=20)

    assert spectra.gram.shape == (20 * len(EXAMPLE_COUNTS) * len(KINDS), FEATURES)


def test_the_seed_decides_the_prompts():
    once, again, other = (training_spectra(seed, prompts=5) for seed in (4, 4, 5))

    assert np.array_equal(once.gram, again.gram)
    assert np.array_equal(once.query_power, again.query_power)
    assert not np.array_equal(once.gram, other.gram)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_follow_the_law_of_their_examples(kind):
    spectra = draw(np.random.default_rng(1), 4000, 40, kind)
    examples = spectra.gram.sum(axis=1) / 40  # mean squared length
    ratio = examples / spectra.query_power.sum(axis=1)

    assert ratio.mean() == pytest.approx(1.0, abs=4.0 * ratio.std() / np.sqrt(len(ratio)))


def test_a_mean_shift_is_seen_as_one_large_eigenvalue():
    rng = np.random.default_rng(2)
    plain, shifted = (draw(rng, 500, 40, kind).gram[:, -1] for kind in ("plain", "shifted"))

    assert np.median(shifted) > 2.0 * np.median(plain)


def test_the_risk_is_the_error_of_drawn_tasks_labels_and_queries():
    rng = np.random.default_rng(3)
    draws, M, d, noise = 100_000, 15, 4, 0.5
    x, root = rng.normal(size=(M, d)) + 0.4, rng.normal(size=(d, d))
    P = np.linalg.inv(x.T @ x + 2.0 * np.eye(d))
    w, query = rng.normal(size=(draws, d)), rng.normal(size=(draws, d)) @ root
    y = w @ x.T + np.sqrt(noise) * rng.normal(size=(draws, M))
    errors = ((query * (y @ x @ P - w)).sum(axis=1)) ** 2

    spectra = spectra_of(x[None], (root.T @ root)[None], np.array([[noise]]))
    exact = risk(spectra.gram, spectra.query_power, spectra.noise, 1.0 / (spectra.gram + 2.0))[0]

    assert errors.mean() == pytest.approx(exact, abs=3.0 * errors.std() / np.sqrt(draws))


def test_a_rotation_of_the_features_changes_no_spectrum():
    rng = np.random.default_rng(4)
    x, law = rng.normal(size=(1, 20, 5)), np.diag(rng.uniform(0.1, 2.0, 5))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    noise = np.ones((1, 1))
    straight = spectra_of(x, law[None], noise)
    turned = spectra_of(x @ rotation, (rotation.T @ law @ rotation)[None], noise)

    assert np.allclose(turned.gram, straight.gram, rtol=1e-10)
    assert np.allclose(turned.query_power, straight.query_power, rtol=1e-9)


def test_no_predictor_beats_bayes_ridge():
    spectra = training_spectra(6, prompts=20)
    rng = np.random.default_rng(7)
    for _ in range(20):
        inverse = rng.uniform(0.5, 1.5, spectra.gram.shape) / spectra.lifted
        other = risk(spectra.gram, spectra.query_power, spectra.noise, inverse)

        assert (other >= spectra.ridge_risk * (1.0 - 1e-12)).all()
