"""Closed forms against published values, naive sums over simulated prompts, and the flow itself."""

import math
from dataclasses import replace

import numpy as np
import pytest

from model.flow import (
    CLOSE,
    descend,
    first_below,
    loss,
    start,
    step_size,
)
from model.paper import PaperModel, predict
from model.tasks import Law, draw_diagonal, exponential_spectra, rotated, spectrum
from model.theory import (
    exponential_optimum,
    gamma,
    isotropic_error,
    least_squares_error,
    limit,
    optimum,
    product_covariance,
    random_scale_bound,
    relative_risk,
    risk,
    scale_bound,
    trained_error,
)

COVARIANCE = np.array([[2.0, 0.5], [0.5, 1.0]])
PRIOR = np.array([[1.0, 0.3], [0.3, 0.5]])
MEAN = np.array([1.0, -0.5])
X, Y, QUERY = np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 2, 3]), np.array([1.0, -1])
GAUSSIAN = Law(rotated(np.random.default_rng(0), spectrum(3, 5.0)), noise_variance=0.5)
LAWS = {
    "the paper's": replace(GAUSSIAN, noise_variance=0.0),
    "noisy": GAUSSIAN,
    "with a prior": replace(GAUSSIAN, task_moment=np.diag([3.0, 1.0, 0.1])),
    "with one task only": replace(GAUSSIAN, task_moment=np.outer([1.0, -2, 0.5], [1.0, -2, 0.5])),
    "with a mean": replace(
        GAUSSIAN, task_moment=np.diag([3.0, 1.0, 0.1]), mean=np.array([0.5, -1.0, 0.2])
    ),
    "with other queries": replace(GAUSSIAN, query_moment=np.diag([0.2, 1.0, 4.0])),
    "of heavy tails": replace(GAUSSIAN, freedom=12.0),
}


def answered(law):
    A = optimum(law, 10)
    return A, predict(A, X[None], Y[None], QUERY[None, None])[0, 0]


def test_the_published_optima_are_reproduced():
    noisy = Law(COVARIANCE, 0.5)
    prior = replace(noisy, task_moment=PRIOR)
    A, answer = answered(noisy)
    shifted, shifted_answer = answered(replace(prior, covariance=COVARIANCE, mean=MEAN))

    assert A.ravel() == pytest.approx(
        [0.427098674521, -0.162002945508, -0.162002945508, 0.751104565538], rel=1e-9
    )
    assert answer == pytest.approx(-0.736377025037, rel=1e-9)
    assert answered(prior)[1] == pytest.approx(-0.390858509220, rel=1e-9)
    assert shifted.ravel() == pytest.approx(
        [0.271967363916, 0.011998560173, 0.029116506019, 0.439787225533], rel=1e-9
    )
    assert shifted_answer == pytest.approx(-0.389179965071, rel=1e-9)


def test_a_published_weight_is_reproduced():
    size = math.sqrt(np.linalg.norm(optimum(Law(COVARIANCE, 0.5), 10)))

    assert size == pytest.approx(0.945464046103, rel=1e-9)


def test_the_optimum_without_noise_is_the_papers_gamma_inverse():
    assert optimum(Law(COVARIANCE), 10) @ gamma(COVARIANCE, 10) == pytest.approx(np.eye(2))


def test_the_optimum_with_noise_is_what_the_paper_model_serves():
    served = PaperModel(COVARIANCE, 0.5, 2.0).weights(7)
    law = Law(COVARIANCE, 0.5, 2.0 * np.eye(2))

    assert optimum(law, 7) == pytest.approx(served, rel=1e-12)


def test_a_singular_prior_is_welcome():
    task = np.array([1.0, 2.0])
    A = optimum(Law(COVARIANCE, 0.5, np.outer(task, task)), 10)

    assert np.linalg.matrix_rank(A) == 1
    assert risk(A, Law(COVARIANCE, 0.5, np.outer(task, task)), 10) > 0


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_risk_of_any_layer_is_that_of_simulated_prompts(law):
    A = optimum(law, 8) + 0.1 * np.random.default_rng(1).standard_normal((3, 3))
    drawn = law.draw(np.random.default_rng(2), 100_000, 8, queries=8)

    answers = predict(A, drawn.x, drawn.y, drawn.queries)
    squared = ((answers - drawn.targets) ** 2).mean(axis=1)
    error = squared.std() / math.sqrt(len(squared))

    assert error < 0.015 * squared.mean()
    assert abs(squared.mean() - risk(A, law, 8)) < 4 * error


