"""The task prior against the law that labels were drawn from, and against plain formulas."""

import numpy as np
import pytest

from model.em import learn_prior, task_sums

MEAN = np.array([1.0, -2.0, 0.5, 0.0])
SPREAD = np.diag([0.8, 0.3, 0.5, 0.2]) + 0.1
NOISE = 0.4


def drawn(count, n, seed=0, p=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, n, p))
    w = rng.multivariate_normal(MEAN[:p], SPREAD[:p, :p], count)
    y = (x @ w[..., None])[..., 0] + np.sqrt(NOISE) * rng.normal(size=(count, n))
    return x, y, w


def test_the_law_of_200_tasks_is_recovered():
    x, y, tasks = drawn(200, 24)

    prior = learn_prior(task_sums(x, y, np.ones((200, 24))))

    off = prior.covariance - np.cov(tasks.T)
    assert np.abs(prior.mean - tasks.mean(axis=0)).max() < 0.03
    assert np.linalg.norm(off) < 0.1 * np.linalg.norm(SPREAD)
    assert prior.noise_variance == pytest.approx(NOISE, rel=0.05)


def test_a_round_equals_the_formulas_task_by_task():
    x, y, _ = drawn(30, 6, seed=1)
    start = learn_prior(task_sums(x, y, np.ones((30, 6))), rounds=3)

    after = learn_prior(task_sums(x, y, np.ones((30, 6))), rounds=4)

    precision = np.linalg.inv(start.covariance)
    V = [np.linalg.inv(u.T @ u / start.noise_variance + precision) for u in x]
    w = [
        v @ (u.T @ r / start.noise_variance + precision @ start.mean)
        for v, u, r in zip(V, x, y, strict=True)
    ]
    m = np.mean(w, axis=0)
    outer = sum(np.outer(one - m, one - m) for one in w)
    Psi = (outer + sum(V) + 2e-4 * np.eye(4)) / (30 + 4 + 2)
    left = [
        ((r - u @ one) ** 2).sum() + np.trace(u @ v @ u.T)
        for v, u, r, one in zip(V, x, y, w, strict=True)
    ]
    np.testing.assert_allclose(after.mean, m, rtol=1e-11)
    np.testing.assert_allclose(after.covariance, Psi, rtol=1e-9)
    assert after.noise_variance == pytest.approx(sum(left) / 180, rel=1e-10)


def test_rows_of_weight_zero_do_not_count():
    x, y, _ = drawn(20, 8, seed=2)
    weight = np.ones((20, 8))
    weight[:, 6:] = 0.0

    padded = learn_prior(task_sums(x, y, weight), rounds=5)

    alone = learn_prior(task_sums(x[:, :6], y[:, :6], np.ones((20, 6))), rounds=5)
    np.testing.assert_allclose(padded.covariance, alone.covariance, rtol=1e-10)
    assert padded.noise_variance == pytest.approx(alone.noise_variance, rel=1e-10)


def test_labels_without_noise_and_tasks_without_spread_leave_a_usable_prior():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(10, 12, 3))

    prior = learn_prior(task_sums(x, x @ np.array([1.0, 2.0, 3.0]), np.ones((10, 12))))

    np.testing.assert_allclose(prior.mean, [1.0, 2.0, 3.0], atol=1e-3)
    assert prior.noise_variance >= 1e-8
    assert np.linalg.eigvalsh(prior.covariance)[0] > 0.0


def test_a_feature_that_is_always_zero_keeps_the_prior_finite():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(12, 9, 3))
    x[..., 1] = 0.0

    prior = learn_prior(task_sums(x, x[..., 0] + rng.normal(size=(12, 9)), np.ones((12, 9))))

    assert prior.mean[1] == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(prior.precision).all()
