"""Prompts drawn from history: whole groups, real windows, every group equally often."""

import numpy as np
import pytest

from model.history import Group, History, draw


def history(sizes, is_ordered=False, d=2):
    """Return groups whose label is 1000 · group + row, and whose features repeat it."""
    groups = []
    for place, size in enumerate(sizes):
        y = 1000.0 * place + np.arange(size)
        groups.append(Group(str(place), np.repeat(y[:, None], d, axis=1), y))
    return History(tuple(groups), is_ordered)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_prompt_holds_rows_of_one_group_each_once(is_ordered):
    prompts = draw(history([30, 12, 40], is_ordered), 9, 50, seed=1)

    for b in range(50):
        asked = prompts.targets[b][prompts.weight[b] == 1.0]
        rows = np.concatenate([prompts.y[b], asked])
        assert set(rows // 1000) == {prompts.groups[b]}
        assert len(set(rows)) == len(rows)
        assert len(asked) == min(16, [30, 12, 40][prompts.groups[b]] - 9)
    np.testing.assert_array_equal(prompts.x[..., 0], prompts.y)
    np.testing.assert_array_equal(prompts.queries[..., 1], prompts.targets)


def test_where_rows_follow_time_the_queries_follow_the_examples_without_a_gap():
    prompts = draw(history([60], is_ordered=True), 8, 40, seed=2)

    rows = np.concatenate([prompts.y, prompts.targets], axis=1)

    np.testing.assert_array_equal(np.diff(rows, axis=1), 1.0)
    assert len(set(rows[:, 0])) > 10


def test_a_large_group_gives_no_more_prompts_than_a_small_one():
    prompts = draw(history([1000, 20, 20, 11, 10]), 8, 40, seed=3)

    assert np.bincount(prompts.groups).tolist() == [10, 10, 10, 10]


def test_the_same_seed_draws_the_same_prompts_and_another_seed_others():
    first, again = (draw(history([50, 50]), 8, 10, seed=4) for _ in range(2))

    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.y, draw(history([50, 50]), 8, 10, seed=5).y)


def test_groups_too_short_for_a_prompt_and_three_queries_are_said_to_be():
    with pytest.raises(ValueError, match="at least one of 11 rows or more, got none"):
        draw(history([10, 10]), 8, 10, seed=0)
