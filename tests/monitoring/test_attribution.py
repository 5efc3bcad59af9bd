"""Planted shifts are named: the feature, the aspect, and how much of the harm is theirs."""

import numpy as np
import pytest

from bench.drift_worlds import NOISE_VARIANCE, draw, optimum, worlds
from monitoring.attribution import (
    Answering,
    Law,
    Scene,
    expected_excess,
    fitted,
    harm_shares,
    kind,
    law,
    scene_sums,
)

LENGTH, PROMPTS = 50, 100
CORRELATION = np.full((5, 5), 0.2) + 0.8 * np.eye(5)
CORRELATION[0, 1] = CORRELATION[1, 0] = 0.6
DEVIATION = np.array([1.0, 0.8, 0.6, 0.5, 0.4])


def covariance(correlation=CORRELATION, deviation=DEVIATION):
    return correlation * np.outer(deviation, deviation)


def paper(S, length=LENGTH, noise=NOISE_VARIANCE):
    ridge = (np.trace(S) + noise) / length
    A = np.linalg.inv((1 + 1 / length) * S + ridge * np.eye(len(S)))
    return Answering(np.eye(len(S)), noise, A)


def sampled(rng, S, mean=0.0, query=None, length=LENGTH):
    """Return the scene of a window of rows N(mean, S), queries of the same or of another law."""
    root = np.linalg.cholesky(S)
    x = rng.normal(size=(PROMPTS, length, len(S))) @ root.T + mean
    query_S, query_mean = query or (S, mean)
    queries = rng.normal(size=(PROMPTS, 1, len(S))) @ np.linalg.cholesky(query_S).T + query_mean
    return scene_sums(length, x.mean(axis=1), x.mT @ x, queries).scene


def one(value, place, other=0.0):
    vector = np.full(5, other)
    vector[place] = value
    return vector


def flipped():
    correlation = CORRELATION.copy()
    correlation[0, 1] = correlation[1, 0] = -0.6
    return covariance(correlation)


@pytest.mark.slow
def test_the_excess_of_one_layer_is_that_of_drawn_prompts():
    rng = np.random.default_rng(1)
    S, mean, M = covariance(), np.array([0.5, 0.0, -0.3, 0.0, 0.2]), 12
    T = np.diag([2.0, 1.0, 0.5, 1.0, 1.0])
    A = paper(S, M).weights + 0.1 * rng.normal(size=(5, 5))
    x = rng.normal(size=(100_000, M + 1, 5)) @ np.linalg.cholesky(S).T + mean
    w = rng.normal(size=(100_000, 5)) * np.sqrt(np.diag(T))
    y = (x @ w[..., None])[..., 0]
    labels = y[:, :M] + np.sqrt(0.3) * rng.normal(size=(100_000, M))
    b = (labels[:, None] @ x[:, :M])[:, 0] / M
    errors = (y[:, M] - np.einsum("bi,ij,bj->b", x[:, M], A, b)) ** 2
    here = law(mean, S + np.outer(mean, mean))
    expected = expected_excess(Answering(T, 0.3, A), Scene.without_drift(here, here, M))

    assert abs(errors.mean() - expected) < 4 * errors.std() / np.sqrt(len(errors))


def test_the_excess_of_an_exact_inverse_is_that_of_drawn_prompts():
    rng = np.random.default_rng(2)
    S, M, noise = covariance(), 400, 0.5
    T = np.diag([0.02, 0.01, 0.01, 0.05, 0.01])
    x = rng.normal(size=(2000, M, 5)) @ np.linalg.cholesky(S).T
    P = np.linalg.inv(x.mT @ x + noise * np.linalg.inv(T))
    expected = expected_excess(
        Answering(T, noise), Scene.without_drift(law(0 * S[0], S), law(0 * S[0], S), M)
    )

    assert noise * np.trace(P @ S, axis1=1, axis2=2).mean() == pytest.approx(expected, rel=0.02)


