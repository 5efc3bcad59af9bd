"""The served estimator of every model: affine in the labels, and the very answers it serves."""

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from model.answer import Mode
from model.estimator import Estimating
from model.explain import Smoother
from model.foundation import FoundationModel
from model.paper import PaperModel
from model.profile import ProfileModel
from model.prompt import Block, Examples
from tests.model.profiles import CENTRE, FOUNDATION, SPREAD, D, asked, learnt, summarised

COVARIANCE = np.diag(SPREAD**2) + np.outer(SPREAD, SPREAD)  # of rows about a prompt's mean
SECOND_MOMENT = COVARIANCE + np.outer(CENTRE, CENTRE)
COORDINATES = ("intercept", "centred", "label-scaled", "scaled")
LAW = COVARIANCE @ COVARIANCE  # beside it, a law whose prompts differ: its A is not symmetric
MIXED = COVARIANCE @ np.diag([1.0, 4.0, 2.0]) @ COVARIANCE
OTHERS = {
    "paper, of sums": PaperModel.from_sums(
        COVARIANCE, MIXED, 2.0 * LAW + np.trace(COVARIANCE) * COVARIANCE, 12.0, 20.0
    ),
    "paper": PaperModel(COVARIANCE, 12.0, 20.0),
    "paper, uncentred": PaperModel(SECOND_MOMENT, 12.0, 20.0, centred=False),
    "foundation": FOUNDATION,
}
NAMES = (*OTHERS, *COORDINATES)


@cache
def model(name):
    """Return a model as it is served; a profile is not learnt while files are collected."""
    return OTHERS[name] if name in OTHERS else ProfileModel(learnt(name))


@cache
def held(name):
    """Return one that answers by one pass of the layers, λ and label units held."""
    if name == "foundation":
        return FoundationModel(FOUNDATION.steps, lambda_grid=(0.7,), correction_bound=np.inf)
    if name in COORDINATES:
        return ProfileModel(learnt(name), correction_bound=np.inf)
    return model(name)


@pytest.mark.parametrize("name", [*OTHERS, *COORDINATES[:2]])
def test_answers_are_affine_in_the_labels_at_fixed_choices(name):
    (x, y), queries, _ = asked(1, B=6)[0]
    other = y[::-1] + 3.0 * np.sin(np.arange(16.0))
    served = held(name).answer

    mixed = served(Block(Examples(x, 0.3 * y + 0.7 * other), queries)).predictions

    one = served(Block(Examples(x, y), queries)).predictions
    two = served(Block(Examples(x, other), queries)).predictions
    assert np.allclose(mixed, 0.3 * one + 0.7 * two, rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("name", COORDINATES[2:])
def test_answers_are_affine_in_the_labels_among_those_of_one_scale(name):
    (x, y), queries, _ = asked(2)[0]
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.ones(16), y[0], rng.normal(size=(16, 2))]))[0]
    p, q, s = 25.0 * basis[:, 1:].T  # the rectangle p ± q, p ± s: one mean, one spread
    labels = 40.0 + np.stack([p + q, p - q, p + s, p - s])
    block = Block(Examples(np.repeat(x, 4, 0), labels), np.repeat(queries, 4, 0))

    made = held(name).answer(block)

    assert list(made.modes) == [Mode.PROFILE] * 4
    sums = made.predictions.reshape(2, 2, -1).sum(1)
    assert np.allclose(sums[0], sums[1], rtol=1e-10, atol=0.0)
    assert np.abs(made.predictions[0] - made.predictions[2]).min() > 1e-3


@pytest.mark.parametrize("M", [6, 16, 50])
@pytest.mark.parametrize("name", NAMES)
def test_the_estimator_gives_the_served_answers(name, M):
    block, _ = asked(3, B=20, M=M)
    answer = model(name).answer(block)
    own = np.flatnonzero(np.array(answer.modes) == model(name).mode)
    x, y = block.context
    fit = Block(Examples(x[own], y[own]), block.queries[own])

    for asked_of in (fit, summarised(fit)):
        predictions = model(name).estimator(asked_of).smoother.predictions
        served = model(name).answer(asked_of).predictions
        assert len(own) > 10
        assert np.allclose(predictions, served, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_summary_has_the_estimator_of_its_rows_without_the_rows(name):
    block, _ = asked(4, B=5)
    rows, summary = (model(name).estimator(given) for given in (block, summarised(block)))

    assert summary.smoother.rows is None and summary.smoother.labels is None
    assert np.allclose(rows.task_covariance, summary.task_covariance)
    for part in ("inverse", "gram", "products", "queries"):
        expected, got = getattr(rows.smoother, part), getattr(summary.smoother, part)
        assert np.allclose(got, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("paper")])
