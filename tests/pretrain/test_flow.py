"""The exact loss of any weights, and its descent against the equations of the paper."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (README, Pretraining)")

from model.flow import CLOSE, start, step_size  # noqa: E402  what follows needs torch
from model.flow import descend as followed  # noqa: E402
from model.pretrain.flow import (  # noqa: E402
    Weights,
    descend,
    initial,
    largest_other,
    population_loss,
    product,
)
from model.pretrain.foundation import gpu_is_present  # noqa: E402
from model.tasks import Law, exponential_spectra, rotated, spectrum  # noqa: E402
from model.theory import limit, optimum, random_scale_bound, risk, scale_bound  # noqa: E402
from model.tokens import layer, token_matrix  # noqa: E402

DEVICES = ["cpu", "cuda"] if gpu_is_present() else ["cpu"]


def covariances(condition, d=5):
    return rotated(np.random.default_rng(0), spectrum(d, condition))[None]


def inside(laws, N=20):
    scale = math.sqrt(0.5) * scale_bound(laws[0], N)
    return start(np.random.default_rng(1), laws.shape[-1], scale)


def random_weights(d):
    rng = np.random.default_rng(2)
    return Weights(*(torch.tensor(0.4 * rng.standard_normal((d + 1, d + 1))) for _ in range(2)))


def test_the_loss_of_any_weights_is_that_of_simulated_prompts():
    d, N, laws = 3, 6, covariances(4.0, d=3)
    W_PV, W_KQ = random_weights(d)
    drawn = Law(laws[0]).draw(np.random.default_rng(3), 200_000, N)

    E = np.concatenate([drawn.x, drawn.y[..., None]], axis=2)
    asked = np.append(drawn.queries[:, 0], np.zeros((len(E), 1)), axis=1)
    scores = np.einsum("bni,ij,bj->bn", E, W_KQ.numpy(), asked)
    answers = np.einsum("i,bni,bn->b", W_PV.numpy()[-1], E, scores) / N
    halves = (answers - drawn.targets[:, 0]) ** 2 / 2
    error = halves.std() / math.sqrt(len(halves))

    assert error < 0.02 * halves.mean()
    theory = population_loss(Weights(W_PV, W_KQ), torch.tensor(laws), N).item()
    assert abs(halves.mean() - theory) < 4 * error


def test_the_simulated_answer_is_that_of_the_token_matrices():
    d, N = 3, 6
    W_PV, W_KQ = (matrix.numpy() for matrix in random_weights(d))
    drawn = Law(np.eye(d)).draw(np.random.default_rng(4), 1, N)
    E = token_matrix(drawn.x[0], drawn.y[0], drawn.queries[0, 0])

    tokens = layer(E, W_PV, W_KQ, float(N), N)[-1, -1]

    C = E[:, :N]
    assert tokens == pytest.approx(W_PV[-1] @ C @ (C.T @ W_KQ @ E[:, -1]) / N)


def test_the_loss_of_the_closed_form_is_half_the_least_risk():
    laws = covariances(10.0)
    law = Law(laws[0])

    least = population_loss(initial(limit(laws, 20)), torch.tensor(laws), 20).item()

    assert least == pytest.approx(risk(optimum(law, 20), law, 20) / 2, rel=1e-10)


def test_the_layer_of_the_product_has_the_transpose():
    weights = random_weights(3)
    W_PV, W_KQ = weights.W_PV.clone(), weights.W_KQ.clone()
    W_PV[-1, :-1] = 0.0

    A = product(Weights(W_PV, W_KQ)).numpy()

    assert pytest.approx(A) == W_PV[-1, -1].item() * W_KQ[:-1, :-1].numpy().T


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("condition", [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_with_all_weights_free_the_descent_is_the_papers_flow(condition, device):
    laws = covariances(condition)
    begin = inside(laws)
    found, equations = descend(begin, laws, 20, device=device), followed(begin, laws, 20)
    end = limit(laws, 20)

    assert found.distances[-1] < CLOSE and len(found.distances) <= 20_001
    assert found.distances == pytest.approx(equations.distances, abs=1e-9)
    A = product(found.weights).detach().cpu().numpy()
    assert pytest.approx(A, abs=1e-5) == end.u * end.U.T
    u = found.weights.W_PV[-1, -1].item()
    assert u == pytest.approx(end.u, abs=step_size(laws, 20) / 2)


def test_the_other_weights_stay_exactly_0():
    laws = covariances(1.0)
    found = descend(inside(laws), laws, 20)

    assert largest_other(found.weights) == 0.0


@pytest.mark.parametrize(("matrix", "place"), [(0, (5, 2)), (0, (0, 5)), (1, (5, 1)), (1, (3, 5))])
def test_another_weight_that_moved_is_seen(matrix, place):
    weights = initial(inside(covariances(1.0)))
    with torch.no_grad():
        weights[matrix][place] = -0.3

    assert largest_other(weights) == pytest.approx(0.3)


def test_random_covariances_end_at_theorem_4_5():
    diagonals = exponential_spectra(np.random.default_rng(5), 300, 4)[:, None] * np.eye(4)
    theta = start(np.random.default_rng(1), 4, 1.0).U
    begin = start(np.random.default_rng(1), 4, 0.9 * random_scale_bound(diagonals, 16, theta))
    found, end = descend(begin, diagonals, 16), limit(diagonals, 16)

    assert found.distances[-1] < CLOSE
    assert pytest.approx(product(found.weights).detach().numpy(), abs=1e-5) == end.u * end.U
    assert largest_other(found.weights) == 0.0
