"""The profile model: equal to its tokens, exact in the limit, one form for all ways in."""

import numpy as np
import pytest

from model.answer import Mode, Solver
from model.coordinates import ALL
from model.explain import explain
from model.history import Group, History
from model.layers import Layers, effective_inverse
from model.packing import pack, unpack
from model.profile import ProfileModel, ProfileParameters
from model.profile_fit import fit, layer_steps
from model.prompt import Block, Examples
from model.tokens import deep_prediction
from tests.model.profiles import (
    EXACT,
    FOUNDATION,
    asked,
    history,
    learnt,
    moved,
    posterior,
    summarised,
    working,
)

ONE_PASS = np.inf  # a bound that every stage meets


def model(kind="intercept", bound=0.05, layer_count=4):
    parameters = learnt(kind, layer_count)
    return ProfileModel(parameters, fallback=FOUNDATION, correction_bound=bound)


def token_change(X, bucket):
    """Return T (p, p), which frees the slopes of the intercept, from the whole matrix."""
    T = np.eye(X.shape[1])
    if bucket.coordinates == "intercept":
        H = X.T @ X / bucket.noise_variance + np.linalg.inv(bucket.prior_covariance)
        T[0, 1:] = -H[0, 1:] / H[0, 0]
    return T


@pytest.mark.parametrize("layer_count", [4, 8])
@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("B", [1, 2])
def test_one_pass_equals_the_network_token_by_token(kind, layer_count, B):
    block, _ = asked(1, B=B)
    bucket = learnt(kind, layer_count).bucket(16)

    answer = model(kind, ONE_PASS, layer_count).answer(block)

    X, r, v, origin, unit = working(block, bucket)
    m, sigma = bucket.prior_mean, np.sqrt(bucket.noise_variance)
    TC = token_change(X, bucket) @ bucket.whitening(16)
    precision = np.linalg.inv(bucket.prior_covariance)
    D = np.diag(1.0 / np.sqrt(np.diag(TC.T @ (X.T @ X / sigma**2 + precision) @ TC)))
    prior = np.linalg.cholesky(precision).T @ TC @ D
    left = (r - X @ m) / sigma
    steps = layer_steps(layer_count)
    learned = [deep_prediction(X @ TC @ D / sigma, left, q @ TC @ D, prior, steps) for q in v]
    np.testing.assert_allclose(answer.predictions[0], origin + unit * (v @ m + learned), rtol=1e-10)
    assert set(answer.solvers) == {Solver.K1}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("M", [4, 16, 50])
def test_the_exact_stage_is_the_posterior_mean_and_covariance(kind, M):
    block, _ = asked(2, B=2, M=M)
    exact = model(kind, EXACT)
    bucket = learnt(kind).bucket(M)

    answer, smoother = exact.answer(block), exact.smoother(block)

    expected, B = posterior(block, bucket)
    assert set(answer.solvers) == {Solver.EXACT}
    np.testing.assert_allclose(answer.predictions[0], expected, rtol=1e-10)
    np.testing.assert_allclose(exact.exact(block)[0], expected, rtol=1e-10)
    noise = bucket.noise_variance
    np.testing.assert_allclose(noise * smoother.inverse[0], B, atol=1e-10 * np.abs(B).max())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("bound", [EXACT, 0.001, 0.05])
def test_one_prompt_alone_is_answered_as_among_many(kind, bound):
    served = model(kind, bound)
    block, _ = asked(3, B=40)

    together = served.answer(block)

    x, y = block.context
    for b in range(40):
        alone = served.answer(Block(Examples(x[b : b + 1], y[b : b + 1]), block.queries[b : b + 1]))
        np.testing.assert_allclose(alone.predictions[0], together.predictions[b], rtol=1e-12)
        assert alone.solvers[0] == together.solvers[b]
    assert set(together.modes) == {Mode.PROFILE}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("by", [10.0, 1e5])
