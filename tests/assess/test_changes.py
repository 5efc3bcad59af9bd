"""Prompts under changed conditions: laws of the maps, and labels that follow or stay."""

from datetime import date

import numpy as np
import pytest

from model.features import Category, Date, Number
from model.history import History, Prompts, draw
from service.assess.changes import (
    FEATURE_NOISE,
    SOME,
    Scene,
    changes,
    moved,
    rotation,
    together,
    written,
)
from service.assess.relation import relation, usual
from tests.assess.linear_world import history


def scene(noise=0.0, sources=None, **world):
    whole, _ = history(group_count=8, noise=noise, **world)
    prompts, known = draw(whole, 16, 40, 0), usual(whole)
    slopes = relation(whole.groups, whole, known.deviation).slopes[prompts.groups]
    named = sources or tuple(Number(name=f"c{i}") for i in range(3))
    return Scene(prompts, known, named, slopes, 0.5, np.array([1.0, 3.0, 2.0]), 0)


def by_code(made):
    return {(one.code, one.strength, one.columns): one.prompts for one in changes(made)}


def test_in_a_changed_world_labels_are_those_that_the_groups_own_line_gives():
    made = scene()
    whole, slopes = history(group_count=8, noise=0.0)
    levels = np.array([g.y[0] - g.x[0] @ w for g, w in zip(whole.groups, slopes, strict=True)])
    own, level = slopes[made.prompts.groups][:, :, None], levels[made.prompts.groups][:, None]
    worlds = [p for (code, _, _), p in by_code(made).items() if code in WORLDS]

    assert len(worlds) == 9
    for prompts in worlds:
        assert not np.allclose(prompts.x, made.prompts.x)
        np.testing.assert_allclose(prompts.y, (prompts.x @ own)[..., 0] + level, atol=1e-4)
        np.testing.assert_allclose(
            prompts.targets, (prompts.queries @ own)[..., 0] + level, atol=1e-4
        )


WORLDS = ("scale", "mean", "rotation", "correlation")


def test_scale_and_mean_are_deviations_of_the_history_about_its_mean():
    made = scene()
    rows = np.concatenate([group.x for group in history(group_count=8, noise=0.0)[0].groups])
    found = by_code(made)
    scaled, higher = found["scale", 2.0, ()], found["mean", 0.5, ()]

    mean = rows.mean(axis=0)
    np.testing.assert_allclose(scaled.x, mean + 2.0 * (made.prompts.x - mean))
    np.testing.assert_allclose(higher.queries, made.prompts.queries + 0.5 * rows.std(axis=0))


@pytest.mark.parametrize("f", [2, 5])
def test_a_rotation_is_one_and_its_largest_angle_is_as_asked(f):
    turn = rotation(f, np.deg2rad(30.0), np.random.default_rng(0))
    angles = np.abs(np.angle(np.linalg.eigvals(turn)))

    np.testing.assert_allclose(turn @ turn.T, np.eye(f), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    assert np.rad2deg(angles.max()) == pytest.approx(30.0)


def test_columns_made_to_go_together_keep_their_variance_and_lose_their_independence():
    correlation = np.array([[1.0, -0.3, 0.0], [-0.3, 1.0, 0.1], [0.0, 0.1, 1.0]])
    A = together(correlation, 0.5)
    now = A @ correlation @ A.T

    np.testing.assert_allclose(np.diag(now), 1.0)
    assert now[0, 1] < -0.3 - 0.2  # what goes against each other does so more
    assert (np.abs(now) > np.abs(correlation) + 0.1)[np.triu_indices(3, 1)].all()
    np.testing.assert_allclose(together(correlation, 0.0), np.eye(3))


def test_errors_in_the_data_leave_the_truth_as_it_was():
    made = scene(noise=0.5)
    for (code, strength, columns), prompts in by_code(made).items():
        if code in WORLDS:
            continue
        assert prompts.targets is made.prompts.targets, (code, strength, columns)
        if code != "label_noise":
            kept = prompts.y.shape[1]
            np.testing.assert_array_equal(prompts.y, made.prompts.y[:, -kept:])


def test_noise_of_labels_doubles_what_was_learnt_and_noise_of_columns_is_half_a_deviation():
    made = scene(noise=0.5, row_count=60)
    found = by_code(made)
    labels = found["label_noise", 2.0, ()].y - made.prompts.y
    columns = found["feature_noise", FEATURE_NOISE, ()].x - made.prompts.x

    assert np.sqrt(labels.var() + 0.5**2) == pytest.approx(2.0 * 0.5, rel=0.05)
    within = made.usual.within
    np.testing.assert_allclose(columns.std(axis=(0, 1)), FEATURE_NOISE * within, rtol=0.08)


def test_gaps_are_in_the_columns_most_relied_upon_and_in_the_middle():
    found = by_code(scene())
    whole, part = found["missing", 1.0, ("c1",)], found["missing", SOME, ("c1",)]

    assert np.isnan(whole.x[..., 1]).all() and np.isnan(whole.queries[..., 1]).all()
    assert not np.isnan(whole.x[..., [0, 2]]).any()
    assert np.isnan(part.x[..., 1]).mean() == pytest.approx(SOME, abs=0.04)
    assert ("missing", 1.0, ("c2",)) in found and ("missing", 1.0, ("c0",)) not in found


def test_a_category_without_value_is_any_other_and_a_date_and_a_clock_have_no_scale():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, size=(20, 30))
    x = np.stack([np.sin(angle), np.cos(angle), rng.random((20, 30)) < 0.4, angle], axis=2)
    prompts = Prompts(x, angle, x[:, :4], angle[:, :4], np.ones((20, 4)), np.arange(20))
    groups = history(group_count=2)[0].groups
    whole = History(
        tuple(type(groups[0])("g", row, y) for row, y in zip(x, angle, strict=True)), False
    )
    sources = (
        *(Number(name="sin"), Number(name="cos"), Category(name="kind", levels=("a",))),
        Date(name="day", origin=date(2024, 1, 1)),
    )
    made = Scene(prompts, usual(whole), sources, np.zeros((20, 4)), 1.0, np.array([0, 0, 2, 1]), 0)
    found = by_code(made)

    assert len(made.free()) == 0
    assert {code for code, _, _ in found} == {
        *("label_noise", "missing_category", "missing", "fewer_examples")
    }
    assert not found["missing_category", 1.0, ("kind",)].x[..., 2].any()


