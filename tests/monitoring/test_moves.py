"""Features by harm and by how far they moved, on windows that can be counted by hand."""

import numpy as np
import pytest

from monitoring.moves import feature_moves, pooled


def test_features_are_listed_by_harm_and_then_by_how_far_they_moved():
    reference = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 0.0, 1.0])
    now = np.array([1.5, 2.0, 3.0, 4.1]), np.array([1.0, 8.0, 0.0, 1.0])
    harmless = feature_moves(reference, now, np.full(4, np.nan))
    harmful = feature_moves(reference, now, np.array([0.1, 0.0, 0.0, 0.9]))

    assert [move.place for move in harmless] == [1, 0, 3, 2]
    assert [move.place for move in harmful] == [3, 0, 1, 2]
    assert harmless[1].score == pytest.approx(0.5)
    assert (harmful[0].mean, harmful[0].reference_mean) == (4.1, 4.0)


def test_a_constant_that_moves_is_infinitely_far():
    moves = feature_moves((np.zeros(1), np.zeros(1)), (np.ones(1), np.zeros(1)), np.full(1, np.nan))

    assert moves[0].score == np.inf


def test_pooled_prompts_have_the_mean_and_deviation_of_all_their_rows():
    rng = np.random.default_rng(7)
    prompts = [rng.normal(size=(M, 2)) + M for M in (3, 9, 5)]
    means = np.array([prompt.mean(axis=0) for prompt in prompts])
    scatters = np.array([((prompt - prompt.mean(axis=0)) ** 2).sum(axis=0) for prompt in prompts])
    mean, deviation = pooled(np.array([3.0, 9.0, 5.0]), means, scatters)
    rows = np.concatenate(prompts)

    assert mean == pytest.approx(rows.mean(axis=0))
    assert deviation == pytest.approx(rows.std(axis=0))