def test_one_prompt_alone_keeps_its_digits_far_from_0(kind, by):
    served = ProfileModel(learnt(kind, by=by), correction_bound=ONE_PASS)
    block, _ = asked(3, B=40)
    (x, y), queries = moved(by, *block.context), moved(by, block.queries, 0.0)[0]

    together = served.answer(Block(Examples(x, y), queries)).predictions

    solve = served.alone(16, 3)
    for prompt, expected in zip(zip(x, y, queries, strict=True), together, strict=True):
        np.testing.assert_allclose(solve(*prompt)[0], expected, rtol=0.0, atol=1e-12 + 1e-13 * by)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("apart", [1.0, 1e3, 1e6])
def test_one_prompt_alone_keeps_its_digits_where_prompts_lie_far_apart(kind, apart):
    rng = np.random.default_rng(0)
    groups = [
        Group(group.name, moved(apart * rng.normal(), group.x, 0.0)[0], group.y)
        for group in history().groups
    ]
    served = ProfileModel(fit(History(tuple(groups), False), coordinates=kind))
    block, _ = asked(3, B=40)
    (x, y), by = block.context, apart * rng.normal(size=(40, 1, 1))
    x, queries = moved(by, x, 0.0)[0], moved(by, block.queries, 0.0)[0]

    together = served.answer(Block(Examples(x, y), queries)).predictions

    solve, answered = served.alone(16, 3), 0
    for prompt, expected in zip(zip(x, y, queries, strict=True), together, strict=True):
        if found := solve(*prompt):
            answered += 1
            np.testing.assert_allclose(found[0], expected, atol=1e-8 + 1e-12 * apart)
    assert answered > 30


@pytest.mark.parametrize("kind", ALL)
def test_a_summary_is_answered_as_its_rows(kind):
    block, _ = asked(4, B=5)

    answers = model(kind).answer(block).predictions

    np.testing.assert_allclose(
        model(kind).answer(summarised(block)).predictions, answers, rtol=1e-9
    )


@pytest.mark.parametrize("kind", ALL)
def test_neither_the_order_of_examples_nor_other_queries_matter(kind):
    block, _ = asked(5, Q=4)
    (x, y), served = block.context, model(kind, ONE_PASS)
    order = np.random.default_rng(0).permutation(16)

    shuffled = served.answer(Block(Examples(x[:, order], y[:, order]), block.queries))
    single = served.answer(block._replace(queries=block.queries[:, 2:3]))

    answers = served.answer(block).predictions
    np.testing.assert_allclose(shuffled.predictions, answers, rtol=1e-12)
    np.testing.assert_allclose(single.predictions, answers[:, 2:3], rtol=1e-12)


def test_many_queries_are_answered_as_a_few():
    block, _ = asked(6, Q=100)

    answers = model(bound=ONE_PASS).answer(block).predictions

    few = model(bound=ONE_PASS).answer(block._replace(queries=block.queries[:, :5])).predictions
    np.testing.assert_allclose(answers[:, :5], few, rtol=1e-12)


# (layers, n, p): each takes another number of products of matrices (`layers.SPARED`)
PASSES = [
    *((4, 4, 5), (4, 2, 33), (4, 2, 65), (4, 17, 65), (4, 2, 129), (4, 2, 257)),
    *((8, 4, 5), (8, 2, 129)),
]


def passed(n, p, count=1):
    """Return S (count, p, p) and rows (count, n, p)."""
    rng = np.random.default_rng(7)
    u = rng.normal(size=(count, 6 * p, p)) * np.geomspace(1.0, 8.0, p)
    S = u.mT @ u
    return S / np.linalg.norm(S, axis=(1, 2), keepdims=True), rng.normal(size=(count, n, p))


@pytest.mark.parametrize(("layer_count", "n", "p"), PASSES)
def test_a_pass_of_rows_is_the_layers_matrix(layer_count, n, p):
    ((S,), (rows,)), steps = passed(n, p), layer_steps(layer_count)

    answered, left = Layers(steps, p).once(S, rows)

    P = effective_inverse(S[None], steps)[0]
    np.testing.assert_allclose(answered, rows @ P, atol=1e-10 * np.abs(P).max())
    np.testing.assert_allclose(left, rows - rows @ P @ S, atol=1e-10)


