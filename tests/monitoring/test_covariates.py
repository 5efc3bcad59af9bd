"""The law of the covariates: digits kept, lengths told apart, prompts as the formulas say."""

import numpy as np
import pytest

from monitoring.covariates import (
    Normal,
    prompt_statistics,
    statistics_in_order,
    summary_statistics,
    upper,
)


def correlated(rng, size, d=3):
    mixing = np.eye(d) + 0.4 * np.triu(np.ones((d, d)), 1)
    return rng.normal(size=(*size, d)) @ mixing


def test_whitened_rows_of_the_reference_have_mean_zero_and_unit_covariance():
    prompts = list(correlated(np.random.default_rng(1), (50, 30)) * [1e-6, 1.0, 1e7])
    normal = Normal.fit(prompts)
    z = (np.concatenate(prompts) - normal.mean) @ normal.whitening

    assert normal.dropped_count == 0
    assert z.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert z.T @ z / len(z) == pytest.approx(np.eye(3), abs=1e-9)


def test_statistics_of_a_prompt_are_those_of_its_whitened_rows():
    rng = np.random.default_rng(2)
    normal = Normal.fit(list(correlated(rng, (60, 20))))
    x = correlated(rng, (4, 7)) + 0.3
    means, moments, tails = prompt_statistics(normal, x)

    for prompt, mean, moment, tail in zip(x, means, moments, tails, strict=True):
        z = np.array([normal.whitening.T @ (row - normal.mean) for row in prompt])
        assert mean == pytest.approx(z.mean(axis=0))
        assert moment == pytest.approx(sum(np.outer(row, row) for row in z) / 7)
        assert tail == np.mean([row @ row > normal.tail_radius for row in z])


def test_one_row_in_a_hundred_of_the_reference_lies_in_the_tail():
    prompts = list(correlated(np.random.default_rng(3), (100, 50)))
    told = statistics_in_order(Normal.fit(prompts), prompts)

    assert told.tail_shares.mean() == pytest.approx(0.01, abs=1e-4)


def test_a_summary_says_what_its_rows_say():
    rng = np.random.default_rng(4)
    normal = Normal.fit(list(correlated(rng, (60, 20))))
    x = correlated(rng, (5, 9)) + 2.0
    centred = x - x.mean(axis=1, keepdims=True)
    means, moments = summary_statistics(normal, 9, x.mean(axis=1), centred.mT @ centred)
    expected = prompt_statistics(normal, x)

    assert means == pytest.approx(expected[0], abs=1e-12)
    assert moments == pytest.approx(expected[1], rel=1e-10)


def test_a_mean_of_a_hundred_million_costs_no_digits():
    prompts = correlated(np.random.default_rng(5), (80, 25))
    far = np.round(prompts * 2.0**20) / 2.0**20  # so that adding 2^27 rounds nothing
    near = Normal.fit(list(far))
    moved = Normal.fit(list(far + 2.0**27))
    expected = prompt_statistics(near, far)
    found = prompt_statistics(moved, far + 2.0**27)

    assert moved.deviation == pytest.approx(near.deviation, rel=1e-7)
    assert found[0] == pytest.approx(expected[0], abs=1e-7)
    assert found[1] == pytest.approx(expected[1], abs=1e-7)


def test_a_constant_and_a_copied_feature_are_dropped():
    x = correlated(np.random.default_rng(6), (40, 30), d=2)
    constant = np.full((40, 30, 1), 1e8 / 3.0)
    prompts = list(np.concatenate([x, x[:, :, :1] * 3.0, constant], axis=2))
    normal = Normal.fit(prompts)

    assert normal.whitening.shape == (4, 2)
    assert normal.dropped_count == 2
    assert normal.deviation[3] == 0.0
    assert np.isfinite(prompt_statistics(normal, np.stack(prompts))[1]).all()


