"""A profile recalibrated from sums: what it repairs, what it leaves, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from model.coordinates import ALL
from model.profile import ProfileModel
from model.profile_fit import fit
from model.prompt import Block, Examples
from model.recalibrate import recalibrated_profile
from tests.model.profiles import CENTRE, FOUNDATION, SPREAD, asked, history, learnt
from tests.model.windows import window

TURN = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
SHIFTS = {
    "none": lambda x: x,
    "twice the spread": lambda x: CENTRE + 2.0 * (x - CENTRE),
    "turned": lambda x: CENTRE + ((x - CENTRE) / SPREAD @ TURN) * SPREAD,
    "one column mirrored": lambda x: CENTRE + (x - CENTRE) * np.array([1.0, 1.0, -1.0]),
    "means moved": lambda x: x + 0.8 * SPREAD,
    "another unit of one": lambda x: x * np.array([1.0, 1.8, 1.0]),
}


def changed(block, change):
    x, y = block.context
    return Block(Examples(change(x), y), change(block.queries))


def basis(parameters, length):
    """Return a basis for the ridge of prompts like those of the history."""
    p = len(parameters.bucket(length).prior_mean)
    return np.eye(p) / np.sqrt(0.05)


def windows(parameters, change, counts, seed=1):
    model = ProfileModel(parameters)
    return [
        window(model, changed(asked(seed + M, count, M, 1)[0], change), basis(parameters, M))
        for M, count in counts.items()
    ]


def error(parameters, change, length=16):
    block, truth = asked(99, 300, length, 4)
    model = ProfileModel(parameters, fallback=FOUNDATION)
    return float(np.mean((model.answer(changed(block, change)).predictions - truth) ** 2))


@pytest.mark.parametrize("coordinates", ALL)
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_that_can_be_undone_is_undone(shift, coordinates):
    served, change = learnt(coordinates), SHIFTS[shift]
    usual = error(served, SHIFTS["none"])

    made = recalibrated_profile(served, windows(served, change, {16: 256}))

    assert error(made, change) <= 1.1 * usual


def test_shifts_of_the_test_do_harm():
    served = learnt("intercept")
    usual = error(served, SHIFTS["none"])

    harm = {shift: error(served, change) / usual for shift, change in SHIFTS.items()}

    assert sorted(harm.values())[1] > 1.2, harm


def test_few_prompts_of_every_length_speak_for_all():
    served, change = learnt("intercept"), SHIFTS["turned"]

    made = recalibrated_profile(served, windows(served, change, dict.fromkeys((8, 16, 32), 20)))

    for length in (8, 16, 32, 64):
        assert error(made, change, length) <= 1.2 * error(served, SHIFTS["none"], length)


def test_a_length_that_sent_nothing_follows_the_others():
    served, change = learnt("intercept"), SHIFTS["one column mirrored"]

    made = recalibrated_profile(served, windows(served, change, {32: 256}))

    assert [bucket.length for bucket in made.buckets] == [8, 16, 32, 64]
    assert error(made, change, 8) <= 1.2 * error(served, SHIFTS["none"], 8)


def test_a_length_of_other_coordinates_that_sent_nothing_is_left_out():
    mixed = replace(
        learnt("intercept"),
        buckets=(learnt("centred").buckets[0], *learnt("intercept").buckets[1:]),
    )

    made = recalibrated_profile(mixed, windows(mixed, SHIFTS["none"], {32: 60}))

    assert [bucket.length for bucket in made.buckets] == [16, 32, 64]
    assert {bucket.coordinates for bucket in made.buckets} == {"intercept"}


def test_units_and_coordinates_stay_and_covariates_are_those_of_the_window():
    served, change = learnt("intercept"), SHIFTS["twice the spread"]
    block = changed(asked(17, 256, 16, 1)[0], change)
    (told,) = [window(ProfileModel(served), block, basis(served, 16))]

    old, new = served.bucket(16), recalibrated_profile(served, [told]).bucket(16)

    z = (block.context.x - old.units.feature_mean) / old.units.feature_scale
    within = np.mean([np.cov(rows.T) for rows in z], axis=0)
    assert new.units is old.units
    assert new.within == pytest.approx(within, rel=1e-9)
    assert new.mean == pytest.approx(z.mean(axis=(0, 1)), rel=1e-9)
    assert new.expected_gram(16) == pytest.approx(new.expected_gram(16).T)
    assert np.linalg.eigvalsh(new.prior_covariance)[0] > 0.0
    assert new.reference.mean == pytest.approx(block.context.x.mean(axis=(0, 1)), rel=1e-9)
    assert new.reference.sd == pytest.approx(block.context.x.std(axis=(0, 1)), rel=0.01)
    assert new.reference.reach is old.reference.reach


def test_prompts_of_the_new_kind_are_in_range_and_a_wrong_unit_is_not():
    served = learnt("intercept")

    def far(x):
        return x + 30.0 * SPREAD

    near = changed(asked(5, 64, 16, 1)[0], lambda x: x + 4.0 * SPREAD)
    told = window(ProfileModel(served), near, basis(served, 16))
    made = ProfileModel(recalibrated_profile(served, [told]), fallback=FOUNDATION)

    modes = [made.answer(changed(near, change)).modes[0] for change in (lambda x: x, far)]
    assert modes == [ProfileModel.mode, FOUNDATION.mode]


def test_quiet_prompts_change_answers_little():
    served = learnt("intercept")

    made = recalibrated_profile(served, windows(served, SHIFTS["none"], {16: 128}))

    assert error(made, SHIFTS["none"]) == pytest.approx(error(served, SHIFTS["none"]), rel=0.04)


def test_sums_come_near_to_learning_from_the_rows_themselves():
    served, change = learnt("intercept"), SHIFTS["turned"]
    moved = history()
    moved = replace(
        moved, groups=tuple(replace(group, x=change(group.x)) for group in moved.groups)
    )
    again = fit(moved, coordinates="intercept")

    made = recalibrated_profile(served, windows(served, change, {16: 256}))

    assert error(made, change) <= 1.05 * error(again, change)


def test_too_few_prompts_are_refused():
    served = learnt("intercept")

    with pytest.raises(
        ValueError, match="prompts: expected at least 20 with labels in rows, got 9"
    ):
        recalibrated_profile(served, windows(served, SHIFTS["none"], {16: 9}))
    with pytest.raises(
        ValueError, match="prompts: expected at least 20 with labels in rows, got 0"
    ):
        recalibrated_profile(served, [])
