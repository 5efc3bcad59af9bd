"""h against simulation, leave-one-out against refits of the served models, both in the wild."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from model.foundation import FoundationModel
from model.paper import PaperModel
from model.profile import ProfileModel
from model.prompt import Block, Examples
from monitoring.harm import (
    Served,
    best_error,
    excess_by_direction,
    label_power,
    leave_one_out,
    predicted_error,
    query_signal,
    ridge_leave_one_out,
    sampling_error,
)
from tests.model.profiles import FOUNDATION, asked, learnt
from tests.monitoring.refits import drawn, refitted, refitted_at, served_of

COVARIANCE = np.diag(np.linspace(1.0, 0.4, 4) ** 2)
COORDINATES = ("intercept", "centred", "label-scaled", "scaled")
HELD = FoundationModel(FOUNDATION.steps, lambda_grid=(0.7,), correction_bound=np.inf)
STATISTICS = (predicted_error, leave_one_out, ridge_leave_one_out, label_power, query_signal)
EVERY = (*STATISTICS, best_error, sampling_error)


class Unmoved(PaperModel):
    """Weights of 15 terms at any length, as leave-one-out holds them."""

    def weights(self, length):
        return super().weights(15)


def invented(seed, B=5, M=12, p=4, Q=3, centred=True, own_prior=False):
    """Return prompts with the exact inverse of a prior that is no multiple of I, and σ² = .3."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(B, M, p)), rng.normal(size=(B, Q, p))
    mean = centred * u.mean(1, keepdims=True)
    u, v = u - mean, v - mean
    r = rng.normal(size=(B, M))
    r = r - centred * r.mean(1, keepdims=True)
    root = rng.normal(size=(B, p, p)) if own_prior else rng.normal(size=(p, p))
    T = root @ root.mT + 0.2 * np.eye(p)
    G = u.mT @ u
    P = np.linalg.inv(G + 0.3 * np.linalg.inv(T))
    products = (r[:, None] @ u)[:, 0]
    return Served(M, centred, P, G, products, v, rng.normal(size=p), 0.3, T, True, u, r)


def roughly(served):
    """Return the same prompts with a P that has not converged."""
    return replace(served, inverse=0.7 * served.inverse @ (np.eye(4) + 0.1 * served.inverse))


def within(got, expected, mean, each):
    known = np.isfinite(expected)
    ratios = got[known] / expected[known]
    assert known.mean() > 0.9
    assert abs(got[known].mean() / expected[known].mean() - 1.0) < mean
    assert np.abs(ratios - 1.0).max() < each


def simulated(predict, block, served, origin, unit, seed=5, draws=40_000):
    """Return mean (Q,) and standard error (Q,) of (y_q - ŷ_q)², working units², at fixed rows."""
    rng = np.random.default_rng(seed)
    T = served.task_covariance[0] if served.task_covariance.ndim == 3 else served.task_covariance
    w = rng.multivariate_normal(served.prior_mean, T, size=draws)  # (draws, p)
    Q, sd = served.queries.shape[1], np.sqrt(served.noise_variance)
    r = w @ served.rows[0].T + sd * rng.normal(size=(draws, served.count))
    targets = w @ served.queries[0].T + sd * rng.normal(size=(draws, Q))
    errors = (targets - (predict(origin + unit * r) - origin) / unit) ** 2  # (draws, Q)
    return errors.mean(0), errors.std(0) / np.sqrt(draws)


MODELS = {
    "paper": PaperModel(COVARIANCE, 0.8, 1.5),
    "paper, uncentred": PaperModel(COVARIANCE, 0.8, 1.5, centred=False),
    "foundation": HELD,
    "intercept": ProfileModel(learnt("intercept"), correction_bound=np.inf),
    "centred": ProfileModel(learnt("centred"), correction_bound=np.inf),
}


