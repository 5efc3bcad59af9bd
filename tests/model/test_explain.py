"""Explanations against the models' own answers, and against answers to changed labels."""

import numpy as np
import pytest

from model.answer import Mode, Solver
from model.checkpoint import FOUNDATION_FILE, load
from model.explain import (
    Smoother,
    corrections,
    explain,
    foundation_smoother,
    paper_smoother,
    stage_inverse,
)
from model.foundation import FoundationModel
from model.ladder import climb, predictive_deviation
from model.moments import Sums
from model.paper import PaperModel
from model.prompt import Block, Examples
from model.standardise import standardise

MODEL = load(FOUNDATION_FILE).model
STEPS = MODEL.steps


def drawn(seed, B=4, M=12, d=3, Q=3, noise=0.3, offset=11.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(B, d, d))
    x = rng.normal(size=(B, M + Q, d)) @ mixing + 5 * rng.normal(size=(B, 1, d))
    y = (x @ rng.normal(size=(B, d, 1)))[..., 0] + noise * rng.normal(size=(B, M + Q)) + offset
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


def shop_week(seed, B=6, M=24, Q=4):
    """Prompts shaped as a business sends them: money, a flag, a share, a count, a cyclic hour."""
    rng = np.random.default_rng(seed)
    hour = rng.uniform(0, 2 * np.pi, (B, M + Q))
    flag = (rng.random((B, M + Q)) < 0.3).astype(float)
    flag[:, 0], flag[:, 1] = 0.0, 1.0
    money = np.exp(rng.normal(9, 1, (B, M + Q)))
    columns = [money, flag, rng.beta(2, 5, (B, M + Q)), rng.poisson(40, (B, M + Q)), np.sin(hour)]
    x = np.stack(columns, axis=2)
    y = 1e4 + 3 * money + 500 * flag * np.sin(hour) + 2000 * rng.standard_t(4, (B, M + Q))
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


def smoother_of(model, block):
    """What the model does for an answer, kept; and the deviation its certificate is measured in."""
    prompts = standardise(block)
    spectrum, *_ = model._spectrum(prompts)
    _, solvers = climb(spectrum, model.correction_bound)
    vectors = np.linalg.eigh(prompts.gram)[1]
    return foundation_smoother(block, prompts, spectrum, vectors, solvers), spectrum, solvers


def summarised(block):
    x, y = block.context
    moments = Sums.from_rows(x[0], y[0], np.zeros(x.shape[2]), 0.0).centred()
    return Block(moments, block.queries[:1])


CASES = [drawn(0), drawn(1, M=5, d=9), drawn(2, M=40, noise=1e-3), drawn(3, noise=5.0)]
CASES += [drawn(4, offset=1e6), shop_week(0), shop_week(1, M=8)]


@pytest.mark.parametrize("block", CASES)
def test_weighted_labels_are_the_foundations_answer(block):
    smoother, _, _ = smoother_of(MODEL, block)

    weights = explain(smoother).weights

    sums = (weights @ block.context.y[..., None])[..., 0]
    np.testing.assert_allclose(sums, MODEL.answer(block).predictions, rtol=1e-9)
    np.testing.assert_allclose(weights.sum(axis=2), 1.0, rtol=1e-12)


@pytest.mark.parametrize("block", CASES)
def test_the_foundations_answer_lies_on_the_plane_of_its_coefficients(block):
    smoother, _, _ = smoother_of(MODEL, block)

    plane = explain(smoother)

    on_plane = plane.intercepts[:, None] + (block.queries @ plane.coefficients[..., None])[..., 0]
    np.testing.assert_allclose(on_plane, MODEL.answer(block).predictions, rtol=1e-9)
    assert (plane.profile_shares == 0.0).all()


@pytest.mark.parametrize("bound", [1e9, 0.05, 1e-14], ids=["one pass", "as shipped", "exact"])
def test_a_weight_is_how_the_answer_moves_with_a_label(bound):
    """At one λ and one solver the answer is linear in the labels, so any step is exact."""
    model = FoundationModel(STEPS, lambda_grid=(1.0,), correction_bound=bound)
    block = drawn(5, noise=2.0)
    smoother, _, solvers = smoother_of(model, block)
    weights, before = explain(smoother).weights, model.answer(block)

    for example in range(block.example_count):
        y = block.context.y.copy()
        y[:, example] += 0.01
        after = model.answer(Block(Examples(block.context.x, y), block.queries))

        assert after.solvers == before.solvers == solvers
        moved = (after.predictions - before.predictions) / 0.01
        np.testing.assert_allclose(moved, weights[:, :, example], rtol=0, atol=1e-10)