PAPER_SHIFTS = {
    "mean": lambda j: {"S": covariance(), "mean": one(1.0, j)},
    "scale": lambda j: {"S": covariance(deviation=DEVIATION * one(2.0, j, other=1.0))},
    "correlation": lambda _: {"S": flipped()},
}


@pytest.mark.parametrize("shift", PAPER_SHIFTS)
def test_the_guilty_feature_of_a_layer_is_named_first(shift):
    answering, right = paper(covariance()), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        place = seed % 3
        reference = sampled(rng, covariance())
        now = sampled(rng, **PAPER_SHIFTS[shift](place))
        shares = harm_shares(answering, reference, now)
        right += shares.argmax() in ((0, 1) if shift == "correlation" else (place,))
        assert shares.sum() == pytest.approx(1.0)

    assert right >= 90


def test_the_guilty_feature_of_a_profile_with_intercept_and_few_examples_is_named_first():
    prior = Answering(np.eye(6), 50.0)
    right = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scenes = []
        for factor in (1.0, 4.0):
            x = rng.normal(size=(PROMPTS, 9, 5)) * one(factor, seed % 5, other=1.0)
            u = np.concatenate([np.ones((PROMPTS, 9, 1)), x], axis=2)
            rows = u[:, :8]
            scenes.append(scene_sums(8, rows.mean(axis=1), rows.mT @ rows, u[:, 8:]).scene)
        right += harm_shares(prior, *scenes).argmax() == 1 + seed % 5

    assert right >= 90


@pytest.mark.parametrize("shift", ["mean", "correlation"])
def test_the_guilty_queries_of_a_foundation_model_are_named_first(shift):
    answering, right, kinds = Answering(np.eye(5), 1.0), 0, []
    S = CORRELATION.copy()
    S[0, 1] = S[1, 0] = 0.9
    other = S.copy()
    other[0, 1] = other[1, 0] = -0.1
    for seed in range(100):
        rng = np.random.default_rng(seed)
        reference = sampled(rng, S)
        place = seed % 5
        query = (S, one(2.0, place)) if shift == "mean" else (other, np.zeros(5))
        now = sampled(rng, S, query=query)
        found = harm_shares(answering, reference, now).argmax()
        right += found in ((0, 1) if shift == "correlation" else (place,))
        kinds.append(kind(answering, reference, now).name)

    assert right >= 90
    assert kinds.count("query") >= 90


SCENES = {
    "mean": {"S": covariance(), "mean": np.full(5, 0.5)},
    "scale": {"S": 2.25 * covariance()},
    "correlation": {"S": flipped()},
    "context_length": {"S": covariance(), "length": 10},
    "query": {"S": covariance(), "query": (4.0 * covariance(), np.zeros(5))},
}


@pytest.mark.parametrize("name", SCENES)
def test_the_kind_of_a_planted_shift_is_named_and_has_most_of_the_share(name):
    answering, right = paper(covariance()), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = kind(answering, sampled(rng, covariance()), sampled(rng, **SCENES[name]), 1.0)
        right += found.name == name and found.shares[name] > 0.6
        assert sum(found.shares.values()) == pytest.approx(1.0)

    assert right >= 95


@pytest.mark.parametrize("name", SCENES)
def test_an_aspect_that_moved_alone_has_all_of_the_share(name):
    S, planted = covariance(), SCENES[name]
    usual = law(np.zeros(5), S)
    mean = planted.get("mean", np.zeros(5))
    examples = law(mean, planted["S"] + np.outer(mean, mean))
    queries = law(np.zeros(5), planted["query"][0]) if "query" in planted else examples
    now = Scene.without_drift(examples, queries, planted.get("length", LENGTH))
    shares = kind(paper(S), Scene.without_drift(usual, usual, LENGTH), now).shares

    assert shares[name] == pytest.approx(1.0, abs=1e-9)


