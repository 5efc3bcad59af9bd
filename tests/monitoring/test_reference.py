"""A reference: its own mean is 1, its buckets, its id, and its way through a file."""

from dataclasses import fields, replace

import numpy as np
import pytest

from monitoring.baseline import build
from monitoring.reference import Baselines, Reference, inflations
from tests.monitoring.quiet import quiet, reference

TWO_LENGTHS = ((300, 8), (300, 40))


def arrays():
    return {name: values.copy() for name, values in reference().to_arrays().items()}


def test_the_mean_inflation_of_the_reference_itself_is_one():
    observed = quiet(TWO_LENGTHS).observed
    own = reference(TWO_LENGTHS).inflations(observed.counts, observed.predicted, observed.loo)

    np.testing.assert_allclose(own.clipped.mean(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(own.ratios.mean(axis=0), 1.0, rtol=1e-12)


def test_the_clip_is_undone_by_its_own_mean():
    lengths, errors = np.full(100, 8.0), np.r_[np.full(99, 1.0), 1000.0]
    base = Baselines(np.array([8.0]), np.array([100.0]), *np.full((7, 1), errors.mean()))
    plain = inflations(base, np.ones(2), lengths, errors, errors)
    kappa = plain.clipped.mean(axis=0)

    own = inflations(base, kappa, lengths, errors, errors)
    assert kappa[0] == pytest.approx((99 / 10.99 + 20.0) / 100)
    np.testing.assert_allclose(own.clipped.mean(axis=0), 1.0)
    np.testing.assert_array_equal(own.at_clip.sum(axis=0), [1.0, 1.0])
    assert own.ratios.max() == pytest.approx(1000 / 10.99)


def test_a_prompt_belongs_to_the_nearest_length_in_ratio_that_holds_prompts():
    base = reference(TWO_LENGTHS).baselines

    np.testing.assert_array_equal(base.lengths, [8.0, 40.0])
    np.testing.assert_array_equal(
        base.place(np.array([2.0, 8.0, 17.8, 17.9, 40.0, 9e5])), [0, 0, 0, 1, 1, 1]
    )


def test_between_two_lengths_normal_goes_as_a_power_of_the_length():
    """Below the shortest it goes on so, above the longest it stays: noise is a floor."""
    base = reference(TWO_LENGTHS).baselines
    power = np.log(base.natural[1] / base.natural[0]) / np.log(5.0)
    lengths = np.array([4.0, 8.0, 16.0, 17.8, 18.0, 40.0, 400.0])

    assert power < 0.0
    h = base.predicted[0] * (np.minimum(lengths, 40.0) / 8.0) ** power
    np.testing.assert_allclose(base.normal("predicted", lengths), h)
    loo = base.loo[[0, 0, 0, 0, 1, 1, 1]] * h / base.predicted[[0, 0, 0, 0, 1, 1, 1]]
    np.testing.assert_allclose(base.normal("loo", lengths), loo)


def test_one_length_is_normal_for_all():
    base = reference().baselines

    normal = base.normal("loo", np.array([2.0, 20.0, 500.0]))
    np.testing.assert_array_equal(normal, np.full(3, base.loo[0]))


def test_fewer_examples_than_any_are_never_expected_to_err_less():
    """Where chance makes longer prompts of the reference err more, that slope is not gone on."""
    base = replace(reference(TWO_LENGTHS).baselines, natural=np.array([1.0, 2.0]))

    normal = base.normal("predicted", np.array([2.0, 8.0]))
    np.testing.assert_array_equal(normal, np.full(2, base.predicted[0]))


def test_errors_are_measured_against_prompts_of_their_own_length():
    base = reference(TWO_LENGTHS).baselines
    lengths = np.array([8.0, 40.0])

    found = reference(TWO_LENGTHS).inflations(lengths, base.predicted, base.loo)
    np.testing.assert_allclose(found.ratios, 1.0)
    mean = (300 * base.predicted[0] + 300 * base.predicted[1]) / 600
    effect = reference(TWO_LENGTHS).length_effect(lengths)
    np.testing.assert_allclose(effect, base.predicted / mean)


def test_lengths_are_compared_in_one_unit():
    """A profile may have other working units for long prompts than for short ones."""
    found = quiet(TWO_LENGTHS)
    units = np.where(found.observed.counts > 8.0, 3.0, 1.0)
    observed = found.observed._replace(predicted=found.observed.predicted / units**2)
    made = build(found._replace(observed=observed, label_units=units), "paper")

    lengths = np.array([8.0, 40.0])
    np.testing.assert_allclose(
        made.length_effect(lengths), reference(TWO_LENGTHS).length_effect(lengths)
    )
    assert made.length_effect(lengths)[0] > 1.0 > made.length_effect(lengths)[1]


def test_a_prompt_without_a_number_has_none_over_normal():
    found = reference().inflations(np.array([20.0]), np.array([1.0]), np.array([np.nan]))

    assert np.isnan([found.clipped[0, 1], found.ratios[0, 1]]).all()
    assert found.at_clip[0, 1] == 0.0


def test_one_wild_prompt_leaves_digits_for_the_others():
    observed = quiet().observed.take(np.arange(3))
    wild = observed._replace(predicted=observed.predicted * [1.0, 1e200, 1.0])

    limited = reference().baselines.limited(wild)
    most = 1e6 * reference().baselines.predicted[0]
    np.testing.assert_array_equal(
        limited.predicted, [observed.predicted[0], most, observed.predicted[2]]
    )
    np.testing.assert_array_equal(limited.loo, observed.loo)


def test_the_reference_comes_back_to_the_last_bit(tmp_path):
    np.savez(tmp_path / "r.npz", **arrays())
    with np.load(tmp_path / "r.npz") as stored:
        back = Reference.from_arrays(dict(stored))

    assert back.id == reference().id
    assert (back.window_prompts, back.feature_count, back.group_count) == (100, 2, 0)
    assert (back.row_count, back.prompt_count, back.noise_variance) == (8000, 400, 0.5)
    for name, values in back.to_arrays().items():
        np.testing.assert_array_equal(values, reference().to_arrays()[name])


def test_the_id_changes_with_any_number():
    ids = {reference().id}
    for name, values in arrays().items():
        changed = arrays()
        flat = values.reshape(-1)
        flat[-1] = np.nextafter(flat[-1], np.inf) if name not in ("single", "combo.seed") else 777.0
        changed[name] = flat.reshape(changed[name].shape)
        if name in ("combo.block_prompts",):
            changed[name] = changed[name] + 1.0
        ids.add(Reference.from_arrays(changed).id)

    assert len(ids) == 1 + len(arrays())


def test_the_id_is_eight_hex_digits_of_all_of_it():
    assert len(reference().id) == 8
    assert int(reference().id, 16) >= 0
    other = replace(reference(), noise_variance=0.5)
    assert other.id == reference().id


@pytest.mark.parametrize("name", sorted(arrays()))
def test_a_missing_array_is_named(name):
    found = arrays()
    del found[name]

    with pytest.raises(ValueError, match=f"reference: expected an array {name}, got none"):
        Reference.from_arrays(found)


@pytest.mark.parametrize("name", sorted(arrays()))
def test_an_array_of_another_shape_is_named(name):
    found = arrays()
    found[name] = np.ones((2, 3, 4))

    with pytest.raises(ValueError, match=f"array {name}: expected shape .*, got .2, 3, 4."):
        Reference.from_arrays(found)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", sorted(arrays()))
def test_an_array_that_is_not_finite_is_named(name, value):
    found = arrays()
    found[name].reshape(-1)[0] = value

    with pytest.raises(ValueError, match=f"array {name}: expected finite numbers, got others"):
        Reference.from_arrays(found)


def test_baselines_of_different_buckets_do_not_agree():
    found = arrays()
    found["baselines.loo"] = np.ones(3)

    with pytest.raises(
        ValueError, match=r"array baselines\.loo: expected shape \(1,\), got \(3,\)"
    ):
        Reference.from_arrays(found)


@pytest.mark.parametrize("name", ["baselines.predicted", "baselines.loo", "clip_means"])
def test_an_error_of_nothing_is_no_normal(name):
    found = arrays()
    found[name][0] = 0.0

    with pytest.raises(ValueError, match=f"array {name}: expected numbers above 0, got 0"):
        Reference.from_arrays(found)


def test_features_that_are_counted_otherwise_are_refused():
    found = arrays()
    found["single"][1] = 3.0

    with pytest.raises(ValueError, match="expected sizes that agree, got 3 features, 2 of them"):
        Reference.from_arrays(found)


def test_every_baseline_is_stored():
    assert {f"baselines.{one.name}" for one in fields(Baselines)} <= set(arrays())