def test_with_the_shipped_grid_weights_are_derivatives_wherever_the_choice_of_lambda_stands():
    """λ is one of ten values, so a small step leaves it, and the answer is linear around."""
    block = shop_week(2)
    smoother, spectrum, _ = smoother_of(MODEL, block)
    weights, before = explain(smoother).weights, MODEL.answer(block)
    stood = 0
    for example in range(block.example_count):
        y = block.context.y.copy()
        y[:, example] += 1e-3
        moved = Block(Examples(block.context.x, y), block.queries)
        same = np.array(MODEL.answer(moved).solvers) == np.array(before.solvers)
        lifted = MODEL._spectrum(standardise(moved))[0].lifted
        same &= np.isclose(lifted[:, 0], spectrum.lifted[:, 0], rtol=1e-9)
        change = (MODEL.answer(moved).predictions - before.predictions) / 1e-3
        np.testing.assert_allclose(change[same], weights[same, :, example], rtol=0, atol=1e-6)
        stood += same.sum()

    assert stood >= 0.9 * len(block.queries) * block.example_count


@pytest.mark.parametrize("bound", [1e9, 0.5, 0.02, 1e-14])
def test_the_certificate_decides_as_the_ladder_did(bound):
    model = FoundationModel(STEPS, correction_bound=bound)
    block = drawn(6, B=60, noise=0.05)
    smoother, spectrum, solvers = smoother_of(model, block)
    chosen = (spectrum.lifted - spectrum.gram)[:, :1, None]
    lifted = smoother.gram + chosen * np.eye(3)
    deviation = predictive_deviation(spectrum, stage_inverse(spectrum, solvers))

    c = corrections(smoother, lifted, deviation)

    exact = np.array(solvers) == Solver.EXACT
    assert (c[~exact] <= bound * (1 + 1e-6)).all()
    np.testing.assert_allclose(c[exact], 0.0, atol=1e-8)
    if bound == 1e9:  # one pass leaves something, or nothing was tested
        assert np.median(c) > 1e-4


def test_a_summary_has_the_coefficients_of_its_rows_and_no_weights():
    model = FoundationModel(STEPS, lambda_grid=(1.0,))
    block = drawn(7, B=1)
    rows = explain(smoother_of(model, block)[0])

    sums = explain(smoother_of(model, summarised(block))[0])

    np.testing.assert_allclose(sums.coefficients, rows.coefficients, rtol=1e-9)
    np.testing.assert_allclose(sums.intercepts, rows.intercepts, rtol=1e-9)
    assert sums.weights is None


def test_an_answer_by_the_mean_weighs_every_example_alike():
    block = drawn(8)
    y = block.context.y.copy()
    y[1] = 3.0
    x = block.context.x.copy()
    x[2] = 1.0
    block = Block(Examples(x, y), block.queries)

    explained = explain(smoother_of(MODEL, block)[0])

    assert [MODEL.answer(block).modes[i] for i in (1, 2)] == [Mode.MEAN, Mode.MEAN]
    np.testing.assert_allclose(explained.weights[1:3], 1 / 12, rtol=1e-12)
    np.testing.assert_array_equal(explained.coefficients[1:3], 0.0)
    np.testing.assert_allclose(explained.intercepts[1:3], y[1:3].mean(axis=1), rtol=1e-12)


def test_a_constant_feature_has_no_coefficient():
    block = drawn(9)
    x, queries = np.insert(block.context.x, 1, 4.2, axis=2), np.insert(block.queries, 1, 9, axis=2)
    padded = Block(Examples(x, block.context.y), queries)

    explained = explain(smoother_of(MODEL, padded)[0])

    np.testing.assert_array_equal(explained.coefficients[:, 1], 0.0)
    kept = explain(smoother_of(MODEL, block)[0])
    np.testing.assert_allclose(explained.coefficients[:, [0, 2, 3]], kept.coefficients, rtol=1e-9)


