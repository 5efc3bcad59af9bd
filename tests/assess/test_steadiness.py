"""Moves of an answer, held to prompts that are answered again one by one."""

import numpy as np
import pytest

from model.foundation import FoundationModel
from model.history import Prompts
from model.profile import ProfileModel
from model.profile_fit import layer_steps
from model.profile_parameters import ProfileParameters
from model.prompt import Block, Examples
from service.assess import asking
from service.assess.asking import ask
from service.assess.steadiness import DRAWS, choose, moves, steadiness, thinned

P, M, Q, D = 12, 16, 5, 3


@pytest.fixture(scope="module")
def model():
    """The model that knows no history: every prompt goes down to it."""
    steps = np.array(layer_steps(4))
    return ProfileModel(ProfileParameters(D, 0, steps), fallback=FoundationModel(layer_steps(4)))


def prompts(seed=0, unit=1.0):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(P, 1, D))
    x, queries = rng.normal(size=(P, M, D)), rng.normal(size=(P, Q, D))
    y = (x * w).sum(axis=2) + 0.5 * rng.normal(size=(P, M))
    targets = (queries * w).sum(axis=2) + 0.5 * rng.normal(size=(P, Q))
    weight = np.ones((P, Q))
    weight[0, 3:] = 0.0
    return Prompts(x, unit * y, queries, unit * targets, weight, np.arange(P))


def by_code(found):
    return {one.code: one for one in found}


def alone(model, told, p, kept):
    """Return the answers (Q,) to prompt p of some of its examples, solved by itself."""
    block = Block(Examples(told.x[p, kept][None], told.y[p, kept][None]), told.queries[p][None])
    return model.answer(block).predictions[0]


def test_the_order_of_examples_moves_nothing_but_rounding(model):
    found = by_code(steadiness(model, ask(model, prompts()), 0))["reordered"]

    assert found.moved_most < 1e-9


def test_dropping_one_is_a_loop_over_prompts_and_examples(model):
    told = prompts()
    found = by_code(steadiness(model, ask(model, told), 0))["one_dropped"]

    whole = [alone(model, told, p, np.arange(M)) for p in range(P)]
    real = told.weight > 0.0
    errors = np.concatenate([(whole[p] - told.targets[p])[real[p]] for p in range(P)])
    moved = [
        np.abs(alone(model, told, p, np.delete(np.arange(M), i)) - whole[p])[real[p]]
        for p in range(P)
        for i in range(M)
    ]
    shares = np.concatenate(moved) / np.sqrt(np.mean(errors**2))
    assert found.moved == pytest.approx(np.median(shares))
    assert found.moved_mostly == pytest.approx(np.quantile(shares, 0.9))
    assert found.moved_most == pytest.approx(shares.max())
    assert found.example_count == M


@pytest.mark.parametrize("code", ["resampled", "fifth_dropped"])
def test_other_draws_are_answered_as_if_they_had_come_alone(model, code):
    told = prompts()
    kept = choose(code, P, M, np.random.default_rng(1))

    found = moves(model, ask(model, told), np.arange(P), kept)

    moved = [
        np.abs(alone(model, told, p, one) - alone(model, told, p, np.arange(M)))[told.weight[p] > 0]
        for p in range(P)
        for one in kept[p]
    ]
    np.testing.assert_allclose(found, np.concatenate(moved), rtol=1e-8, atol=1e-12)


def test_draws_keep_the_examples_that_their_code_says():
    rng = np.random.default_rng(0)
    reordered, resampled = choose("reordered", 3, 10, rng), choose("resampled", 3, 10, rng)
    dropped, fifth = choose("one_dropped", 3, 10, rng), choose("fifth_dropped", 3, 10, rng)

    assert (np.sort(reordered, axis=2) == np.arange(10)).all()
    assert resampled.shape == (3, DRAWS["resampled"], 10)
    assert any(len(set(one)) < 10 for one in resampled[0].tolist())
    assert [sorted(set(range(10)) - set(one)) for one in dropped[1].tolist()] == [
        [i] for i in range(10)
    ]
    assert {len(set(one)) for one in fifth[2].tolist()} == {8}


def test_more_examples_make_an_answer_steadier(model):
    rng = np.random.default_rng(2)
    x, queries = rng.normal(size=(P, 64, D)), rng.normal(size=(P, Q, D))
    y = x.sum(axis=2) + rng.normal(size=(P, 64))
    targets = queries.sum(axis=2) + rng.normal(size=(P, Q))
    weight, groups = np.ones((P, Q)), np.arange(P)

    few, many = (
        by_code(steadiness(model, ask(model, told), 0))
        for told in (
            Prompts(x[:, :16], y[:, :16], queries, targets, weight, groups),
            Prompts(x, y, queries, targets, weight, groups),
        )
    )

    for code in ("resampled", "one_dropped", "fifth_dropped"):
        assert many[code].moved_mostly < 0.7 * few[code].moved_mostly


def test_shares_do_not_depend_on_the_unit_of_the_target(model):
    one = by_code(steadiness(model, ask(model, prompts()), 0))
    other = by_code(steadiness(model, ask(model, prompts(unit=1024.0)), 0))

    for code in ("resampled", "one_dropped", "fifth_dropped"):
        assert other[code].moved_most == pytest.approx(one[code].moved_most)


def test_refused_prompts_are_left_out(model):
    told = prompts()
    some = ask(model, told)
    some.answers[:4] = np.nan

    found = by_code(steadiness(model, some, 0))

    whole = by_code(steadiness(model, ask(model, told.take(np.arange(P) >= 4)), 0))
    assert found["one_dropped"] == whole["one_dropped"]


def test_where_nothing_was_answered_nothing_is_said(model):
    some = ask(model, prompts())
    some.answers[:] = np.nan

    assert steadiness(model, some, 0) == ()


def test_wide_prompts_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(asking, "MOST_WORK", 5 * 8 * 110**2)

    assert thinned(np.arange(9), 8, 100).tolist() == [0, 2, 4, 6, 8]
    assert thinned(np.arange(9), 8, 5).tolist() == list(range(9))
    assert thinned(np.arange(9), 8000, 100).tolist() == [0]
