"""The worlds of the drift bench have the moments they promise, and shifts change what they say."""

import numpy as np
import pytest

from bench.drift_worlds import NOISE_VARIANCE, SHIFTS, draw, optimum, stream, worlds

pytestmark = pytest.mark.slow  # seconds, all together


def squared_error(name, shift, prompt_count=6000):
    world = worlds()[name]
    x, y, queries, targets = draw(world, shift, prompt_count, 50, np.random.default_rng(1))
    b = (y[:, None] @ x)[:, 0] / x.shape[1]
    answers = (queries @ (b @ optimum(world, 50).T)[..., None])[..., 0]
    errors = (answers - targets) ** 2
    return errors.mean(), errors.std() / np.sqrt(prompt_count)


@pytest.mark.parametrize("name", ["iid5", "iid20", "het5"])
def test_rows_and_labels_have_the_power_of_the_reference_world(name):
    world = worlds()[name]
    x, y, _, _ = draw(world, "quiet", 8000, 50, np.random.default_rng(2))
    S = world.root @ world.root
    more = 1.0 + 0.09 * (name == "het5")  # what prompts' own means add to a variance
    more_scale = np.exp(2 * 0.15**2) - 1 if name == "het5" else 0.0
    second = np.einsum("bmi,bmi->i", x, x) / (8000 * 50)

    assert np.linalg.eigvalsh(S)[[0, -1]] == pytest.approx([0.1, 1.0])
    assert second == pytest.approx(np.diag(S) * (more + more_scale), rel=0.05)
    assert (y**2).mean() == pytest.approx(more + more_scale + NOISE_VARIANCE, rel=0.06)


def test_the_optimum_has_the_error_of_the_closed_form():
    world = worlds()["iid5"]
    found, error = squared_error("iid5", "quiet", 40_000)
    S, A = world.root @ world.root, optimum(world, 50)
    excess = world.task_variance * np.trace(S @ (np.eye(5) - A @ S))  # theorem 4.2 at the optimum

    assert abs(found - NOISE_VARIANCE - excess) < 4 * error


def test_a_flip_of_correlations_and_new_tasks_leave_marginals_and_power():
    world = worlds()["iid5"]
    rng = np.random.default_rng(3)
    quiet, flipped, tasks = (
        draw(world, name, 8000, 50, rng) for name in ("quiet", "correlation", "task_new")
    )

    assert flipped.x.std(axis=(0, 1)) == pytest.approx(quiet.x.std(axis=(0, 1)), rel=0.02)
    assert (tasks.y**2).mean() == pytest.approx((quiet.y**2).mean(), rel=0.06)


def test_shifts_harm_as_the_paper_says():
    quiet = squared_error("iid5", "quiet")[0]
    harm = {name: squared_error("iid5", name)[0] / quiet for name in SHIFTS}

    assert all(harm[name] > 2.0 for name in ("scale_1.5", "rotation", "correlation", "query_2"))
    assert harm["noise_4"] > 2.0 < harm["task_2"]
    assert all(0.8 < harm[name] < 1.25 for name in ("task_new", "one_mean_0.25", "scale_0.5"))
    assert 1.25 < harm["short"] < 1.6


def test_a_stream_mixes_lengths_and_a_seed_repeats_it():
    world = worlds()["het20"]
    twice = [
        list(stream(world, "short", 40, (8, 32), np.random.default_rng(4), 2)) for _ in range(2)
    ]

    assert {prompt.x.shape for prompt in twice[0]} == {(1, 4, 20), (1, 16, 20)}
    assert twice[0][7].targets.shape == (1, 2)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(*twice, strict=True))
