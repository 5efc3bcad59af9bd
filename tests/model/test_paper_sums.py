"""The layer with weights of recorded sums: A is not symmetric, on any law, at every length."""

from dataclasses import replace

import numpy as np
import pytest

from bench.drift_worlds import NOISE_VARIANCE, draw, optimum, world
from model.estimator import Estimator
from model.paper import PaperModel
from model.paper_weights import EmpiricalSums, Law
from model.prompt import Block, Examples
from model.support import Wanted
from tests.model.profiles import summarised

MIX = np.array([[1.0, 0.8, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.2]])


def recorded(x):
    """Return E[S], Ū and F̄ of rows x (n, M, d), by the formulas."""
    M = x.shape[1]
    S = x.mT @ x / M
    F = np.stack([sum(u @ u * np.outer(u, u) for u in rows) / M for rows in x])
    U = (M * S @ S - F) / (M - 1)
    return S.mean(0), U.mean(0), F.mean(0)


def mixed(seed, n, M, d=3, spread=0.6):
    """Return rows (n, M, d) of prompts that differ in scale, so that E[S²] is far from E[S]²."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, M, d)) @ MIX[:d, :d] * np.exp(spread * rng.normal(size=(n, 1, 1)))


def naive(sums, noise, task, length):
    """Return A_M as it is written, without any care."""
    mean, products, fourth = sums
    square = (1 - 1 / length) * products + fourth / length
    return mean @ np.linalg.inv(square + noise / (task * length) * mean)


def two_laws(seed, n, M):
    """Return rows (n, M, 3) of two kinds of prompts, whose sums have no directions in common."""
    rng = np.random.default_rng(seed)
    roots = [np.diag([0.5, 0.5, 1.0]), [[2.0, 2.0, 0.0], [-0.5, 0.5, 0.5], [0.0, 0.5, 0.5]]]
    scale = np.exp(0.4 * rng.normal(size=(n, 1, 1)))
    return scale * rng.normal(size=(n, M, 3)) @ np.array(roots)[rng.integers(2, size=n)]


SUMS = recorded(two_laws(0, 400, 12))
MODELS = {c: PaperModel.from_sums(*SUMS, 0.3, 2.0, centred=c) for c in (True, False)}


def asked(seed, B, M=9, Q=4, wide=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(2.0, 1.0, (B, M, 3)) @ MIX
    queries = 2.0 * MIX.sum(0) + wide * rng.normal(size=(B, Q, 3))
    return Block(Examples(x, rng.normal(5.0, 2.0, (B, M))), queries)


def expected(model, block):
    """Return ŷ = vᵀA g of every query by itself, means taken off where the model is centred."""
    x, y = block.context
    answers = np.empty(block.queries.shape[:2])
    terms = x.shape[1] - model.centred
    A = naive(SUMS, 0.3, 2.0, terms)
    for b, q in np.ndindex(answers.shape):
        centre, mean = (x[b].mean(0), y[b].mean()) if model.centred else (np.zeros(3), 0.0)
        g = sum((y[b, i] - mean) * (x[b, i] - centre) for i in range(x.shape[1])) / terms
        answers[b, q] = mean + (block.queries[b, q] - centre) @ A @ g
    return answers


def bare(block):
    """Return the summary of one prompt without its second moments."""
    moments = summarised(block).context
    return Block(replace(moments, scatter=None), block.queries)


PATHS = {
    "one prompt of rows": (asked(1, 1, wide=0.3), lambda block: block),
    "one prompt with far queries": (asked(2, 1, wide=40.0), lambda block: block),
    "a batch of rows": (asked(3, 7), lambda block: block),
    "a summary": (asked(4, 1), summarised),
    "a summary without second moments": (asked(5, 1), bare),
}


def test_these_weights_are_far_from_symmetric():
    A = MODELS[True].weights(8)

    assert np.abs(A - A.T).max() > 0.2 * np.abs(A).max()
    np.testing.assert_allclose(A, naive(SUMS, 0.3, 2.0, 8), rtol=1e-10)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(("block", "sent"), PATHS.values(), ids=PATHS)
def test_every_path_answers_as_the_formula_query_by_query(block, sent, centred):
    model = MODELS[centred]
    answers = model.answer(sent(block)).predictions

    np.testing.assert_allclose(answers, expected(model, block), rtol=1e-9)


def test_the_short_way_of_one_prompt_is_taken_and_is_the_long_way():
    block, model = asked(1, 1, wide=0.3), MODELS[True]
    (x, y), queries = block.context, block.queries
    short = model.alone(x.shape[1], queries.shape[1])(x[0], y[0], queries[0])

    assert short is not None
    np.testing.assert_allclose(short[0], model._from_rows(block, x, y).predictions[0], rtol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("sent", [lambda block: block, summarised], ids=["rows", "summary"])
def test_what_stands_beside_an_answer_is_of_that_answer(sent, centred):
    model, block = MODELS[centred], asked(6, 1, M=24)
    given = sent(block)
    wanted = Wanted((0.8,), explanation=True)
    supported, estimator = model.support(given, wanted), model.estimator(given)
    explained, wants = supported.explanation, expected(model, block)
    plane = (block.queries @ explained.coefficients[..., None])[..., 0]

    assert isinstance(estimator, Estimator)
    np.testing.assert_allclose(supported.answer.predictions, wants, rtol=1e-9)
    np.testing.assert_allclose(estimator.smoother.predictions, wants, rtol=1e-9)
    np.testing.assert_allclose(explained.intercepts[:, None] + plane, wants, rtol=1e-9)
    if explained.weights is not None:
        weighed = (explained.weights @ block.context.y[..., None])[..., 0]
        np.testing.assert_allclose(weighed, wants, rtol=1e-9)
        u = block.context.x[0] - centred * block.context.x[0].mean(0)
        v = block.queries[0] - centred * block.context.x[0].mean(0)
        terms = 24 - centred
        attention = v @ naive(SUMS, 0.3, 2.0, terms) @ u.T / terms
        attention += centred * (1 / 24 - attention.mean(1, keepdims=True))
        np.testing.assert_allclose(explained.weights[0], attention, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
def test_intervals_are_those_of_the_law_whatever_the_symmetry(centred):
    """s_q² = mean score² · (‖GPᵀv - v‖² + σ²/τ² (vᵀPGPᵀv + 1 + centred/M)), by the formula."""
    model, block, M = MODELS[centred], asked(7, 1, M=24, Q=2), 24
    intervals = model.support(block, Wanted((0.8,))).intervals
    x, y = block.context
    centre, mean = (x[0].mean(0), y[0].mean()) if centred else (np.zeros(3), 0.0)
    u, r, v = x[0] - centre, y[0] - mean, block.queries[0] - centre

    def risk(query, rows, terms, share):
        A = naive(SUMS, 0.3, 2.0, M - centred)
        k = A.T @ query / terms
        G = rows.T @ rows
        return np.sum((G @ k - query) ** 2) + 0.15 * (k @ G @ k + 1.0 + share)

    scores = []
    for i in range(M):
        kept, known = np.delete(x[0], i, 0), np.delete(y[0], i)
        c, m = (kept.mean(0), known.mean()) if centred else (np.zeros(3), 0.0)
        rows, query, terms = kept - c, x[0, i] - c, M - 1 - centred
        A = naive(SUMS, 0.3, 2.0, M - centred)
        error = y[0, i] - m - query @ A @ ((known - m) @ rows / terms)
        share = 1 / (M - 1) if centred else 0.0
        scores.append(error**2 / risk(query, rows, terms, share))
    wants = [np.sqrt(np.mean(scores) * risk(q, u, M - centred, centred / M)) for q in v]

    np.testing.assert_allclose(intervals.standard_errors[0], wants, rtol=1e-9)
    assert r.shape == (M,)


@pytest.mark.slow
def test_the_sums_of_short_prompts_make_the_squares_of_long_ones():
    sums = EmpiricalSums(*recorded(two_laws(1, 20_000, 10)), 0.5, 1.0)
    x = two_laws(2, 20_000, 40)
    S = x.mT @ x / 40
    direct = S.mean(0) @ np.linalg.inv((S @ S).mean(0) + 0.5 / 40 * S.mean(0))

    np.testing.assert_allclose(sums.weights(40), direct, rtol=0.03, atol=0.01)
    assert np.abs(sums.weights(10) - direct).max() > 0.05


def excess(A, mean, square, second_moment):
    """Return tr Q - 2 tr(Q A E[S]) + tr(Q A E[S²] Aᵀ), what an answer errs beyond its noise."""
    explained = second_moment @ A @ (2.0 * mean - square @ A.T)
    return np.trace(second_moment) - np.trace(explained)


def truth(rows, ratio):
    """Return E[S], E[S²] + σ²/(τ²M) E[S] and the second moment of a query, of many prompts."""
    M, d = rows.shape[1:]
    S = rows.mT @ rows / M
    flat = rows.reshape(-1, d)
    return S.mean(0), (S @ S).mean(0) + ratio / M * S.mean(0), flat.T @ flat / len(flat)


@pytest.mark.slow
@pytest.mark.parametrize("d", [5, 20])
def test_on_a_mixed_world_it_is_the_best_single_layer_and_the_normal_law_is_not(d):
    law, rng = world(d, is_mixed=True), np.random.default_rng(5)
    ratio = NOISE_VARIANCE / law.task_variance
    sums = recorded(draw(law, "quiet", 1000, 40, rng).x)
    of_sums = EmpiricalSums(*sums, NOISE_VARIANCE, law.task_variance).weights(40)
    of_law = Law(sums[0], NOISE_VARIANCE, law.task_variance).weights(40)
    judge = truth(draw(law, "quiet", 8000, 40, rng).x, ratio)
    best = excess(optimum(law, 40), *judge)

    assert excess(of_sums, *judge) < 1.02 * best
    assert excess(of_law, *judge) > 1.15 * best


@pytest.mark.slow
def test_on_a_normal_law_it_tends_to_the_papers_weights():
    rng, off = np.random.default_rng(6), {}
    covariance = MIX.T @ MIX
    for n in (50, 800, 12_800):
        sums = EmpiricalSums(*recorded(rng.normal(size=(n, 20, 3)) @ MIX), 0.4, 1.5)
        wanted = [Law(covariance, 0.4, 1.5).weights(M) for M in (8, 20, 200)]
        gaps = [np.abs(sums.weights(M) - A).max() / np.abs(A).max()
                for M, A in zip((8, 20, 200), wanted, strict=True)]  # fmt: skip
        off[n] = max(gaps)

    assert off[12_800] < 0.03
    assert off[50] > 2.0 * off[800] > 4.0 * off[12_800]


def test_few_short_prompts_do_not_spoil_the_weights_of_long_ones():
    """Of 20 prompts Ū falls below E[S]², which no law can; as written, A errs twice as much."""
    law, rng = world(20, is_mixed=False), np.random.default_rng(7)
    S, ratio = law.root @ law.root, NOISE_VARIANCE / law.task_variance
    square = (1 + 1 / 640) * S @ S + (np.trace(S) + ratio) / 640 * S
    ours, as_written = [], []
    for _ in range(5):
        sums = recorded(draw(law, "quiet", 20, 40, rng).x)
        A = EmpiricalSums(*sums, NOISE_VARIANCE, law.task_variance).weights(640)
        ours.append(excess(A, S, square, S))
        A = naive(sums, NOISE_VARIANCE, law.task_variance, 640)
        as_written.append(excess(A, S, square, S))

    assert np.mean(ours) < 0.65 * np.mean(as_written)


def test_sums_that_no_long_prompt_could_have_give_weights_nevertheless():
    mean, products, fourth = recorded(mixed(8, 6, 7))
    lowest = products - 3.0 * np.eye(3) * np.abs(products).max()  # as if far too few were seen

    for length in (1, 5, 1000, 10**9):
        A = EmpiricalSums(mean, lowest, fourth, 0.1).weights(length)
        assert np.isfinite(A).all()
        assert np.linalg.eigvals(A).real.min() > 0.0


def test_a_feature_that_never_varied_gets_no_weight_and_changes_no_other():
    x = mixed(9, 200, 12)
    still = np.concatenate([x[..., :1], np.zeros((200, 12, 1)), x[..., 1:]], axis=2)
    A, alone = EmpiricalSums(*recorded(still), 0.3).weights(15), EmpiricalSums(*recorded(x), 0.3)

    np.testing.assert_allclose(np.delete(np.delete(A, 1, 0), 1, 1), alone.weights(15), rtol=1e-9)
    assert np.abs(A[1]).max() < 1e-14 and np.abs(A[:, 1]).max() < 1e-14


def test_features_that_repeat_others_share_their_weight():
    x = two_laws(10, 400, 12)
    mean, products, fourth = recorded(x @ np.array([[1.0, 0, 0, 1], [0, 1, 0, -2], [0, 0, 1, 0.5]]))
    square = products + (fourth - products + 0.3 * mean) / 15
    wanted = mean @ np.linalg.pinv(square, rcond=1e-12, hermitian=True)

    A = EmpiricalSums(mean, products, fourth, 0.3).weights(15)
    np.testing.assert_allclose(A, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_features_cancels(unit):
    mean, products, fourth = SUMS
    scaled = EmpiricalSums(unit**2 * mean, unit**4 * products, unit**4 * fourth, 0.3 * unit**2)

    wanted = EmpiricalSums(mean, products, fourth, 0.3).weights(9) / unit**2
    np.testing.assert_allclose(scaled.weights(9), wanted, rtol=1e-9)


@pytest.mark.parametrize("spread", [1.0, 30.0, 1000.0])
def test_of_the_sums_that_a_normal_law_has_the_weights_are_the_papers(spread):
    """E[F] = 2Λ² + tr(Λ)Λ of a normal law, and E[U] = Λ²; features may vary a thousandfold."""
    unit = np.array([1.0, 1.0 / spread, spread])
    law = (MIX.T @ MIX + np.eye(3)) * np.outer(unit, unit)
    sums = EmpiricalSums(law, law @ law, 2.0 * law @ law + np.trace(law) * law, 0.4, 1.5)

    for length in (5, 40, 3000):
        wanted = Law(law, 0.4, 1.5).weights(length)
        np.testing.assert_allclose(
            sums.weights(length) * np.outer(unit, unit),
            wanted * np.outer(unit, unit),
            rtol=1e-6,
            atol=1e-6,
        )


EYE = np.eye(2)
NONE = {
    "no square": ((np.ones((2, 3)), EYE, EYE), "mean: expected a square matrix, got shape"),
    "no matrix": ((np.ones(2), EYE, EYE), "mean: expected a square matrix"),
    "other shapes": ((EYE, np.eye(3), EYE), "expected one shape, got several"),
    "not finite": ((EYE, EYE, EYE * np.nan), "fourth: expected finite numbers"),
    "not symmetric": ((np.array([[1.0, 0.5], [0.0, 1.0]]), EYE, EYE), "mean: expected a symmetric"),
    "negative": ((EYE, EYE, np.diag([1.0, -1.0])), "fourth: expected no negative eigenvalue"),
    "nothing": ((0.0 * EYE, EYE, EYE), "mean: expected features that vary, got none"),
}


@pytest.mark.parametrize(("sums", "sentence"), NONE.values(), ids=NONE)
def test_what_are_no_such_sums_is_refused(sums, sentence):
    with pytest.raises(ValueError, match=sentence):
        PaperModel.from_sums(*sums)


@pytest.mark.parametrize("variances", [(-1.0, 1.0), (1.0, 0.0), (np.nan, 1.0), (1.0, np.inf)])
def test_variances_that_are_none_are_refused(variances):
    for make in (lambda: PaperModel.from_sums(EYE, EYE, EYE, *variances),
                 lambda: PaperModel(EYE, *variances)):  # fmt: skip
        with pytest.raises(ValueError, match="expected 0 or more and above 0, got"):
            make()
