"""The same line in the units of two lengths of a profile."""

from dataclasses import replace

import numpy as np
import pytest

from model.coordinates import ALL, INTERCEPT, centre
from model.em import TaskPrior
from model.unit_change import unit_change
from tests.model.profiles import asked, learnt

TASK = np.array([0.3, -0.7, 1.1, 0.4])


def pair(coordinates):
    """Return the buckets of two lengths, whose units are made to differ."""
    first, second = learnt(coordinates).buckets[:2]
    units = second.units
    other = replace(
        units,
        feature_mean=units.feature_mean + 0.7 * units.feature_scale,
        feature_scale=units.feature_scale * np.array([2.0, 0.5, 3.0]),
        label_mean=units.label_mean - 4.0,
        label_scale=units.label_scale * 1.5,
        label_variance=units.label_variance * 2.0,
    )
    return first, replace(second, units=other)


def line(bucket, block, task):
    """Return the natural answers of a task to the block's queries, less means where centred."""
    made = centre(block, bucket.units, bucket.coordinates)
    if bucket.has_intercept:
        z = made.queries + made.mean[:, None]
        return made.label_origin[:, None] + made.label_unit[:, None] * (task[0] + z @ task[1:])
    return made.label_unit[:, None] * (made.queries @ task)


@pytest.mark.parametrize("coordinates", (INTERCEPT, "centred"))
def test_a_task_is_the_same_line_in_other_units(coordinates):
    here, there = pair(coordinates)
    task = TASK[: len(here.prior_mean)]
    change = unit_change(here, there)
    block = asked(0, 4)[0]

    moved = change.matrix @ task + change.offset

    assert line(there, block, moved) == pytest.approx(line(here, block, task), rel=1e-12)


@pytest.mark.parametrize("coordinates", ALL)
def test_there_and_back_is_where_it_was(coordinates):
    here, there = pair(coordinates)
    prior = here.prior

    back = unit_change(there, here).prior(unit_change(here, there).prior(prior))

    assert back.mean == pytest.approx(prior.mean, rel=1e-9, abs=1e-12)
    assert back.covariance == pytest.approx(prior.covariance, rel=1e-9, abs=1e-12)
    assert back.noise_variance == pytest.approx(prior.noise_variance)


def test_rows_move_with_their_units():
    here, there = pair(INTERCEPT)
    change, x = unit_change(here, there), np.array([21.0, -2.5, 600.0])

    z, other = (
        (x - bucket.units.feature_mean) / bucket.units.feature_scale for bucket in (here, there)
    )

    assert change.mean(z) == pytest.approx(other)
    assert change.covariance(np.outer(z, z)) == pytest.approx(
        np.outer(z, z) * np.outer(change.stretch, change.stretch)
    )


def test_noise_is_in_label_units():
    here, there = pair(INTERCEPT)
    prior = TaskPrior(TASK, np.eye(4), 0.5)

    natural = 0.5 * here.units.label_scale**2

    moved = unit_change(here, there).prior(prior).noise_variance
    assert moved * there.units.label_scale**2 == pytest.approx(natural)
