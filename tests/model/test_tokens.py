"""The served forms against the paper's matrices, token by token."""

import numpy as np
import pytest

from model import paper
from model.layers import effective_inverse, inverse_polynomial
from model.tokens import deep_prediction, layer, paper_prediction, token_matrix

PUBLISHED_STEPS = (
    (9.164452526083, 0.639977805715),
    (7.152432792787, -0.885085658416),
    (8.225631889518, 1.132368438038),
    (7.711047254166, 0.0),
)


@pytest.mark.parametrize(("M", "d"), [(1, 1), (3, 2), (16, 5), (64, 20)])
def test_the_served_layer_equals_the_papers_matrix(M, d):
    rng = np.random.default_rng(M * 100 + d)
    x, y = rng.normal(0.7, 2.0, (M, d)), rng.normal(1.0, 3.0, M)
    queries, A = rng.normal(size=(4, d)), rng.normal(size=(d, d))

    served = paper.predict(A, x[None], y[None], queries[None])[0]

    literal = [paper_prediction(x, y, query, A) for query in queries]
    np.testing.assert_allclose(served, literal, rtol=1e-12, atol=1e-12 * np.abs(literal).max())


def test_the_layer_is_the_papers_equation_written_out():
    rng = np.random.default_rng(0)
    M, d = 5, 3
    E = token_matrix(rng.normal(size=(M, d)), rng.normal(size=M), rng.normal(size=d))
    W_PV, W_KQ = rng.normal(size=(d + 1, d + 1)), rng.normal(size=(d + 1, d + 1))

    output = layer(E, W_PV, W_KQ, M, keys=M + 1)

    naive = E + W_PV @ E @ (E.T @ W_KQ @ E) / M
    np.testing.assert_allclose(output, naive, rtol=1e-13)


def test_a_masked_query_changes_nothing_for_the_weights_of_the_theorem():
    rng = np.random.default_rng(1)
    x, y, query = rng.normal(size=(7, 3)), rng.normal(size=7), rng.normal(size=3)
    W_PV, W_KQ = np.zeros((4, 4)), np.zeros((4, 4))
    W_PV[-1, -1], W_KQ[:3, :3] = 0.8, rng.normal(size=(3, 3))
    E = token_matrix(x, y, query)

    masked = layer(E, W_PV, W_KQ, 7, keys=7)[-1, -1]

    assert masked == pytest.approx(layer(E, W_PV, W_KQ, 7, keys=8)[-1, -1], rel=1e-13)


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize(("n", "p"), [(2, 1), (6, 3), (20, 8)])
def test_the_deep_engine_equals_its_tokens(count, n, p):
    rng = np.random.default_rng(n + p)
    steps = PUBLISHED_STEPS[:count]
    u, r, query = rng.normal(size=(n, p)), rng.normal(size=n), rng.normal(size=p)
    prior = np.sqrt(0.7) * np.eye(p)

    P = effective_inverse((u.T @ u + prior.T @ prior)[None], steps)[0]

    tokens = deep_prediction(u, r, query, prior, steps)
    assert query @ P @ (u.T @ r) == pytest.approx(tokens, rel=1e-10)


def test_the_engine_on_a_spectrum_equals_the_engine_on_matrices():
    rng = np.random.default_rng(2)
    u = rng.normal(size=(4, 30, 6)) @ np.diag([1, 2, 3, 5, 8, 13])
    gram = u.mT @ u + 0.5 * np.eye(6)
    values, vectors = np.linalg.eigh(gram)
    rho = np.linalg.norm(gram, axis=(1, 2))[:, None]

    spectral = inverse_polynomial(values / rho, PUBLISHED_STEPS) / rho

    expected = effective_inverse(gram, PUBLISHED_STEPS)
    rebuilt = (vectors * spectral[:, None]) @ vectors.mT
    np.testing.assert_allclose(rebuilt, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_the_published_residuals_and_solution_are_reproduced():
    s = np.array([0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0])
    residual = 1.0 - s * inverse_polynomial(s, PUBLISHED_STEPS)
    x, y = np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 2, 3])

    solution = effective_inverse((x.T @ x + np.eye(2))[None], PUBLISHED_STEPS)[0] @ x.T @ y

    published = [0.9681517705, 0.7158211123, 0.3375227197, 0.0019654784]
    published += [0.0028679064, -0.0216657907, 0.0328331846]
    np.testing.assert_allclose(residual, published, atol=1e-9)
    np.testing.assert_allclose(solution, [0.928676715486, 1.430738140836], rtol=1e-9)