def uneven_prompts(rng, lengths, prompt_count, spread):
    chosen = rng.choice(lengths, size=prompt_count)
    return [rng.normal(size=(M, 2)) + spread * rng.normal(size=2) for M in chosen.tolist()]


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_deviations_hold_at_a_length_that_was_never_seen(spread):
    rng = np.random.default_rng(7)
    normal = Normal.fit(uneven_prompts(rng, [6, 12, 50, 100], 4000, spread))
    fresh = np.stack(uneven_prompts(rng, [25], 6000, spread))
    means, moments, tails = prompt_statistics(normal, fresh)

    assert normal.mean_deviation(25) == pytest.approx(means.std(axis=0), rel=0.07)
    assert normal.moment_deviation(25) == pytest.approx(upper(moments).std(axis=0), rel=0.07)
    assert normal.tail_deviation(25) == pytest.approx(tails.std(), rel=0.15)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_one_length_is_told_apart_by_the_rows_within_prompts(spread):
    rng = np.random.default_rng(8)
    normal = Normal.fit(uneven_prompts(rng, [10], 4000, spread))
    power = 1.0 + spread**2  # of a row, which whitening divides by

    assert normal.mean_within * power == pytest.approx([1.0, 1.0], rel=0.05)
    assert normal.mean_between * power == pytest.approx([spread**2] * 2, abs=0.015)
    assert normal.mean_deviation(10) ** 2 * power == pytest.approx([spread**2 + 0.1] * 2, rel=0.07)


def test_prompts_too_far_off_for_squares_are_not_finite_and_raise_no_warning():
    normal = Normal.fit(list(correlated(np.random.default_rng(9), (40, 10))))
    x = np.ones((2, 5, 3))
    x[0, 0] = 1e300
    x[1, 0] = np.nan
    _, moments, _ = prompt_statistics(normal, x)

    assert not np.isfinite(moments).any(axis=(1, 2)).any()


def test_arrays_give_the_law_back_to_the_last_bit():
    normal = Normal.fit(list(correlated(np.random.default_rng(10), (40, 10))))
    again = Normal.from_arrays({**normal.to_arrays(), "other": np.zeros(1)})

    for name, array in normal.to_arrays().items():
        assert array.dtype == np.float64
        assert again.to_arrays()[name].tobytes() == array.tobytes()


def test_statistics_keep_the_order_of_prompts_of_several_lengths():
    rng = np.random.default_rng(11)
    prompts = [correlated(rng, (M,)) for M in (9, 4, 9, 6, 4)]
    normal = Normal.fit(prompts)
    told = statistics_in_order(normal, prompts)

    assert told.counts.tolist() == [9, 4, 9, 6, 4]
    for place, prompt in enumerate(prompts):
        mean = prompt_statistics(normal, prompt[None])[0][0]
        assert told.means[place] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize(
    ("prompts", "complaint"),
    [([np.eye(2)], "at least 2, got 1"), ([np.ones((3, 2))] * 5, "feature that varies")],
)
def test_too_few_prompts_and_constants_are_refused(prompts, complaint):
    with pytest.raises(ValueError, match=complaint):
        Normal.fit(prompts)


@pytest.mark.parametrize("with_copy", [False, True])
def test_no_direction_gathers_what_the_reference_leaves_uncertain(with_copy):
    rng = np.random.default_rng(12)
    prompts = rng.normal(size=(100, 20, 30))  # 2000 rows: eigenvalues of their covariance ± 25 %
    fresh = rng.normal(size=(2000, 20, 30))
    if with_copy:
        prompts, fresh = (np.concatenate([x, x[:, :, :1]], axis=2) for x in (prompts, fresh))
    moments = prompt_statistics(Normal.fit(list(prompts)), fresh)[1].mean(axis=0)

    assert np.abs(np.diag(moments) - 1.0).max() < 4.5 * np.sqrt(2.0 / 2000)


def test_of_many_features_the_directions_that_vary_most_are_watched():
    rng = np.random.default_rng(0)
    spread = np.concatenate([np.full(60, 3.0), np.full(40, 0.5)])
    shared = rng.normal(size=(60, 50, 1))
    prompts = list(rng.normal(size=(60, 50, 100)) * spread + 5.0 * shared)

    normal = Normal.fit(prompts)
    z = np.concatenate(prompts) - normal.mean
    z = z @ normal.whitening

    assert normal.whitening.shape == (100, 64)
    assert normal.dropped_count == 36
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(64), atol=1e-9)