def test_two_aspects_share_the_harm_as_their_returns_do():
    S, answering = covariance(), paper(covariance())
    usual = law(np.zeros(5), S)
    reference = Scene.without_drift(usual, usual, LENGTH)
    moved = law(np.zeros(5), 1.2 * S)
    now = Scene.without_drift(moved, moved, 25.0)
    falls = [
        expected_excess(answering, now)
        - expected_excess(answering, Scene.without_drift(usual, usual, 25.0)),
        expected_excess(answering, now)
        - expected_excess(answering, Scene.without_drift(moved, moved, LENGTH)),
    ]
    shares = kind(answering, reference, now).shares

    assert shares["scale"] == pytest.approx(falls[0] / sum(falls))
    assert shares["context_length"] == pytest.approx(falls[1] / sum(falls))


@pytest.mark.parametrize(
    ("name", "shift", "expected"),
    [
        ("iid20", "t3", "tail"),
        ("iid20", "scale_1.5", "scale"),
        ("iid20", "query_2", "query"),
        ("iid20", "quiet", ""),
        ("het5", "quiet", ""),
        ("het5", "scale_1.5", "scale"),
        ("het5", "rotation", "correlation"),
        ("het5", "short", "context_length"),
    ],
)
def test_tails_are_what_moments_do_not_explain_even_where_prompts_differ(name, shift, expected):
    world, rng, excesses, sums = worlds()[name], np.random.default_rng(5), [], []
    A, T = optimum(world, LENGTH), world.task_variance * np.eye(len(worlds()[name].root))
    for one_shift in ("quiet", shift):
        x, _, queries, _ = draw(world, one_shift, 1000, LENGTH, rng)
        G, M = x.mT @ x, x.shape[1]
        keys = queries @ A / M
        missed = queries - keys @ G
        noisy = NOISE_VARIANCE * (keys @ G * keys).sum(axis=2)
        excesses.append(np.mean(world.task_variance * (missed**2).sum(axis=2) + noisy))
        sums.append(scene_sums(M, x.mean(axis=1), G, queries))
    answering = fitted(Answering(T, NOISE_VARIANCE, A), sums[0])
    found = kind(answering, sums[0].scene, sums[1].scene, excesses[1] / excesses[0])

    assert found.name == expected


def test_a_window_that_does_not_hurt_has_no_shares_and_no_kind():
    S, answering = covariance(), paper(covariance())
    reference = Scene.without_drift(law(np.zeros(5), S), law(np.zeros(5), S), LENGTH)
    milder = Scene.without_drift(law(np.zeros(5), 0.9 * S), law(np.zeros(5), 0.9 * S), LENGTH)

    assert np.isnan(harm_shares(answering, reference, milder)).all()
    assert kind(answering, reference, milder)[:2] == ("", {})


def test_sums_of_two_windows_are_the_sums_of_their_prompts():
    rng = np.random.default_rng(6)
    x, queries = rng.normal(size=(8, 6, 3)), rng.normal(size=(8, 2, 3))
    parts = [(x[:3], queries[:3]), (x[3:], queries[3:]), (x, queries)]
    sums = [scene_sums(6, u.mean(axis=1), u.mT @ u, v) for u, v in parts]
    scene, expected_scene = sums[0].joined(sums[1]).scene, sums[2].scene
    joined = scene.examples + scene.queries
    whole = expected_scene.examples + expected_scene.queries
    rows = x.reshape(-1, 3)

    assert scene.length == pytest.approx(6.0)
    assert scene.examples.deviation == pytest.approx(rows.std(axis=0))
    for found, expected in zip(joined, whole, strict=True):
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_constant_coordinate_has_no_correlations():
    found = law(np.array([1.0, 2.0]), np.array([[1.0, 2.0], [2.0, 5.0]]))

    assert isinstance(found, Law)
    assert found.deviation.tolist() == [0.0, 1.0]
    assert found.correlation.tolist() == [[1.0, 0.0], [0.0, 1.0]]
