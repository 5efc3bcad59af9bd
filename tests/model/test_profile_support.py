"""What stands beside a profile's answers: identities, coverage, and blocks of mixed modes."""

from functools import lru_cache

import numpy as np
import pytest

from model.answer import Mode, Solver
from model.intervals import Method
from model.moments import Moments
from model.profile import ProfileModel
from model.profile_support import calibrate_profile, held_out_folds
from model.prompt import Block, Examples
from model.support import Wanted
from tests.model.profiles import FOUNDATION, asked, history, learnt, summarised

WANTED = Wanted((0.8, 0.95), True)


@lru_cache
def model(coordinates=None):
    parameters = learnt(coordinates)
    found = calibrate_profile(
        held_out_folds(history(), parameters, 0), lambda of: ProfileModel(of).smoother
    )
    return ProfileModel(parameters, fallback=FOUNDATION, calibration=found)


@pytest.mark.parametrize("coordinates", ["int", "pp", "yp", "xy"])
@pytest.mark.parametrize("M", [8, 16, 40])
def test_an_explanation_adds_up_to_the_answer_in_both_ways(coordinates, M):
    block, _ = asked(1, B=20, M=M)
    found = model(coordinates).support(block, WANTED)
    coefficients, intercepts, shares, weights, _ = found.explanation
    by_weights = (weights @ block.context.y[..., None])[..., 0] + shares
    by_slopes = (block.queries @ coefficients[..., None])[..., 0] + intercepts[:, None]

    np.testing.assert_allclose(by_weights, found.answer.predictions, rtol=1e-9)
    np.testing.assert_allclose(by_slopes, found.answer.predictions, rtol=1e-9)


@pytest.mark.slow
def test_the_answer_is_the_one_without_anything_beside():
    block, _ = asked(2, B=20)
    found = model().support(block, WANTED).answer
    plain = model().answer(block)

    np.testing.assert_allclose(found.predictions, plain.predictions, rtol=1e-12)
    assert (found.modes, found.solvers) == (plain.modes, plain.solvers)


@pytest.mark.slow
@pytest.mark.parametrize("M", [8, 16, 40])
def test_intervals_cover_unseen_tasks_as_often_as_they_say(M):
    block, targets = asked(3, B=1500, M=M)
    found = model().support(block, WANTED)
    lower, upper = found.intervals.bounds(found.answer.predictions)  # (B, Q, L)
    inside = (lower <= targets[..., None]) & (targets[..., None] <= upper)

    assert found.intervals.method == Method.CALIBRATED
    for level, share in zip(WANTED.levels, inside.mean(axis=(0, 1)), strict=True):
        chance = 4 * np.sqrt(level * (1 - level) / 1500)  # three queries of a prompt are as one
        assert share == pytest.approx(level, abs=chance + 0.02)


def test_without_held_out_groups_intervals_say_that_they_are_not_calibrated():
    block, _ = asked(4)
    found = ProfileModel(learnt(), fallback=FOUNDATION).support(block, WANTED)

    assert found.intervals.method == Method.UNCALIBRATED


def test_a_prompt_of_other_units_gets_what_foundation_says_and_its_neighbour_does_not():
    block, _ = asked(5, B=3)
    x, queries = block.context.x.copy(), block.queries.copy()
    x[1], queries[1] = 1000 * x[1], 1000 * queries[1]
    mixed = Block(Examples(x, block.context.y), queries)
    found, alone = model().support(mixed, WANTED), model().support(block, WANTED)
    theirs = FOUNDATION.support(Block(Examples(x[1:2], block.context.y[1:2]), queries[1:2]), WANTED)

    assert list(found.answer.modes) == [Mode.PROFILE, Mode.FOUNDATION, Mode.PROFILE]
    assert found.intervals.method == Method.UNCALIBRATED
    for ours, whole in zip(found.explanation, alone.explanation, strict=True):
        np.testing.assert_allclose(ours[[0, 2]], whole[[0, 2]], rtol=1e-9)
    np.testing.assert_allclose(found.explanation.weights[1], theirs.explanation.weights[0])
    np.testing.assert_allclose(found.intervals.half_widths[1], theirs.intervals.half_widths[0])


def test_a_summary_has_coefficients_and_intervals_and_no_weights():
    block, _ = asked(6)
    found = model().support(summarised(block), WANTED)
    rows = model().support(block, WANTED)

    assert isinstance(summarised(block).context, Moments)
    assert found.explanation.weights is None
    np.testing.assert_allclose(
        found.explanation.coefficients, rows.explanation.coefficients, rtol=1e-8
    )
    assert np.isfinite(found.intervals.half_widths).all()


@pytest.mark.parametrize("coordinates", ["int", "pp", "yp", "xy"])
@pytest.mark.parametrize("bound", [1e9, 0.05, 1e-14])
def test_the_certificate_is_what_the_ladder_stopped_at(coordinates, bound):
    one = ProfileModel(learnt(coordinates), fallback=FOUNDATION, correction_bound=bound)
    block, _ = asked(7, B=40, M=8)
    found = one.support(block, WANTED)
    c = found.explanation.corrections  # (B, Q)
    is_exact = np.array(found.answer.solvers) == Solver.EXACT

    assert (c[~is_exact] <= bound * (1 + 1e-6)).all()
    np.testing.assert_allclose(c[is_exact], 0.0, atol=1e-8)
    if bound == 1e9:  # one pass leaves something, or nothing was tested
        assert not is_exact.any() and np.median(c) > 1e-6
