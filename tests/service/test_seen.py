"""Answered prompts as batches of one shape: every prompt once, in order, with its own kind."""

from dataclasses import replace

import numpy as np
import pytest

from model.paper import PaperModel
from model.profile import ProfileModel
from model.prompt import Block, Examples
from service.seen import BATCH_NUMBERS, BATCH_PROMPTS, by_shape, number_count, seen
from service.seen import singles as seen_singles
from tests.model.profiles import asked, learnt, summarised
from tests.monitoring.refits import served_of

MODEL = PaperModel(np.eye(3), noise_variance=0.5)


def singles(B, **shape):
    """Return prompts one by one."""
    block = asked(1, B=B, **shape)[0]
    parts = zip(*block.context, block.queries, strict=True)
    return [Block(Examples(x[None], y[None]), v[None]) for x, y, v in parts]


def test_a_block_is_its_prompts_one_by_one():
    block = asked(1, B=3)[0]

    for row, one in enumerate(seen_singles(block)):
        np.testing.assert_array_equal(one.context.x, block.context.x[row : row + 1])
        np.testing.assert_array_equal(one.context.y, block.context.y[row : row + 1])
        np.testing.assert_array_equal(one.queries, block.queries[row : row + 1])
    assert row == 2


def incomplete(block):
    """Return the same prompt as sums without second moments."""
    found = summarised(block)
    return found._replace(context=replace(found.context, scatter=None))


def test_prompts_of_one_shape_are_one_batch_in_the_order_they_came():
    one, other = singles(5, M=16), singles(3, M=8)
    mixed = [one[0], other[0], one[1], one[2], other[1], other[2], one[3], one[4]]

    first, second = by_shape(mixed)
    np.testing.assert_array_equal(first.context.x, np.concatenate([b.context.x for b in one]))
    np.testing.assert_array_equal(first.context.y, np.concatenate([b.context.y for b in one]))
    np.testing.assert_array_equal(second.queries, np.concatenate([b.queries for b in other]))


def test_rows_sums_and_sums_without_moments_are_kept_apart():
    block = singles(1)[0]
    found = list(by_shape([block, summarised(block), incomplete(block), summarised(block)]))

    assert [len(one.queries) for one in found] == [1, 2, 1]
    assert [seen(MODEL, one) is None for one in found] == [False, False, True]


def test_queries_of_another_number_are_another_shape():
    assert len(list(by_shape(singles(2, Q=1) + singles(2, Q=2)))) == 2


@pytest.mark.parametrize("M", [16, 4096])
def test_no_batch_is_larger_than_its_bounds(M):
    blocks = singles(BATCH_PROMPTS + 3, M=M)
    batches = list(by_shape(blocks))

    assert sum(len(one.queries) for one in batches) == len(blocks)
    assert max(len(one.queries) for one in batches) <= BATCH_PROMPTS
    assert max(number_count(one) for one in batches) <= BATCH_NUMBERS


@pytest.mark.parametrize("kind", ["paper", "profile"])
def test_what_is_seen_is_the_served_estimator(kind):
    model = MODEL if kind == "paper" else ProfileModel(learnt())
    block = asked(2, B=4)[0]
    found, expected = seen(model, block), served_of(model.estimator(block))

    np.testing.assert_array_equal(found.covariates, block.context.x)
    for name in ("count", "centred", "noise_variance", "inverts"):
        assert getattr(found.served, name) == getattr(expected, name)
    for name in ("inverse", "gram", "products", "queries", "prior_mean", "task_covariance", "rows"):
        np.testing.assert_array_equal(getattr(found.served, name), getattr(expected, name))


def test_sums_are_seen_with_their_mean_and_scatter():
    block = summarised(asked(2, B=4)[0])
    found = seen(MODEL, block)

    assert found.served.rows is None
    np.testing.assert_array_equal(found.covariates.mean, block.context.mean)
    np.testing.assert_array_equal(found.covariates.scatter, block.context.scatter)


def test_numbers_are_counted():
    block = asked(2, B=4, M=16, Q=3)[0]

    assert number_count(block) == 4 * (16 * 3 + 3 * 3)
    assert number_count(summarised(block)) == 4 * (3 * 3 + 3 * 3)
    assert number_count(incomplete(block)) == 4 * (3 + 3 * 3)
