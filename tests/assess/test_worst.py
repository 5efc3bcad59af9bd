"""Worst groups: planted ones get their reason, and answers come apart without a rest."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from model.features import Category, Date, Number
from model.foundation import FoundationModel
from model.history import Group
from model.profile import ProfileModel
from model.profile_fit import layer_steps, silent
from model.profile_parameters import ProfileParameters
from model.prompt import Block, Examples
from model.support import Wanted
from service.assess.apart import SHARES, take_apart
from service.assess.group_errors import judge_groups, longest
from service.assess.outside import learnt_from
from service.assess.own_line import own_line
from service.assess.reasons import reason
from service.assess.worst import usual_group, worst_groups
from tests.assess.histories_made import (
    NOISE,
    SLOPES,
    D,
    asked_by_hand,
    group,
    groups,
    learnt,
    material_of,
)

pytestmark = pytest.mark.slow  # one profile is fitted for all of them


@pytest.fixture(scope="module")
def fitted():
    """What was learnt, and the profile of it."""
    return learnt(groups(1, 16))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def worst_with(fitted, odd, quiet_rows=30):
    """Return the worst of quiet groups and an odd one."""
    material = material_of(*fitted, (*groups(2, 12, rows=quiet_rows), odd))
    return worst_groups(material, silent)[1][0]


# Reasons


def test_a_group_of_louder_noise_is_called_noisy(fitted, rng):
    found = worst_with(fitted, group(rng, "odd", rows=60, noise=5 * NOISE))

    assert (found.name, found.code, found.detail["cause"]) == ("odd", "noisy", "noise")
    assert found.detail["noise"] == pytest.approx(5 * NOISE, rel=0.3)  # 55 free rows: 10 %
    assert found.detail["usual_noise"] == pytest.approx(NOISE, rel=0.2)
    assert found.ratio > 1.5


def test_a_group_without_much_to_predict_says_so(fitted, rng):
    found = worst_with(fitted, group(rng, "odd", rows=60, slopes=[0.2, 0.1, 0.0, 0.0]))

    assert (found.name, found.code) == ("odd", "noisy")
    assert found.detail["cause"] == "little_to_tell"
    assert found.detail["label_spread"] < 0.5 * found.detail["usual_label_spread"]


def test_a_group_of_another_relation_is_called_shifted(fitted, rng):
    found = worst_with(fitted, group(rng, "odd", rows=30, slopes=[-4.0, *SLOPES[1:]]))

    assert (found.name, found.code, found.detail["column"]) == ("odd", "shifted", "x0")
    assert found.detail["slope"] == pytest.approx(-4.0, abs=0.8)
    assert found.detail["usual_slope"] == pytest.approx(SLOPES[0], abs=0.5)
    assert found.detail["own_error"] < 0.6 * found.detail["error"]
    assert found.detail["error"] == found.error


def test_a_group_of_features_never_learnt_is_unlike_history(fitted, rng):
    x = rng.normal(size=(30, D)) + np.array([0.0, 5.0, 0.0, 0.0])
    odd = Group("odd", x, x @ (SLOPES * [-2, 1, 1, 1]) + rng.normal(size=30))

    found = worst_with(fitted, odd)

    assert (found.name, found.code) == ("odd", "unlike_history")
    assert (found.detail["column"], found.detail["part"]) == ("x1", "feature")
    assert found.detail["direction"] == "above"
    assert found.detail["deviations"] == pytest.approx(np.sqrt(26), abs=0.5)
    assert found.detail["left"] == 0.0


def test_a_group_that_the_profile_leaves_is_unlike_history_whatever_else_it_is(fitted, rng):
    x = rng.normal(size=(30, D)) - [0.0, 0.0, 20.0, 0.0]
    odd = Group("odd", x, x @ SLOPES + 5 * rng.normal(size=30))

    found = worst_with(fitted, odd)

    assert (found.name, found.code, found.detail["column"]) == ("odd", "unlike_history", "x2")
    assert (found.detail["direction"], found.detail["left"]) == ("below", 1.0)
    assert found.base + sum(share.adds for share in found.shares) == pytest.approx(found.answer)


def test_a_group_of_labels_never_learnt_is_unlike_history(fitted, rng):
    odd = group(rng, "odd", rows=30, slopes=-SLOPES, level=15.0)

    found = worst_with(fitted, odd)

    assert (found.name, found.code) == ("odd", "unlike_history")
    assert (found.detail["part"], found.detail["column"]) == ("target", "")
    assert found.detail["middle"] == pytest.approx(15.0, abs=2.0)


@pytest.mark.parametrize("seed", [20, 30])  # of such groups one in three errs most of all
def test_a_group_of_few_rows_gets_fewer_examples_and_says_so(fitted, seed):
    odd = group(np.random.default_rng(seed), "odd", rows=13)

    found = worst_with(fitted, odd, quiet_rows=80)

    assert (found.name, found.code) == ("odd", "few_rows")
    assert (found.detail["examples"], found.detail["usual_examples"]) == (8, 64)
    assert (found.detail["rows"], found.detail["needed"], found.detail["judged"]) == (13, 67, 5)


def test_nothing_is_said_of_quiet_groups(fitted):
    errors, found = worst_groups(material_of(*fitted, groups(4, 12)), silent)

    assert {one.code for one in found} == {"unexplained"}
    assert [one.error for one in found] == list(errors[:-4:-1])
    assert list(errors) == sorted(errors)
    assert len(errors) == 12


def test_the_factors_of_an_error_are_the_error(fitted, rng):
    material = material_of(*fitted, (*groups(2, 6, rows=30), group(rng, "odd", rows=14)))
    judged = judge_groups(material, silent)
    usual = usual_group(material, judged)
    (odd,) = (one for one in judged if one.group.name == "odd")

    few = usual.short_error[8] / usual.error
    noisy = odd.own_error / usual.own_error
    shifted = (odd.error / odd.own_error) / (usual.short_error[8] / usual.own_error)

    assert few * noisy * shifted == pytest.approx(odd.error / usual.error)


def test_without_a_profile_nothing_was_learnt_to_be_unlike(fitted, rng):
    known, profile = fitted
    cold = replace(profile, parameters=replace(profile.parameters, buckets=()), calibration=None)
    odd = group(rng, "odd", rows=30, level=500.0, slopes=-SLOPES)

    errors, found = worst_groups(material_of(known, cold, (*groups(2, 4, rows=30), odd)), silent)

    assert len(errors) == 5
    assert "unlike_history" not in {one.code for one in found}


# Errors by group


def test_a_groups_error_is_the_median_over_its_own_prompts(fitted):
    material = material_of(*fitted, groups(2, 3, rows=30))

    for one in judge_groups(material, silent):
        told, errors = one.asked.prompts, []
        for p in range(len(told.y)):
            block = Block(Examples(told.x[p][None], told.y[p][None]), told.queries[p][None])
            missed = material.model.answer(block).predictions[0] - told.targets[p]
            missed = missed[told.weight[p] > 0.0]
            errors.append(np.sqrt(np.mean(missed**2)) / told.y[p].std())
        assert one.error == pytest.approx(np.median(errors))
        assert all((row == one.group.x).all(axis=1).any() for row in told.x[0])
        assert 8 <= len(told.y) <= 32


def test_every_group_gives_the_longest_prompt_it_can():
    assert [longest(rows, 32) for rows in (10, 11, 18, 19, 34, 35, 900)] == [
        *(0, 8, 8, 16),
        *(16, 32, 32),
    ]


def test_a_group_whose_labels_never_change_has_no_error(fitted):
    flat = Group("flat", np.random.default_rng(0).normal(size=(30, D)), np.full(30, 2.0))

    errors, found = worst_groups(material_of(*fitted, (*groups(2, 2, rows=30), flat)), silent)

    assert len(errors) == 2
    assert "flat" not in {one.name for one in found}


def test_at_most_two_hundred_pairs_are_shown_and_each_is_a_row_of_the_group(fitted):
    unseen = groups(2, 2, rows=80)
    _, found = worst_groups(material_of(*fitted, unseen), silent)

    labels = {one.name: set(one.y.tolist()) for one in unseen}
    for one in found:
        assert len(one.answers) == 200
        assert {truth for truth, _ in one.answers} <= labels[one.name]
        assert one.truth in labels[one.name]


def test_the_worst_answer_misses_by_most(fitted):
    material = material_of(*fitted, groups(2, 2, rows=30))

    (one, *_), judged = worst_groups(material, silent)[1], judge_groups(material, silent)

    misses = next(j.asked.misses for j in judged if j.group.name == one.name)
    assert abs(one.answer - one.truth) == pytest.approx(np.nanmax(np.abs(misses)))


# Lines and limits


def test_an_own_line_is_least_squares(rng):
    rows = group(rng, "one", rows=40)

    found = own_line(rows)

    design = np.column_stack([np.ones(40), rows.x])
    w, (rss,), rank, _ = np.linalg.lstsq(design, rows.y)
    np.testing.assert_allclose(found.slopes, w[1:])
    np.testing.assert_allclose(found.answer(rows.x), design @ w)
    assert found.noise == pytest.approx(np.sqrt(rss / (40 - rank)))
    assert found.free == 40 - rank


def test_columns_that_say_the_same_or_nothing_cost_a_line_no_row(rng):
    x = rng.normal(size=(12, 2))
    wide = np.column_stack([x, 3.0 * x[:, 0], np.full(12, 7.0)])
    y = x @ [1.0, 2.0] + rng.normal(size=12)

    narrow, found = own_line(Group("a", x, y)), own_line(Group("a", wide, y))

    assert found.free == narrow.free == 9
    np.testing.assert_allclose(found.answer(wide), narrow.answer(x))
    assert found.slopes[3] == 0.0


def test_too_few_rows_have_no_line(rng):
    assert own_line(Group("a", rng.normal(size=(11, 8)), rng.normal(size=11))) is None


def test_distances_are_root_mean_squares_in_learnt_deviations(rng):
    known = groups(3, 5)
    whole = np.concatenate([np.column_stack([one.x, one.y]) for one in known])
    odd = group(rng, "odd", scale=6.0)

    found = learnt_from(known).farthest(odd)

    z = (np.column_stack([odd.x, odd.y]) - whole.mean(axis=0)) / whole.std(axis=0)
    rms = np.sqrt((z**2).mean(axis=0))
    assert found.deviations == pytest.approx(rms[found.column])
    assert found.direction == "around"
    assert found.excess > 1.0
    assert all(learnt_from(known).farthest(one).excess < 1.0 for one in known)


def test_a_column_that_never_varied_is_outside_as_soon_as_most_rows_differ():
    rng = np.random.default_rng(0)
    known = [
        Group(str(i), np.column_stack([np.ones(20), rng.normal(size=20)]), rng.normal(size=20))
        for i in range(4)
    ]
    learnt_of = learnt_from(known)
    some, most = known[0].x.copy(), known[0].x.copy()
    some[:9, 0], most[:11, 0] = 0.0, 0.0

    found = learnt_of.farthest(Group("odd", most, known[0].y))

    assert learnt_of.farthest(Group("odd", some, known[0].y)).excess < 1.0
    assert (found.column, found.spread, found.deviations) == (0, 0.0, 0.0)
    assert found.excess > 1.0


# Answers taken apart


SOURCES = (
    Number(name="temp"),
    Category(name="size", levels=("big", "small"), base="none"),
    Date(name="day", origin=date(2024, 1, 1), cycles=("week",)),
    *(Number(name=f"n{j}") for j in range(8)),
)


def mixed(rng, rows):
    """Return features (rows, 14) of SOURCES."""
    size = np.eye(3)[rng.integers(0, 3, rows)][:, 1:]
    angle = rng.uniform(0, 2 * np.pi, rows)
    date_columns = np.column_stack([rng.uniform(0, 700, rows), np.sin(angle), np.cos(angle)])
    return np.column_stack(
        [20.0 + rng.normal(size=rows), size, date_columns, rng.normal(size=(rows, 8))]
    )


@pytest.mark.parametrize("has_profile", [True, False], ids=["profile", "foundation"])
def test_base_and_shares_are_the_answer(rng, has_profile):
    d, w = 14, rng.normal(size=14)
    steps = layer_steps(4)
    model = ProfileModel(ProfileParameters(d, 0, np.array(steps)), fallback=FoundationModel(steps))
    if has_profile:
        known = [
            Group(str(i), x, x @ (w + 0.2 * rng.normal(size=d)) + rng.normal(size=12))
            for i, x in enumerate(mixed(rng, 12) for _ in range(8))
        ]
        model = ProfileModel(learnt(known)[1].parameters, fallback=FoundationModel(steps))
    x, query = mixed(rng, 16), mixed(rng, 1)[0]
    y = x @ w + rng.normal(size=16)

    found = take_apart(model, SOURCES, x, y, query)

    block = Block(Examples(x[None], y[None]), query[None, None])
    plane = model.support(block, Wanted(explanation=True)).explanation
    assert found.answer == model.answer(block).predictions[0, 0]
    assert found.base + sum(share.adds for share in found.shares) == pytest.approx(
        found.answer, rel=1e-9
    )
    adds = plane.coefficients[0] * (query - x.mean(axis=0))
    by_name = {share.feature.split(" = ")[0]: share for share in found.shares}
    sums = {"temp": adds[0], "size": adds[1:3].sum(), "day": adds[3:6].sum()}
    sums |= {f"n{j}": adds[6 + j] for j in range(8)}
    kept = sorted(sums, key=lambda name: -abs(sums[name]))
    assert list(by_name) == [*kept[:SHARES], ""]
    for name in kept[:SHARES]:
        assert by_name[name].adds == pytest.approx(sums[name])
    assert by_name[""].adds == pytest.approx(sum(sums[name] for name in kept[SHARES:]))


def test_shares_say_what_the_query_is_and_what_is_usual(rng):
    steps = layer_steps(4)
    model = ProfileModel(ProfileParameters(6, 0, np.array(steps)), fallback=FoundationModel(steps))
    x = mixed(rng, 20)[:, :6]
    y, query = rng.normal(size=20), np.array([23.0, 0.0, 1.0, 31.0, 0.0, 1.0])
    unknown = np.array([23.0, 0.0, 0.0, 31.0, 0.0, 1.0])

    found = {s.feature: s for s in take_apart(model, SOURCES[:3], x, y, query).shares}
    other = {s.feature: s for s in take_apart(model, SOURCES[:3], x, y, unknown).shares}

    assert (found["temp"].value, found["temp"].usual) == (23.0, pytest.approx(x[:, 0].mean()))
    assert (found["day"].value, found["day"].usual) == (31.0, pytest.approx(x[:, 3].mean()))
    assert found["size = small"].value == 1.0
    assert found["size = small"].usual == pytest.approx(x[:, 2].mean())
    assert other["size = none"].usual == pytest.approx((x[:, 1] + x[:, 2] == 0.0).mean())


def test_a_group_that_is_refused_in_part_says_so(fitted):
    material = material_of(*fitted, groups(2, 2, rows=30))
    judged = list(judge_groups(material, silent))
    answers = judged[0].asked.answers.copy()
    answers[:8] = np.nan
    refused = replace(judged[0], asked=asked_by_hand(judged[0].asked.prompts, answers))

    _, detail = reason(refused, usual_group(material, judged))

    assert detail["refused"] == pytest.approx(8 / len(answers))