@pytest.mark.parametrize("name", MODELS)
def test_h_is_the_error_of_the_served_answers_over_tasks_and_noise(name):
    model = MODELS[name]
    if name in COORDINATES:
        block, _ = asked(4)
    else:
        block = drawn(4, 1, M=12)
    estimator = model.estimator(block)
    s, served = estimator.smoother, served_of(estimator)
    x, queries = block.context.x, block.queries

    def predict(labels):
        many = Examples(np.repeat(x, len(labels), 0), labels)
        return model.answer(Block(many, np.repeat(queries, len(labels), 0))).predictions

    mean, se = simulated(predict, block, served, s.label_origin[0], s.label_unit[0])

    assert np.all(np.abs(predicted_error(served)[0] - mean) < 4.0 * se)
    assert np.all(se < 0.01 * mean)


@pytest.mark.parametrize("name", COORDINATES[2:])
def test_h_is_the_error_over_tasks_and_noise_at_the_label_scale_of_the_prompt(name):
    block, _ = asked(5)
    estimator = ProfileModel(learnt(name)).estimator(block)
    s, served = estimator.smoother, served_of(estimator)

    def predict(r):
        own = r.mean(1)
        w = (
            s.prior_mean
            + ((r - own[:, None]) - s.rows[0] @ s.prior_mean) @ s.rows[0] @ s.inverse[0]
        )
        return own[:, None] + w @ s.queries[0].T

    mean, se = simulated(predict, block, served, 0.0, 1.0)

    assert np.all(np.abs(predicted_error(served)[0] - mean) < 4.0 * se)