@pytest.mark.parametrize("law", [law for law in LAWS.values() if law.freedom == math.inf])
def test_every_change_of_the_optimum_raises_the_risk(law):
    rng, A = np.random.default_rng(3), optimum(law, 8)
    least = risk(A, law, 8)

    assert all(risk(A + 0.05 * rng.standard_normal((3, 3)), law, 8) > least for _ in range(100))


def test_the_published_risks_by_length_are_reproduced():
    law = Law(np.diag(spectrum(10, 4.0)), noise_variance=1.0)
    one = [relative_risk(optimum(law, 40), law, M) for M in (1, 5, 10, 160, 640)]
    own = [relative_risk(optimum(law, M), law, M) for M in (1, 5, 10, 160, 640)]

    assert one == pytest.approx([6.82, 1.41, 0.73, 0.097, 0.066], rel=0.01)
    assert own == pytest.approx([0.913, 0.68, 0.525, 0.069, 0.018], rel=0.02)


def test_theorem_4_2_is_the_general_risk_for_linear_labels():
    a, N, M = np.array([1.0, -0.5, 0.8]), 20, 40
    covariance = GAUSSIAN.covariance
    law = Law(covariance, 0.3, np.outer(a, a))
    theorem = trained_error(covariance, N, M, 0.3, a, product_covariance(covariance, a, 0.3))

    assert theorem == pytest.approx(risk(optimum(Law(covariance), N), law, M) + 0.3, rel=1e-10)


def test_the_trained_error_does_not_vanish_with_the_length_of_the_prompt():
    a = np.ones(3)
    moment = product_covariance(GAUSSIAN.covariance, a, 0.0)
    errors = [
        trained_error(GAUSSIAN.covariance, N, 10**15, 0.0, a, moment) for N in (20, 2000, 20_000)
    ]

    assert errors[0] > 0.05
    assert errors[1] == pytest.approx(100.0 * errors[2], rel=0.01)


def test_heavy_tails_are_only_for_centred_examples():
    law = replace(LAWS["with a mean"], freedom=8.0)
    with pytest.raises(ValueError, match="expected 0 where freedom is finite"):
        risk(np.eye(3), law, 8)


@pytest.mark.parametrize("freedom", [4.0, -1.0, math.nan])
def test_a_law_without_fourth_moments_is_refused(freedom):
    with pytest.raises(ValueError, match="freedom: expected more than 4"):
        Law(COVARIANCE, freedom=freedom)


def test_heavy_tailed_examples_have_the_moments_they_claim():
    law = Law(np.eye(2), freedom=20.0)
    x = law.draw(np.random.default_rng(4), 200_000, 2).x.reshape(-1, 2)

    assert np.cov(x.T) == pytest.approx(np.eye(2), abs=0.02)
    assert (x[:, 0] ** 4).mean() == pytest.approx(3.0 * (1 + law.excess), rel=0.03)


TABLE = {  # published error ÷ d of random training at N = 40, by M = 20, 40, 100, infinity
    None: (0.604, 0.564, 0.540, 0.524),
    1.0: (0.543, 0.448, 0.391, 0.353),
    4.0: (27.7, 21.7, 18.0, 15.6),
    9.0: (391, 322, 280, 252),
}


@pytest.mark.parametrize(("scale", "row"), TABLE.items())
def test_the_lines_of_figure_1_are_reproduced(scale, row):
    a = exponential_optimum(20, 40)
    found = [isotropic_error(a, 20, M, scale) for M in (20, 40, 100, math.inf)]

    assert found == pytest.approx(row, rel=0.005)


def test_the_published_scalars_of_random_training_are_reproduced():
    found = [exponential_optimum(20, N) for N in (40, 70, 100, math.inf)]

    assert found == pytest.approx([0.27586, 0.2979, 0.3077, 1 / 3], rel=2e-4)
    assert isotropic_error(1 / 3, 20, math.inf, None) == pytest.approx(4 / 9)
    assert isotropic_error(1 / 3, 20, math.inf, 4.0) == pytest.approx(25.3, rel=0.005)


@pytest.mark.parametrize("scale", [None, 2.0])
def test_an_isotropic_layer_errs_as_its_formula_says(scale):
    rng, a = np.random.default_rng(5), exponential_optimum(4, 12)
    spectra = np.ones((60_000, 4)) if scale is None else scale * exponential_spectra(rng, 60_000, 4)
    drawn = draw_diagonal(rng, spectra, 12, queries=4)
    answers = predict(a * np.eye(4), drawn.x, drawn.y, drawn.queries)
    squared = ((answers - drawn.targets) ** 2).mean(axis=1) / 4

    error = squared.std() / math.sqrt(len(squared))
    assert error < 0.05 * squared.mean()
    assert abs(squared.mean() - isotropic_error(a, 4, 12, scale)) < 4 * error


