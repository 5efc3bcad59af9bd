"""The closed-form layer against the paper's theorem, published values and Monte Carlo."""

import tracemalloc

import numpy as np
import pytest

from model.answer import Caution, Mode
from model.moments import Sums
from model.paper import PaperModel, predict
from model.prompt import Block, Examples
from model.tokens import paper_prediction

COVARIANCE = np.array([[2.0, 0.5], [0.5, 1.0]])


def block(x, y, queries):
    return Block(Examples(x[None], y[None]), queries[None])


def test_the_weights_are_the_papers_gamma_inverse():
    N = 10
    gamma = (1 + 1 / N) * COVARIANCE + np.trace(COVARIANCE) / N * np.eye(2)

    weights = PaperModel(COVARIANCE).weights(N)

    np.testing.assert_allclose(weights, np.linalg.inv(gamma), rtol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
def test_the_model_answers_like_the_papers_matrix_token_by_token(centred):
    rng = np.random.default_rng(9)
    x, y, queries = rng.normal(2, 1, (12, 2)), rng.normal(5, 2, 12), rng.normal(2, 1, (3, 2))
    model = PaperModel(COVARIANCE, 0.1, centred=centred)

    answers = model.answer(block(x, y, queries)).predictions[0]

    centre, mean, terms = (x.mean(0), y.mean(), 11) if centred else (0.0, 0.0, 12)
    A = model.weights(terms) * 12 / terms  # the matrix divides by its 12 columns
    tokens = [mean + paper_prediction(x - centre, y - mean, q - centre, A) for q in queries]
    np.testing.assert_allclose(answers, tokens, rtol=1e-12)


def test_the_published_example_is_reproduced():
    x, y = np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 2, 3])

    A = PaperModel(COVARIANCE, noise_variance=0.5).weights(10)

    np.testing.assert_allclose(A[0], [0.427098674521, -0.162002945508], rtol=1e-9)
    assert A[1, 1] == pytest.approx(0.751104565538, rel=1e-9)
    answer = predict(A, x[None], y[None], np.array([[[1.0, -1.0]]]))
    assert answer[0, 0] == pytest.approx(-0.736377025037, rel=1e-9)


@pytest.mark.slow
def test_the_error_is_that_of_theorem_4_2():
    """E(ŷ-y_q)² = σ² + tr(ΣΓ⁻²Λ)/M + [‖a‖²_{Γ⁻²Λ³} + 2trΛ‖a‖²_{Γ⁻²Λ²} + (trΛ)²‖a‖²_{Γ⁻²Λ}]/N²."""
    rng = np.random.default_rng(3)
    d, N, M, draws, sigma = 3, 20, 40, 60_000, 0.3
    values = np.array([2.0, 1.0, 0.5])
    cov = np.diag(values)
    a = np.array([1.0, -0.5, 0.8])
    gamma = (1 + 1 / N) * cov + values.sum() / N * np.eye(d)
    A = np.linalg.inv(gamma)
    noise = sigma**2 * cov
    second = cov * (a @ cov @ a) + cov @ np.outer(a, a) @ cov  # Cov(x xᵀa) of a Gaussian
    B = A @ A
    norms = [a @ (B @ np.linalg.matrix_power(cov, k)) @ a for k in (3, 2, 1)]
    bias = (norms[0] + 2 * values.sum() * norms[1] + values.sum() ** 2 * norms[2]) / N**2
    theory = sigma**2 + np.trace((second + noise) @ B @ cov) / M + bias

    x = rng.normal(size=(draws, M + 1, d)) * np.sqrt(values)
    y = x @ a + sigma * rng.normal(size=(draws, M + 1))
    model = PaperModel(cov, centred=False)
    answers = predict(model.weights(N), x[:, :M], y[:, :M], x[:, M:])[:, 0]
    squared = (answers - y[:, M]) ** 2

    standard_error = squared.std() / np.sqrt(draws)
    assert abs(squared.mean() - theory) < 4 * standard_error
    assert standard_error < 0.02 * theory


