"""The prior of a window against the posterior it maximises, and against simulated tasks."""

import numpy as np
import pytest

from model.em import TaskPrior
from model.task_window import MEAN_PROMPTS, Measured, learn_tasks

P = 4
OLD = TaskPrior(np.array([1.0, -1.0, 0.5, 0.0]), np.diag([0.5, 0.4, 0.3, 0.2]), 0.3)
NEW = TaskPrior(np.array([2.0, 1.0, -0.5, 1.0]), 0.2 * np.eye(P) + 0.1 * np.ones((P, P)), 0.15)


def measured(prior, count, length, seed, noise_unit=1.0):
    """Simulate prompts of independent rows whose tasks follow a prior, and sum them."""
    rng = np.random.default_rng(seed)
    t = np.sqrt(0.1) * np.ones(P)
    w = rng.multivariate_normal(prior.mean, prior.covariance, size=count)
    U = rng.normal(size=(count, length, P))
    noise = np.sqrt(noise_unit * prior.noise_variance) * rng.normal(size=(count, length))
    left = np.einsum("nmp,np->nm", U, w - OLD.mean) + noise
    S = U.mT @ U / length / np.outer(t, t)
    Q = np.linalg.inv(S + np.eye(P))
    a = np.einsum("npq,nq->np", Q, np.einsum("nmp,nm->np", U, left) / length / t)
    residual = np.mean((left - np.einsum("nmp,np->nm", U, a / t)) ** 2)
    mean, squares = Q.mean(axis=0), (Q @ Q).mean(axis=0)
    used = P - np.einsum("npq,npq->n", Q, Q).mean()
    return Measured(
        prompt_count=count,
        design=(np.eye(P) - mean) * t,
        origin=OLD.mean,
        noise=(mean - squares) / length,
        noise_unit=noise_unit,
        mean=a.mean(axis=0),
        squares=a.T @ a / count,
        residual=residual,
        freedom=1.0 - used / length,
        left=t[:, None] * (mean - squares) * t,
    )


def log_posterior(parts, mean, covariance, noise):
    held = P + 2.0
    off = mean - OLD.mean
    found = -0.5 * MEAN_PROMPTS * off @ OLD.precision @ off
    found -= 0.5 * held * np.linalg.slogdet(covariance)[1]
    found -= 0.5 * held * np.trace(np.linalg.solve(covariance, OLD.covariance))
    for one in parts:
        C = one.design @ covariance @ one.design.T + one.noise_unit * noise * one.noise
        expected = one.design @ (mean - one.origin)
        about = one.squares - np.outer(one.mean, expected) - np.outer(expected, one.mean)
        about = about + np.outer(expected, expected)
        found -= 0.5 * one.prompt_count * np.linalg.slogdet(C)[1]
        found -= 0.5 * one.prompt_count * np.trace(np.linalg.solve(C, about))
    return found


def test_no_prior_nearby_is_more_probable():
    parts = [measured(NEW, 60, 12, 0), measured(NEW, 90, 30, 1)]
    mean, covariance, noise = learn_tasks(parts, OLD)
    best, rng = log_posterior(parts, mean, covariance, noise), np.random.default_rng(2)

    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(50):
            turn = size * rng.normal(size=(P, P))
            other = (np.eye(P) + turn) @ covariance @ (np.eye(P) + turn).T
            moved = mean + size * rng.normal(size=P)
            assert log_posterior(parts, moved, other, noise) < best + 1e-6


def test_tasks_are_found_from_sums():
    found = learn_tasks([measured(NEW, 2000, 12, 3), measured(NEW, 2000, 40, 4)], OLD)

    assert found.mean == pytest.approx(NEW.mean, abs=0.05)
    assert found.covariance == pytest.approx(NEW.covariance, abs=0.04)
    assert found.noise_variance == pytest.approx(NEW.noise_variance, rel=0.05)


def test_lengths_whose_labels_have_another_unit_agree_on_the_noise():
    parts = [measured(NEW, 1000, 20, 5, noise_unit=4.0), measured(NEW, 1000, 20, 6)]

    assert learn_tasks(parts, OLD).noise_variance == pytest.approx(NEW.noise_variance, rel=0.05)


def test_a_direction_that_the_window_does_not_show_stays_as_it_was():
    part = measured(NEW, 300, 20, 7)
    blind = np.diag([1.0, 1.0, 1.0, 0.0])
    hidden = part._replace(
        design=blind @ part.design,
        mean=blind @ part.mean,
        squares=blind @ part.squares @ blind,
        left=blind @ part.left @ blind,
    )

    found = learn_tasks([hidden], OLD)

    assert found.mean[:3] == pytest.approx(NEW.mean[:3], abs=0.15)
    assert found.covariance[3, 3] == pytest.approx(OLD.covariance[3, 3], rel=0.05)


@pytest.mark.parametrize("count", [1, 5, 20])
def test_few_prompts_leave_a_prior_that_inverts(count):
    found = learn_tasks([measured(NEW, count, 4, 8)], OLD)

    assert np.linalg.eigvalsh(found.covariance)[0] > 0.0
    assert found.noise_variance > 0.0


def test_tasks_as_they_were_change_little():
    found = learn_tasks([measured(OLD, 256, 32, 9)], OLD)

    assert found.mean == pytest.approx(OLD.mean, abs=0.15)
    assert found.covariance == pytest.approx(OLD.covariance, abs=0.1)