def test_least_squares_is_exact_from_d_examples_on():
    assert [least_squares_error(20, M) for M in (5, 20, 40)] == [0.75, 0.0, 0.0]


def test_many_equal_covariances_end_where_one_does():
    one, many = limit(COVARIANCE[None], 10), limit(np.stack([COVARIANCE] * 3), 10)

    assert pytest.approx(many.U) == one.U and one.u == pytest.approx(many.u)
    assert one.u * one.U @ gamma(COVARIANCE, 10) == pytest.approx(np.eye(2))
    assert one.u == pytest.approx(np.linalg.norm(one.U))


def test_random_exponential_covariances_end_near_the_scalar():
    diagonals = exponential_spectra(np.random.default_rng(6), 100_000, 3)[:, None] * np.eye(3)
    end = limit(diagonals, 20)

    assert end.u * end.U == pytest.approx(exponential_optimum(3, 20) * np.eye(3), abs=0.01)


@pytest.mark.parametrize("condition", [1.0, 10.0])
def test_the_flow_ends_at_the_closed_form(condition):
    covariances = rotated(np.random.default_rng(7), spectrum(5, condition))[None]
    begin = start(np.random.default_rng(8), 5, math.sqrt(0.5) * scale_bound(covariances[0], 20))
    found, end = descend(begin, covariances, 20), limit(covariances, 20)

    assert found.distance < CLOSE and len(found.distances) <= 20_001
    assert found.factors.u * found.factors.U == pytest.approx(end.u * end.U, rel=1e-5, abs=1e-5)
    assert found.factors.u == pytest.approx(end.u, abs=step_size(covariances, 20) / 2)
    assert first_below(found.distances, CLOSE) == len(found.distances) - 1


def test_the_factors_are_off_in_proportion_to_the_step():
    covariances = rotated(np.random.default_rng(9), spectrum(5, 3.0))[None]
    begin, end = start(np.random.default_rng(8), 5, 0.4), limit(covariances, 20)
    rate = step_size(covariances, 20)
    off = [
        abs(descend(begin, covariances, 20, rate / part).factors.u - end.u) for part in (1, 4, 16)
    ]

    assert off[0] / off[1] == pytest.approx(4.0, rel=0.3)
    assert off[1] / off[2] == pytest.approx(4.0, rel=0.1)


def test_the_flow_over_random_covariances_ends_at_theorem_4_5():
    diagonals = exponential_spectra(np.random.default_rng(10), 500, 4)[:, None] * np.eye(4)
    theta = start(np.random.default_rng(11), 4, 1.0).U
    bound = random_scale_bound(diagonals, 16, theta)
    begin = start(np.random.default_rng(11), 4, 0.9 * bound)
    found, end = descend(begin, diagonals, 16), limit(diagonals, 16)

    assert loss(begin, diagonals, 16) < 0.0
    assert found.distance < CLOSE
    assert found.factors.u * found.factors.U == pytest.approx(end.u * end.U, abs=1e-5)


@pytest.mark.parametrize("condition", [1.0, 3.0, 30.0])
def test_inside_the_condition_on_the_scale_the_loss_starts_below_that_of_silence(condition):
    rng = np.random.default_rng(12)
    covariances = rotated(rng, spectrum(5, condition))[None]
    bound = scale_bound(covariances[0], 20)

    assert all(loss(start(rng, 5, 0.999 * bound), covariances, 20) < 0.0 for _ in range(200))


def test_outside_the_condition_the_usual_step_leaves_and_a_short_one_arrives():
    covariances = rotated(np.random.default_rng(13), spectrum(5, 3.0))[None]
    bound, end = scale_bound(covariances[0], 20), limit(covariances, 20)
    begin = start(np.random.default_rng(14), 5, 8.0 * bound)
    short = step_size(covariances, 20) * (end.u / begin.u) ** 2
    gone = descend(begin, covariances, 20)

    assert loss(begin, covariances, 20) > 0.0
    assert gone.distance > 1e6 and np.isfinite(gone.distances).all()
    assert first_below(gone.distances, CLOSE) == math.inf
    assert descend(begin, covariances, 20, short).distance < CLOSE


def test_a_start_that_is_no_square_can_be_stuck_at_silence():
    """u = ‖U‖_F with U = -I/2·u is the stable line of the saddle at 0: why the paper takes ΘΘᵀ."""
    covariances = np.eye(4)[None]
    begin = start(np.random.default_rng(0), 4, 1.0)._replace(U=-np.eye(4) / 2)
    found = descend(begin, covariances, 16, most_steps=200)

    assert np.linalg.norm(found.factors.u * found.factors.U) < 1e-3
    assert found.distance == pytest.approx(1.0, abs=1e-3)