@pytest.mark.parametrize("own_prior", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_of_an_exact_inverse_h_is_the_predictive_variance(centred, own_prior):
    served = invented(1, centred=centred, own_prior=own_prior)
    leverage = np.einsum("bqi,bij,bqj->bq", served.queries, served.inverse, served.queries)
    expected = 0.3 * (1.0 + leverage + centred / 12)

    assert np.allclose(predicted_error(served), expected, rtol=1e-12, atol=0.0)
    assert np.allclose(best_error(served), expected.mean(1), rtol=1e-10, atol=0.0)
    rough = roughly(served)
    assert np.all(predicted_error(rough) > expected)
    assert np.allclose(best_error(rough), expected.mean(1), rtol=1e-10, atol=0.0)


def test_the_directions_and_the_sampling_add_up_to_h():
    served = roughly(invented(2))
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    parts = excess_by_direction(served, basis)
    values, vectors = np.linalg.eigh(served.task_covariance)
    missed = served.queries[2, 1] @ (np.eye(4) - served.inverse[2] @ served.gram[2])
    along = basis[:, 3] @ (vectors * np.sqrt(values)) @ vectors.T
    alone = replace(served, queries=served.queries[:, 1:2])

    whole = 0.3 + parts.sum(1) + sampling_error(served)
    assert np.allclose(whole, predicted_error(served).mean(1), rtol=1e-12)
    assert np.isclose(excess_by_direction(alone, basis)[2, 3], (along @ missed) ** 2)


@pytest.mark.parametrize("freedom", [None, 5, 3])
@pytest.mark.parametrize("centred", [True, False])
def test_leave_one_out_of_one_layer_is_its_refits_without_each_row(centred, freedom):
    block = drawn(6, 60, freedom=freedom)
    served = served_of(Unmoved(COVARIANCE, 1.0, centred=centred).estimator(block))
    held = (refitted(Unmoved(COVARIANCE, 1.0, centred=centred), block) ** 2).mean(1)
    own = (refitted(PaperModel(COVARIANCE, 1.0, centred=centred), block) ** 2).mean(1)

    error = leave_one_out(served)
    within(error, held, 1e-9, 1e-9)
    within(error, own, 0.02 if freedom is None else 0.06, 0.15)  # their weights are a length less


@pytest.mark.parametrize("freedom", [None, 5, 3])
@pytest.mark.parametrize("name", COORDINATES[:2])
def test_leave_one_out_of_a_profile_is_its_refits_without_each_row(name, freedom):
    (x, y), queries, _ = asked(7, B=50, M=20)[0]
    if freedom is not None:
        noise = np.random.default_rng(8).standard_t(freedom, size=y.shape)
        y = y + 2.0 * noise
    block, model = Block(Examples(x, y), queries), ProfileModel(learnt(name))
    estimator = model.estimator(block)
    error = leave_one_out(served_of(estimator)) * estimator.smoother.label_unit**2

    within(error, (refitted(model, block) ** 2).mean(1), 0.02, 0.15)


@pytest.mark.parametrize("freedom", [None, 5, 3])
@pytest.mark.parametrize("shape", [(15, 3), (16, 10), (50, 5)])
def test_leave_one_out_of_the_layers_is_their_refits_at_the_same_prior(shape, freedom):
    block = drawn(9, 60, M=shape[0], d=shape[1], freedom=freedom)
    estimator = FOUNDATION.estimator(block)
    refits = (refitted_at(FOUNDATION, estimator) ** 2).mean(1)

    within(leave_one_out(served_of(estimator)), refits, 0.02, 0.15)


def test_rows_that_lean_on_themselves_are_left_out_of_the_exact_solve():
    (x, y), queries, _ = drawn(10, 60, M=15, noise_sd=0.1)
    x = x.copy()
    x[:, 0] *= 100.0  # one wild row a prompt: the layers' own leverage of it reaches 1
    estimator = FOUNDATION.estimator(Block(Examples(x, y), queries))
    served = served_of(estimator)
    u, inverse = served.rows, served.inverse
    leverage = ((u @ inverse) * u).sum(2) + 1.0 / 15
    residual = served.labels - (u @ inverse @ served.products[..., None])[..., 0]
    plain = ((residual / (1.0 - leverage)) ** 2).mean(1)
    refits = (refitted_at(FOUNDATION, estimator) ** 2).mean(1)

    assert leverage[:, 0].min() > 0.5 and leverage.max() > 1.0
    within(leave_one_out(served), refits, 0.02, 0.15)
    assert np.abs(plain / refits - 1.0).max() > 0.5  # what no rule would make of it


@pytest.mark.parametrize("own_prior", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_ridge_leave_one_out_is_the_naive_refit_of_the_exact_solve(centred, own_prior):
    served = invented(11, centred=centred, own_prior=own_prior)
    u, r, m = served.rows, served.labels, served.prior_mean
    expected = np.empty(r.shape)
    for b in range(len(u)):
        T = served.task_covariance[b] if own_prior else served.task_covariance
        for i in range(served.count):
            rest, known = np.delete(u[b], i, 0), np.delete(r[b], i)
            x_bar, y_bar = centred * rest.mean(0), centred * known.mean()
            rest, left = rest - x_bar, known - y_bar - (rest - x_bar) @ m
            w = m + np.linalg.solve(rest.T @ rest + 0.3 * np.linalg.inv(T), rest.T @ left)
            expected[b, i] = r[b, i] - y_bar - (u[b, i] - x_bar) @ w

    errors = (expected**2).mean(1)
    assert np.allclose(ridge_leave_one_out(served), errors, rtol=1e-9)
    assert np.allclose(ridge_leave_one_out(roughly(served)), errors, rtol=1e-9)
    assert np.allclose(leave_one_out(served), errors, rtol=1e-9)


def test_the_ridge_of_a_paper_model_has_its_noise_over_its_signal():
    block = drawn(12, 3)
    model = PaperModel(COVARIANCE, 0.5, 2.0, centred=False)
    served = served_of(model.estimator(block))
    x, y = block.context
    inverse = np.linalg.inv(x.mT @ x + 0.25 * np.eye(4))
    hat = x @ inverse @ x.mT
    errors = (y - (hat @ y[..., None])[..., 0]) / (1.0 - hat.diagonal(axis1=1, axis2=2))

    assert np.allclose(ridge_leave_one_out(served), (errors**2).mean(1), rtol=1e-9)


def test_without_noise_or_with_directions_no_task_has_everything_stays_finite():
    noiseless = served_of(PaperModel(COVARIANCE).estimator(drawn(13, 4, noise_sd=0.0)))
    few = served_of(PaperModel(np.eye(9)).estimator(drawn(13, 4, M=6, d=9)))
    T = np.diag([1.0, 2.0, 0.0, 0.5])
    flat = replace(invented(13), task_covariance=T)
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]

    for served in (noiseless, few, flat, replace(flat, task_covariance=turned @ T @ turned.T)):
        assert all(np.isfinite(statistic(served)).all() for statistic in EVERY)
    assert np.all(ridge_leave_one_out(noiseless) < 1e-9)
    assert np.all(best_error(noiseless) < 1e-9 * query_signal(noiseless))
    assert np.all(best_error(few) > 0.01 * query_signal(few))  # 4 of 9 directions stay unknown
    near = replace(flat, task_covariance=T + 1e-9 * np.eye(4))
    assert np.allclose(ridge_leave_one_out(flat), ridge_leave_one_out(near), rtol=1e-6)


def test_powers_are_plain_means():
    served = invented(14)
    v, T = served.queries, served.task_covariance

    assert np.allclose(label_power(served), (served.labels**2).mean(1))
    signal = [np.mean([q @ T @ q for q in v[b]]) for b in range(5)]
    assert np.allclose(query_signal(served), signal)


def test_a_summary_has_h_and_nothing_that_needs_rows():
    served = invented(15)
    summary = replace(served, rows=None, labels=None)

    assert np.array_equal(predicted_error(summary), predicted_error(served))
    assert np.array_equal(best_error(summary), best_error(served))
    for statistic in (leave_one_out, ridge_leave_one_out, label_power):
        assert np.isnan(statistic(summary)).all() and statistic(summary).shape == (5,)


@pytest.mark.parametrize("name", ["paper", "foundation", "intercept", "own prior"])
def test_a_batch_has_the_numbers_of_its_prompts(name):
    (x, y), queries, _ = asked(16, B=6)[0] if name == "intercept" else drawn(16, 6, freedom=3)

    def served(b):
        if name == "own prior":
            made = invented(17, B=6, own_prior=True)
            return made.take(np.arange(6)[b])
        return served_of(MODELS[name].estimator(Block(Examples(x[b], y[b]), queries[b])))

    for statistic in EVERY:
        together = statistic(served(slice(None)))
        alone = np.concatenate([statistic(served(slice(b, b + 1))) for b in range(6)])
        assert np.allclose(together, alone, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("model", [PaperModel(COVARIANCE), MODELS["paper"], FOUNDATION])
@pytest.mark.parametrize("size", [1e300, 1e160, 1e-160, 5e-324, 0.0])
def test_a_wild_prompt_spoils_nothing_but_its_own_numbers(model, size):
    (x, y), queries, _ = drawn(18, 4)
    alone = served_of(model.estimator(Block(Examples(x[1:], y[1:]), queries[1:])))
    x, y, queries = x.copy(), y.copy(), queries.copy()
    x[0, :, :2], queries[0, :, 0], y[0] = size * x[0, :, :2], size * queries[0, :, 0], size * y[0]
    with np.errstate(all="ignore"):  # as the server computes
        served = served_of(model.estimator(Block(Examples(x, y), queries)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for statistic in EVERY:
            assert np.allclose(statistic(served)[1:], statistic(alone), rtol=1e-9, atol=0.0)
        parts = excess_by_direction(served, np.eye(4))
    assert np.allclose(parts[1:], excess_by_direction(alone, np.eye(4)), rtol=1e-9)


def test_numbers_that_are_none_and_prompts_of_two_rows_raise_nothing():
    spoilt = invented(19)
    spoilt.gram[1], spoilt.rows[1, 0, 0], spoilt.inverse[2] = np.nan, np.inf, np.inf
    short = replace(invented(20, M=2), inverts=False)

    for statistic in EVERY:
        assert np.isfinite(statistic(spoilt)[[0, 3, 4]]).all()
    assert np.isnan(leave_one_out(short)).all()
