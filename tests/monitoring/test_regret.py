"""REGRET: R against h itself, A* against a search, lengths against fresh draws, known figures."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bench.drift_worlds import NOISE_VARIANCE, draw, world, worlds
from model.paper import PaperModel
from model.profile import ProfileModel
from model.prompt import Block, Examples
from monitoring.attribution import Answering, Scene, law
from monitoring.baseline import Quiet, build
from monitoring.harm import predicted_error
from monitoring.observation import observe, sums_of
from monitoring.regret import best_weights, layer_regret, layer_risk, moments_at, prior_regret
from service.seen import seen, served
from service.windows import evidence_of
from tests.model.profiles import asked, learnt

pytestmark = pytest.mark.slow  # seconds, all together

M, D = 40, 10
WORLD = world(D, is_mixed=False)
TAU = WORLD.task_variance
MODEL = PaperModel(WORLD.root @ WORLD.root, NOISE_VARIANCE, TAU, centred=False)


def block(rng, shift, count, length=M, of=WORLD):
    drawn = draw(of, shift, count, length, rng)
    return Block(Examples(drawn.x, drawn.y), drawn.queries)


def known_of(model, of, length=M):
    """Return a reference, admitted whatever its errors."""
    quiet = block(np.random.default_rng(0), "quiet", 500, length, of)
    made = served(model.estimator(quiet))
    numbers = observe(made)
    numbers = numbers._replace(ridge=numbers.loo, label_power=2.0 * numbers.loo)
    return build(Quiet(numbers, list(quiet.context.x), sums_of(made), NOISE_VARIANCE), "paper")


@cache
def known_to_all():
    return known_of(MODEL, WORLD)


def parts(*blocks, model=MODEL, known=None):
    return evidence_of(model, blocks, known or known_to_all())


def weights_at(length):
    return MODEL.weights(round(length))


def regret(rng, shift, count):
    return layer_regret(parts(block(rng, shift, count)), weights_at, TAU, NOISE_VARIANCE)


@pytest.mark.parametrize("centred", [False, True])
def test_the_risk_is_the_mean_of_h_over_all_pairs_of_examples_and_queries(centred):
    of = worlds()["het5"]
    model = PaperModel(of.root @ of.root, NOISE_VARIANCE, of.task_variance, centred=centred)
    known = known_of(model, of, 12)
    (part,) = parts(
        block(np.random.default_rng(1), "mean_0.5", 60, 12, of), model=model, known=known
    )
    found = seen(model, block(np.random.default_rng(1), "mean_0.5", 60, 12, of)).served
    crossed = replace(found, queries=np.broadcast_to(found.queries[:, 0], (60, 60, 5)))
    expected = predicted_error(crossed).mean() - NOISE_VARIANCE * (1.0 + centred / 12)
    A = model.weights(12 - centred) * (12 / (12 - centred))

    risk = layer_risk(A, moments_at(part), of.task_variance, NOISE_VARIANCE)
    assert risk == pytest.approx(expected, rel=1e-10)


def test_no_other_weights_have_less_risk():
    (part,) = parts(block(np.random.default_rng(2), "rotation", 100))
    moments = moments_at(part)
    best = best_weights(moments, TAU, NOISE_VARIANCE)
    least = layer_risk(best, moments, TAU, NOISE_VARIANCE)
    rng = np.random.default_rng(3)
    others = [
        layer_risk(best + step * rng.normal(size=(D, D)), moments, TAU, NOISE_VARIANCE)
        for step in (1e-4, 1e-2, 1.0)
        for _ in range(50)
    ]

    assert min(others) > least
    plain = moments.gram @ np.linalg.inv(moments.squares + NOISE_VARIANCE / TAU * moments.shrunk)
    np.testing.assert_allclose(best, plain, rtol=1e-9, atol=1e-12)


def test_moments_that_cannot_be_solved_are_refused():
    (part,) = parts(block(np.random.default_rng(2), "quiet", 60))
    flat = moments_at(part)._replace(squares=np.ones((D, D)), shrunk=np.zeros((D, D)))
    with pytest.raises(ValueError, match="window: expected a condition below 1e\\+10"):
        best_weights(flat, TAU, NOISE_VARIANCE)


def test_moments_of_other_lengths_are_those_of_fresh_prompts():
    rng = np.random.default_rng(4)
    short, long, other = (
        parts(block(rng, "quiet", 6000, length)) for length in (20, 80, 40)
    )  # buckets 16, 64 and 32
    pooled = short[0].joined(long[0])
    for source in (short[0], long[0], pooled):
        turned, fresh = moments_at(source, 40.0), moments_at(other[0])
        for got, expected in zip(turned[:3], fresh[:3], strict=True):
            assert np.abs(got - expected).max() < 0.04 * np.abs(expected).max()
    assert moments_at(short[0], 20.0).squares is not None
    np.testing.assert_array_equal(moments_at(short[0], 20.0).squares, moments_at(short[0]).squares)
    plain = np.abs(moments_at(short[0]).squares - fresh.squares).max()
    assert plain > 0.08 * np.abs(fresh.squares).max()  # what no conversion would make of it


def test_quiet_windows_have_little_regret():
    rng = np.random.default_rng(5)
    few = [regret(rng, "quiet", 20) for _ in range(400)]
    many = [regret(rng, "quiet", 100) for _ in range(200)]

    assert min(*few, *many) >= 1.0
    assert np.quantile(few, 0.99) <= 1.10  # 1.08; the weights were made for these 20 prompts
    assert np.quantile(many, 0.99) <= 1.02  # 1.016


@pytest.mark.parametrize(
    ("shift", "least", "most"),
    [
        ("scale_2", 30.0, 40.0),
        ("scale_0.5", 2.3, 2.9),
        ("rotation", 2.0, 20.0),
        ("correlation", 2.0, 10.0),
        ("task_2", 1.0, 1.01),
        ("noise_4", 1.0, 1.01),
        ("query_2", 1.0, 1.01),
        ("task_new", 1.0, 1.01),
        ("short", 1.0, 1.01),
    ],
)
def test_known_shifts_have_the_regret_that_is_known(shift, least, most):
    rng = np.random.default_rng(6)
    found = np.median([regret(rng, shift, 200) for _ in range(10)])

    assert least <= found <= most


def test_a_layer_that_adapts_to_lengths_is_judged_at_each():
    rng = np.random.default_rng(7)
    window = parts(*(block(rng, "quiet", 150, length) for length in (12, 24, 50, 100)))
    adaptive = layer_regret(window, weights_at, TAU, NOISE_VARIANCE)
    fixed = layer_regret(window, lambda _: MODEL.weights(100), TAU, NOISE_VARIANCE)

    assert len(window) == 4
    assert 1.0 <= adaptive < 1.02
    assert fixed > 1.3


def test_a_window_without_rows_is_judged_part_by_part():
    rng = np.random.default_rng(8)
    window = [
        replace(part, spread=np.zeros((D, D)), spread_prompts=0.0)
        for part in parts(*(block(rng, "scale_2", 150, length) for length in (24, 50)))
    ]

    assert layer_regret(window, weights_at, TAU, NOISE_VARIANCE) > 20.0
    with pytest.raises(ValueError, match="expected rows of several examples"):
        moments_at(window[0], 100.0)


def test_nothing_measured_has_no_regret():
    with pytest.raises(ValueError, match="expected prompts that can be measured"):
        layer_regret([], weights_at, TAU, NOISE_VARIANCE)


def test_a_prior_is_to_blame_for_a_mean_task_that_moved():
    S = WORLD.root @ WORLD.root
    here = law(np.zeros(D), S)
    scene = Scene.without_drift(here, here, float(M))
    answering = Answering(TAU * np.eye(D), NOISE_VARIANCE)
    moved = replace(scene, drift=np.full(D, 3.0 * np.sqrt(TAU)))
    P = np.linalg.inv(M * S + NOISE_VARIANCE / TAU * np.eye(D))
    k = NOISE_VARIANCE / TAU * P @ moved.drift
    expected = 1.0 + k @ S @ k / (NOISE_VARIANCE * np.trace(S @ P))

    assert prior_regret(answering, scene) == 1.0
    assert prior_regret(answering, moved) == pytest.approx(expected)
    assert expected > 1.05


def test_a_quiet_window_of_a_profile_has_little_regret_and_a_mirrored_column_much():
    model = ProfileModel(learnt("intercept"))
    quiet, _ = asked(1, 300, 12)
    made = served(model.estimator(quiet))
    numbers = observe(made)
    rows, noise = list(quiet.context.x), made.noise_variance
    known = build(
        Quiet(numbers._replace(ridge=numbers.loo), rows, sums_of(made), noise),
        "profile",
        prompts_min=100,
    )
    prior = model.prior(12)
    answering = Answering(prior.covariance, prior.noise_variance)
    told = []
    for sign in (1.0, -1.0):
        fresh, _ = asked(2, 200, 12)
        for x in (fresh.context.x, fresh.queries):
            x[..., 0] = 20.0 + sign * (x[..., 0] - 20.0)
        (part,) = parts(fresh, model=model, known=known)
        told.append(prior_regret(answering, part.scene.scene))

    assert 1.0 <= told[0] < 1.1
    assert told[1] > 1.25