def test_a_centred_model_ignores_where_features_and_labels_are_measured_from():
    rng = np.random.default_rng(4)
    x, y, queries = rng.normal(size=(12, 2)), rng.normal(size=12), rng.normal(size=(3, 2))
    model = PaperModel(COVARIANCE, 0.1)

    moved = model.answer(block(x + 50.0, y - 7.0, queries + 50.0)).predictions

    np.testing.assert_allclose(moved + 7.0, model.answer(block(x, y, queries)).predictions)


def test_a_centred_model_uses_the_weights_of_one_example_less():
    rng = np.random.default_rng(5)
    x, y, query = rng.normal(size=(9, 2)), rng.normal(size=9), rng.normal(size=(1, 2))
    model = PaperModel(COVARIANCE, 0.1)

    answer = model.answer(block(x, y, query)).predictions[0, 0]

    u, r = x - x.mean(0), y - y.mean()
    naive = y.mean() + (query[0] - x.mean(0)) @ model.weights(8) @ (r @ u / 8)
    assert answer == pytest.approx(naive, rel=1e-12)


@pytest.mark.parametrize("centred", [True, False])
def test_a_summary_answers_like_its_rows(centred):
    rng = np.random.default_rng(6)
    x, y, queries = rng.normal(2, 1, (20, 2)), rng.normal(5, 1, 20), rng.normal(2, 1, (3, 2))
    model = PaperModel(COVARIANCE, 0.1, centred=centred)
    moments = Sums.from_rows(x, y, np.zeros(2), 0.0).centred()

    answer = model.answer(Block(moments, queries[None])).predictions

    np.testing.assert_allclose(answer, model.answer(block(x, y, queries)).predictions, rtol=1e-9)


def test_a_summary_without_second_moments_is_answered_with_a_warning():
    rng = np.random.default_rng(7)
    x, y, queries = rng.normal(size=(20, 2)), rng.normal(size=20), rng.normal(size=(1, 2))
    sums = Sums.from_rows(x, y, np.zeros(2), 0.0)
    bare = Sums(20, sums.origin, 0.0, sums.feature_sums, None, sums.label_products,
                sums.label_sum, sums.label_square_sum)  # fmt: skip
    model = PaperModel(COVARIANCE)

    answer = model.answer(Block(bare.centred(), queries[None]))

    np.testing.assert_allclose(
        answer.predictions, model.answer(block(x, y, queries)).predictions, rtol=1e-9
    )
    assert [w.caution for w in answer.warned] == [Caution.SUMMARY_INCOMPLETE]


def test_an_answer_beyond_a_double_is_refused_and_its_neighbour_is_not():
    x = np.random.default_rng(8).normal(size=(2, 8, 2))
    x[1] *= 1e200
    y = np.ones((2, 8)) * np.arange(8) * np.array([[1.0], [1e200]])

    with np.errstate(all="ignore"):  # as the server computes
        answer = PaperModel(COVARIANCE).answer(Block(Examples(x, y), x[:, :1]))

    assert [(i, r.reason) for i, r in answer.refusals] == [(1, "NUMERIC_OVERFLOW")]
    assert list(answer.modes) == [Mode.PAPER, 0]
    assert np.isfinite(answer.predictions[0]).all()
    assert np.isnan(answer.predictions[1]).all()


@pytest.mark.parametrize("centred", [True, False])
def test_a_summary_may_tell_of_more_examples_than_any_memory_holds(centred):
    """Sums of 2^53 examples are one request of a hundred bytes."""
    moments = Sums(2**53, np.zeros(2), 0.0, np.zeros(2), 2.0**53 * COVARIANCE, np.ones(2), 0.0, 9.0)
    model = PaperModel(COVARIANCE, centred=centred)

    answer = model.answer(Block(moments.centred(), np.ones((1, 1, 2))))

    assert np.isfinite(answer.predictions).all()


@pytest.mark.slow
def test_what_is_kept_of_long_prompts_is_bounded():
    """Callers choose lengths: nothing as long as the prompt stays behind."""
    model, x = PaperModel(np.eye(1)), np.random.default_rng(0).normal(size=(30_064, 1))
    tracemalloc.start()
    for M in range(30_000, 30_064):
        model.answer(block(x[:M], x[:M, 0], x[:1]))
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept_bytes < 2**20
