"""The ladder below a profile: who answers a prompt that is not of its kind, and what is said."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.answer import Caution, Mode, Solver
from model.moments import Moments
from model.profile import ProfileModel, fit
from model.prompt import Block, Examples
from model.refusal import Refusal
from tests.model.profiles import FOUNDATION, D, asked, history, learnt


@cache  # not while files are collected
def model():
    return ProfileModel(learnt(), fallback=FOUNDATION)


@cache
def alone():
    return ProfileModel(learnt())


def in_grams(block, examples=True):
    """Return a block with feature 1 in another unit, in the examples too or in queries only."""
    unit = np.array([1.0, 1000.0, 1.0])
    (x, y), queries = block.context, block.queries * unit
    return Block(Examples(x * unit if examples else x, y), queries, ("length", "weight", "price"))


def cautions(answer):
    return [caution.caution for caution in answer.warned]


def test_a_prompt_in_another_unit_is_answered_by_the_foundation_model_and_it_is_said():
    block, _ = asked(1)

    answer = model().answer(in_grams(block))

    expected = FOUNDATION.answer(in_grams(block)).predictions
    np.testing.assert_array_equal(answer.predictions, expected)
    assert list(answer.modes) == [Mode.FOUNDATION]
    assert Caution.FALLBACK_USED in cautions(answer)
    assert "'weight'" in answer.warned[0].sentence
    assert "expected" in answer.warned[0].sentence


def test_queries_in_another_unit_than_their_examples_are_refused_by_name():
    block, _ = asked(1)

    answer = model().answer(in_grams(block, examples=False))

    (prompt, refusal), *_ = answer.refusals
    assert (prompt, refusal.reason, refusal.field) == (0, "OUT_OF_RANGE_FEATURE", "queries")
    assert "'weight'" in str(refusal)
    assert np.isnan(answer.predictions).all()
    assert list(answer.modes) == [0]


def test_labels_in_another_unit_go_to_the_foundation_model():
    block, _ = asked(2)
    x, y = block.context
    cents = Block(Examples(x, 100.0 * y), block.queries)

    answer = model().answer(cents)

    np.testing.assert_array_equal(answer.predictions, FOUNDATION.answer(cents).predictions)
    assert answer.warned[0].sentence.startswith("answered without the history's profile: labels")


def test_without_a_fallback_a_foreign_prompt_is_refused():
    block, _ = asked(1)

    answer = alone().answer(in_grams(block))

    assert [refusal.reason for _, refusal in answer.refusals] == ["OUT_OF_RANGE_FEATURE"]


def test_fewer_than_four_examples_of_another_kind_are_answered_by_their_mean():
    block, _ = asked(3, M=3)
    x, y = block.context
    moved = Block(Examples(x, 1e6 + y), x[:, :2])

    answer = model().answer(moved)

    np.testing.assert_allclose(answer.predictions, np.full((1, 2), 1e6 + y.mean()))
    assert list(answer.modes) == [Mode.MEAN]
    assert list(answer.solvers) == [Solver.NONE]


def test_labels_that_are_all_one_foreign_number_are_answered_by_it():
    block, _ = asked(3)
    flat = Block(Examples(block.context.x, np.full((1, 16), 1e7)), block.queries)

    for served in (model(), alone()):
        answer = served.answer(flat)
        np.testing.assert_array_equal(answer.predictions, 1e7)
        assert list(answer.modes) == [Mode.MEAN]


def test_a_foreign_prompt_changes_nothing_for_its_neighbours():
    block, _ = asked(4, B=5)
    (x, y), queries = block.context, block.queries
    whole = model().answer(block).predictions.copy()
    unit = np.array([1.0, 1000.0, 1.0])
    x, y, queries = x.copy(), y.copy(), queries.copy()
    x[1], queries[1] = x[1] * unit, queries[1] * unit  # foundation
    queries[3] = queries[3] * unit  # refused

    answer = model().answer(Block(Examples(x, y), queries))

    assert list(answer.modes) == [3, 2, 3, 0, 3]
    np.testing.assert_array_equal(answer.predictions[[0, 2, 4]], whole[[0, 2, 4]])
    assert [prompt for prompt, _ in answer.refusals] == [3]
    assert {caution.prompt for caution in answer.warned} == {1}
    alone = FOUNDATION.answer(Block(Examples(x[1:2], y[1:2]), queries[1:2])).predictions
    np.testing.assert_allclose(answer.predictions[1:2], alone, rtol=1e-12)


def test_a_cold_profile_leaves_every_prompt_to_the_foundation_model():
    cold = fit(history(groups=1))
    block, _ = asked(5, B=3)

    answer = ProfileModel(cold, fallback=FOUNDATION).answer(block)

    np.testing.assert_array_equal(answer.predictions, FOUNDATION.answer(block).predictions)
    assert list(answer.modes) == [Mode.FOUNDATION] * 3
    assert cautions(answer).count(Caution.FALLBACK_USED) == 3
    refusals = ProfileModel(cold).answer(block).refusals
    assert {refusal.reason for _, refusal in refusals} == {"FALLBACK_FORBIDDEN"}
    assert ProfileModel(cold, fallback=FOUNDATION).example_count_min == 4


def test_where_the_mean_was_as_good_every_answer_of_about_that_length_says_so():
    model = ProfileModel(learnt(), fallback=FOUNDATION, no_better_than_mean=(8, 64))

    for M, B, said in ((7, 1, True), (11, 2, True), (12, 1, False), (32, 2, False), (90, 2, True)):
        answer = model.answer(asked(3, B=B, M=M)[0])
        assert cautions(answer) == [Caution.NO_BETTER_THAN_MEAN] * B * said
        assert all("the mean of" in one.sentence for one in answer.warned)


def test_a_provisional_profile_says_so_beside_every_answer():
    provisional = ProfileModel(fit(history(groups=5)), fallback=FOUNDATION)

    for B in (1, 3):
        block, _ = asked(6, B=B)
        assert cautions(provisional.answer(block)) == [Caution.PROVISIONAL_PROFILE] * B
    assert list(model().answer(asked(6)[0]).warned) == []


def test_a_summary_without_second_moments_is_refused():
    zero = np.zeros((1, D))
    block = Block(Moments(5, zero, np.zeros(1), None, zero, np.ones(1)), np.zeros((1, 2, D)))

    with pytest.raises(Refusal, match=r"summary\.second_moments"):
        model().answer(block)


def test_a_foreign_summary_goes_down_the_same_ladder():
    block, _ = asked(7)
    x, y = block.context
    mean, unit = x.mean(1), np.array([1.0, 1000.0, 1.0])
    u, r = x - mean[:, None], y - y.mean(1, keepdims=True)
    scatter, products = u.mT @ u * np.outer(unit, unit), (r[:, None] @ u)[:, 0] * unit
    moments = Moments(16, mean * unit, y.mean(1), scatter, products, (r * r).sum(1))

    answer = model().answer(Block(moments, block.queries * unit))

    assert list(answer.modes) == [Mode.FOUNDATION]
    assert np.isfinite(answer.predictions).all()


@pytest.mark.slow
@pytest.mark.parametrize("M", [2, 3, 9])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_numbers_there_is_a_finite_answer_or_a_refusal(M, data):
    numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
    size = (M + 2) * D + M
    values = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size)))
    x, y = values[: (M + 2) * D].reshape(1, M + 2, D), values[(M + 2) * D :].reshape(1, M)

    with np.errstate(all="ignore"):
        answer = model().answer(Block(Examples(x[:, :M], y), x[:, M:]))

    refused = {prompt for prompt, _ in answer.refusals}
    assert np.isfinite(answer.predictions).all() or refused == {0}
    assert (answer.modes[0] == 0) == (refused == {0})


@pytest.mark.parametrize("kind", ["intercept", "centred", "label-scaled", "scaled"])
def test_constant_features_and_labels_of_the_profiles_kind_are_answered_by_it(kind):
    served = ProfileModel(learnt(kind), fallback=FOUNDATION)
    block, _ = asked(8)
    x, y = block.context
    x = np.repeat(x[:, :1], 16, axis=1)

    for labels in (y, np.repeat(y[:, :1], 16, axis=1)):
        answer = served.answer(Block(Examples(x, labels), block.queries))
        assert list(answer.modes) == [Mode.PROFILE]
        assert np.isfinite(answer.predictions).all()