def test_the_layers_approximate_the_inverse_that_the_prior_asks_for(name):
    block, _ = asked(5, B=30, M=20)
    smoother, noise, T, inverts = model(name).estimator(block)
    exact = np.linalg.inv(smoother.gram + noise * np.linalg.inv(T))
    off = ((smoother.inverse - exact) @ smoother.gram @ exact).trace(axis1=1, axis2=2)

    assert inverts
    assert np.abs(off).max() < 0.05 * (exact @ smoother.gram @ exact).trace(axis1=1, axis2=2).max()


def test_the_paper_model_is_one_layer_in_natural_units():
    model = PaperModel(COVARIANCE, 12.0, 20.0)
    smoother, noise, T, inverts = model.estimator(asked(6, B=2)[0])

    assert not inverts and noise == 12.0
    assert np.array_equal(T, 20.0 * np.eye(D))
    assert np.allclose(smoother.inverse[1], model.weights(15) / 15, rtol=1e-14)
    assert PaperModel(COVARIANCE).estimator(asked(6)[0]).noise_variance == 0.0


def test_foundation_knows_its_prompt_in_standard_deviations():
    block, _ = asked(7, B=8, M=20)
    _, noise, T, _ = FOUNDATION.estimator(block)
    x, y = block.context
    u = (x - x.mean(1, keepdims=True)) / x.std(1, ddof=1, keepdims=True)
    ridge = 1.0 / T[:, 0, 0]  # (B,) λ
    lifted = u.mT @ u + ridge[:, None, None] * np.eye(D)
    r = (y - y.mean(1, keepdims=True)) / y.std(1, ddof=1, keepdims=True)
    v = (block.queries - x.mean(1, keepdims=True)) / x.std(1, ddof=1, keepdims=True)
    w = np.linalg.solve(lifted, (r[:, None] @ u).mT)
    exact = y.mean(1, keepdims=True) + y.std(1, ddof=1)[:, None] * (v @ w)[..., 0]

    assert noise == 1.0
    assert np.allclose(T, T[:, :1, :1] * np.eye(D))
    assert np.all(np.isin(ridge.round(9), FOUNDATION.lambda_grid))
    assert np.allclose(exact, FOUNDATION.exact(block), rtol=1e-9)


def test_what_foundation_answers_by_the_mean_looks_nowhere():
    (x, y), queries, _ = asked(8, B=3)[0]
    x, y = x.copy(), y.copy()
    y[0], x[1] = 7.0, x[1, 0]
    block = Block(Examples(x, y), queries)

    answer, estimator = FOUNDATION.answer(block), FOUNDATION.estimator(block)

    assert list(answer.modes) == [Mode.MEAN, Mode.MEAN, Mode.FOUNDATION]
    assert not estimator.smoother.inverse[:2].any() and estimator.smoother.inverse[2].any()
    assert np.isfinite(estimator.task_covariance).all()


@pytest.mark.parametrize("name", ["paper", "foundation", "centred"])
def test_a_batch_has_the_estimators_of_its_prompts(name):
    (x, y), queries, _ = asked(9, B=5)[0]
    together = model(name).estimator(Block(Examples(x, y), queries))
    for b in range(5):
        alone = model(name).estimator(
            Block(Examples(x[b : b + 1], y[b : b + 1]), queries[b : b + 1])
        )
        for field in fields(Smoother):
            one, all_of = (getattr(e.smoother, field.name) for e in (alone, together))
            if hasattr(one, "shape") and field.name != "prior_mean":
                scale = np.abs(one).max() if np.isfinite(one).all() else 1.0
                assert np.allclose(all_of[b], one[0], rtol=1e-12, atol=1e-12 * scale)


def test_every_model_is_estimating():
    assert all(isinstance(model(name), Estimating) for name in NAMES)