@pytest.mark.parametrize(("layer_count", "n", "p"), PASSES)
def test_a_pass_of_several_prompts_is_that_of_each_to_the_bit(layer_count, n, p):
    S, rows = passed(n, p, count=3)
    steps = layer_steps(layer_count)

    layers = Layers(steps, p)
    answered, left = layers.once(S, rows, np.matmul)

    for place in range(3):
        alone = layers.once(S[place], rows[place])
        assert np.array_equal(answered[place], alone[0])
        assert np.array_equal(left[place], alone[1])


def test_every_way_through_the_layers_is_tried():
    ways = [Layers(layer_steps(4), p).way(n) for layers, n, p in PASSES if layers == 4]
    ends = {(len(way.formed), way.turn is None) for way in ways}
    assert ends == {(2, False), (1, False), (0, False), (0, True)}


def test_looping_the_layers_without_end_is_the_exact_solve():
    rng = np.random.default_rng(8)
    u = rng.normal(size=(30, 4))
    S, rows, total = u.T @ u / np.linalg.norm(u.T @ u), np.eye(4), np.zeros((4, 4))

    layers = Layers(layer_steps(4), 4)
    for _ in range(60):
        more, rows = layers.once(S, rows)
        total += more

    np.testing.assert_allclose(total, np.linalg.inv(S), rtol=1e-8)


def test_more_passes_come_nearer_to_the_exact_answer():
    block, _ = asked(9, B=200)
    exact = model().exact(block)
    stages = {}

    for bound in (ONE_PASS, 0.05, 0.003, 0.0003):
        answer = model(bound=bound).answer(block)
        stages[bound] = np.abs(answer.predictions - exact).max()

    assert list(stages.values()) == sorted(stages.values(), reverse=True)
    assert stages[0.0003] < 0.01 * stages[ONE_PASS]


@pytest.mark.parametrize("kind", ALL)
def test_weights_and_coefficients_reproduce_the_answer(kind):
    block, _ = asked(10, B=6)
    served = model(kind, ONE_PASS)

    told = explain(served.smoother(block))

    answers = served.answer(block).predictions
    plane = told.intercepts[:, None] + (block.queries @ told.coefficients[..., None])[..., 0]
    summed = (told.weights @ block.context.y[..., None])[..., 0] + told.profile_shares
    np.testing.assert_allclose(plane, answers, rtol=1e-9)
    np.testing.assert_allclose(summed, answers, rtol=1e-9)


@pytest.mark.parametrize(("kind", "bound"), [("intercept", ONE_PASS), ("centred", EXACT)])
def test_the_known_risk_is_the_mean_squared_error_over_tasks_of_the_prior(kind, bound):
    served, rng = model(kind, bound), np.random.default_rng(11)
    block, _ = asked(11, M=8, Q=2)
    bucket = learnt(kind).bucket(8)
    X, _, v, _, _ = working(block, bucket)
    scale = bucket.units.label_scale if kind == "intercept" else bucket.units.label_variance**0.5
    base = bucket.units.label_mean
    w = rng.multivariate_normal(bucket.prior_mean, bucket.prior_covariance, 20_000)
    noise = np.sqrt(bucket.noise_variance) * rng.normal(size=(20_000, 10))
    y = base + scale * (w @ np.vstack([X, v]).T + noise)  # (20000, M + Q)
    many = Examples(np.repeat(block.context.x, len(w), 0), y[:, :8])

    risk = served.risk(block)

    answers = served.answer(Block(many, np.repeat(block.queries, len(w), 0))).predictions
    squares = (answers - y[:, 8:]) ** 2
    standard_error = squares.std(axis=0) / np.sqrt(len(w))
    assert (np.abs(squares.mean(axis=0) - risk[0]) < 4.0 * standard_error).all()


def test_stored_parameters_answer_to_the_last_bit():
    parameters = learnt()
    block, _ = asked(13, B=3)

    again = unpack(ProfileParameters, pack(parameters))

    first, second = (ProfileModel(p).answer(block).predictions for p in (parameters, again))
    np.testing.assert_array_equal(second, first)