def test_a_share_of_the_rows_is_misread_and_the_others_are_not():
    made = scene()
    wrong = written(made.prompts, np.array([1]), (1.8, 32.0), SOME, np.random.default_rng(0))
    moved_rows = wrong.x[..., 1] != made.prompts.x[..., 1]

    assert moved_rows.mean() == pytest.approx(SOME, abs=0.04)
    np.testing.assert_allclose(
        wrong.x[moved_rows][:, 1], 1.8 * made.prompts.x[moved_rows][:, 1] + 32.0
    )
    np.testing.assert_array_equal(wrong.x[..., 0], made.prompts.x[..., 0])


def test_fewer_examples_are_the_last_ones():
    made = scene()
    found = by_code(made)["fewer_examples", 4.0, ()]

    np.testing.assert_array_equal(found.x, made.prompts.x[:, -4:])
    np.testing.assert_array_equal(found.queries, made.prompts.queries)


def test_a_single_column_of_numbers_is_neither_turned_nor_tied():
    whole, _ = history(group_count=8)
    one = History(tuple(type(g)(g.name, g.x[:, :1], g.y) for g in whole.groups), False)
    prompts, known = draw(one, 16, 40, 0), usual(one)
    made = Scene(prompts, known, (Number(name="c0"),), np.ones((40, 1)), 0.5, np.ones(1), 0)

    assert {code for code, _, _ in by_code(made)} == {
        *("scale", "mean", "label_noise", "feature_noise", "missing", "wrong_unit"),
        *("wrong_unit_some", "fewer_examples"),
    }


def test_long_groups_keep_their_own_slopes_and_short_ones_lean_on_all():
    whole, slopes = history(group_count=40, row_count=400)
    own = relation(whole.groups, whole, np.ones(3))
    np.testing.assert_allclose(own.slopes, slopes, atol=0.25)
    assert own.noise == pytest.approx(0.5, rel=0.05)

    noisy, slopes = history(group_count=40, row_count=6, noise=5.0)
    own = relation(noisy.groups, noisy, np.ones(3))
    least = [
        np.linalg.lstsq(g.x - g.x.mean(0), g.y - g.y.mean(), rcond=None)[0] for g in noisy.groups
    ]
    assert np.abs(own.slopes - slopes).mean() < 0.5 * np.abs(np.array(least) - slopes).mean()


def test_moved_by_nothing_is_unmoved():
    made = scene()
    same = moved(made, made.free(), np.multiply, 1.0)

    np.testing.assert_array_equal(same.x, made.prompts.x)
    np.testing.assert_array_equal(same.y, made.prompts.y)