@pytest.mark.parametrize("exponent", [-140, 0, 140])
def test_coefficients_hold_in_units_whose_squares_do_not_fit_a_double(exponent):
    block = drawn(10)
    unit = 10.0**exponent
    scaled = Block(Examples(block.context.x * unit, block.context.y * 1e3), block.queries * unit)

    plane = explain(smoother_of(MODEL, scaled)[0])

    expected = explain(smoother_of(MODEL, block)[0]).coefficients * (1e3 / unit)
    np.testing.assert_allclose(plane.coefficients, expected, rtol=1e-9)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_papers_answer_is_weighted_labels_and_a_plane(seed, centred):
    block = drawn(seed, M=9)
    model = PaperModel(np.diag([2.0, 1.0, 0.5]), 0.3, centred=centred)
    A = model.weights(8 if centred else 9)
    answers = model.answer(block).predictions

    explained = explain(paper_smoother(block, A, centred))

    sums = (explained.weights @ block.context.y[..., None])[..., 0]
    plane = (block.queries @ explained.coefficients[..., None])[..., 0]
    np.testing.assert_allclose(sums, answers, rtol=1e-9)
    np.testing.assert_allclose(explained.intercepts[:, None] + plane, answers, rtol=1e-9)
    if centred:
        np.testing.assert_allclose(explained.weights.sum(axis=2), 1.0, rtol=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_the_papers_summary_has_the_coefficients_of_its_rows(centred):
    block = drawn(11, B=1)
    A = PaperModel(np.eye(3)).weights(11)

    sums = explain(paper_smoother(summarised(block), A, centred))

    rows = explain(paper_smoother(block, A, centred))
    np.testing.assert_allclose(sums.coefficients, rows.coefficients, rtol=1e-9)
    np.testing.assert_allclose(sums.intercepts, rows.intercepts, rtol=1e-9, atol=1e-9)


def profile(seed, centred, B=5, M=10, d=3, Q=2):
    """A profile's smoother with any positive P, and its answer to any labels, in plain steps."""
    rng = np.random.default_rng(seed)
    p = d if centred else d + 1
    x, queries = rng.normal(3, 2, (B, M, d)), rng.normal(3, 2, (B, Q, d))
    y = rng.normal(50, 9, (B, M))
    mu, s, m_y, s_y = rng.normal(3, 1, d), rng.uniform(0.5, 4, d), 47.0, 8.0
    m, root = rng.normal(size=p), rng.normal(size=(B, p, p))
    P = 0.01 * root @ root.mT
    centre = x.mean(1) if centred else np.broadcast_to(mu, (B, d))
    ones = np.ones((B, M + Q, 0 if centred else 1))
    rows = np.concatenate([ones, (np.concatenate([x, queries], 1) - centre[:, None]) / s], axis=2)
    u, v = rows[:, :M], rows[:, M:]

    def answer(labels):
        origin = labels.mean(1) if centred else np.full(B, m_y)
        r = (labels - origin[:, None]) / s_y
        w = m + np.einsum("bij,bmj,bm->bi", P, u, r - u @ m)
        return origin[:, None] + s_y * np.einsum("bqi,bi->bq", v, w)

    origin = y.mean(1) if centred else np.full(B, m_y)
    r = (y - origin[:, None]) / s_y
    smoother = Smoother(
        *(M, centred, P, u.mT @ u, (r[:, None] @ u)[:, 0], (r * r).sum(1), v, origin),
        *(np.full(B, s_y), centre, np.broadcast_to(s, (B, d)), m, u, r),
    )
    return smoother, Block(Examples(x, y), queries), answer


@pytest.mark.parametrize("centred", [True, False], ids=["centred", "with an intercept"])
def test_a_profiles_answer_is_its_share_and_the_weighted_labels(centred):
    smoother, block, answer = profile(0, centred)
    expected = answer(block.context.y)

    explained = explain(smoother)

    sums = (explained.weights @ block.context.y[..., None])[..., 0]
    plane = (block.queries @ explained.coefficients[..., None])[..., 0]
    np.testing.assert_allclose(sums + explained.profile_shares, expected, rtol=1e-9)
    np.testing.assert_allclose(explained.intercepts[:, None] + plane, expected, rtol=1e-9)
    assert np.abs(explained.profile_shares).min() > 1e-3


@pytest.mark.parametrize("centred", [True, False], ids=["centred", "with an intercept"])
def test_a_profiles_weights_are_derivatives_and_its_share_needs_no_labels(centred):
    """The label unit s_y is held; a centred share then does not move with the labels at all."""
    smoother, block, answer = profile(1, centred)
    explained = explain(smoother)
    y = block.context.y

    for example in range(block.example_count):
        step = y.copy()
        step[:, example] += 1.0
        moved = answer(step) - answer(y)
        np.testing.assert_allclose(moved, explained.weights[:, :, example], rtol=0, atol=1e-9)
    np.testing.assert_allclose(answer(0 * y), explained.profile_shares, rtol=1e-9, atol=1e-9)
