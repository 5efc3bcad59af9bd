"""Changed conditions of a linear world: effects against brute force and the model's own algebra."""

from dataclasses import replace

import numpy as np
import pytest

from model.answer import Mode
from model.history import Group, History
from service.assess.answered import answer, effect, errors, paired_ratio
from service.assess.changes import changes, moved
from service.assess.conditions import conditions, relied_upon, scene_of
from service.assess.material import prepare
from service.assess.stale import stale
from tests.assess.linear_world import history, material, read

pytestmark = pytest.mark.slow  # its material takes some seconds


@pytest.fixture(scope="module")
def made():
    return material()


@pytest.fixture(scope="module")
def found(made):
    stages = []
    told = conditions(made, lambda stage, share: stages.append(share))
    return told, stages


def the(found, code, strength=None, column=None):
    (one,) = [
        change
        for change in found[0].changes
        if change.code == code
        and strength in (None, change.strength)
        and column in (None, *change.columns)
    ]
    return one


def test_the_error_of_a_scaled_world_is_what_the_models_own_algebra_expects(made):
    scene = scene_of(made)
    prompts = moved(scene, scene.free(), np.multiply, 2.0)
    answered = answer(made.model, prompts)
    square = ((answered.predictions - prompts.targets) ** 2)[prompts.weight > 0.0]
    expected = made.model.risk(prompts.block)[prompts.weight > 0.0]

    assert (answered.modes == Mode.PROFILE).all()
    assert square.mean() == pytest.approx(expected.mean(), rel=0.12)


def test_an_effect_is_the_brute_force_ratio_of_every_prompt_to_itself(made, found):
    scene = scene_of(made)
    (noisy,) = [one.prompts for one in changes(scene) if one.code == "label_noise"]
    logs = []
    for row in range(len(noisy.y)):
        pair = []
        for prompts in (noisy, scene.prompts):
            one = prompts.take(np.arange(len(noisy.y)) == row)
            miss = made.model.answer(one.block).predictions - one.targets
            pair.append(np.sqrt((one.weight * miss**2).sum() / one.weight.sum()))
        logs.append(np.log(pair[0] / pair[1]))
    told = the(found, "label_noise")

    assert told.ratio.value == pytest.approx(np.exp(np.mean(logs)), rel=1e-9)
    assert told.ratio.low < told.ratio.value < told.ratio.high


def test_every_condition_is_there_once_and_progress_reaches_the_end(found):
    told, stages = found
    keys = [(c.code, c.strength, c.columns) for c in told.changes]

    assert len(set(keys)) == len(keys) == 23
    assert stages == sorted(stages) and stages[0] == 0.0 and stages[-1] == 1.0
    assert (told.example_count, told.run_prompts, told.run_count) == (32, 400, 10)
    assert told.unwatched == "" and told.quiet_alerts == 0.0


def test_what_history_has_taught_to_bear_is_tolerated(found):
    for deviations in (0.5, 1.0):
        mild = the(found, "mean", deviations)
        assert mild.is_tolerated and mild.refused == 0.0


def test_a_planted_rotation_is_seen_and_named(found):
    turned = the(found, "rotation", 90.0)

    assert turned.alert == "SonobaCovariatesMoved" and turned.alerted == 1.0
    assert turned.severity == "information" and turned.prompts_to_alert < 120


def test_a_unit_error_is_visible_in_all_rows_and_harmful_in_some(found):
    whole = the(found, "wrong_unit", 1000.0, "c0")
    some = the(found, "wrong_unit_some", 1000.0, "c0")

    assert whole.refused == 1.0 and whole.alert == "SonobaMonitorStalled"
    assert whole.is_tolerated  # the model without history takes any unit
    assert not some.is_tolerated and some.ratio.low > 1.25


def test_a_column_that_is_gone_costs_what_rested_on_it(found):
    gone = {change.columns: change for change in found[0].changes if change.code == "missing"}

    assert all(change.refused == 1.0 for change in gone.values() if change.strength == 1.0)
    lost = the(found, "missing", 1.0, "c0")  # a third of the cells: more than the service fills
    assert np.isnan([lost.error, lost.ratio.value, lost.ratio.low]).all()
    assert not lost.is_tolerated
    assert the(found, "missing", 0.1, "c0").ratio.value > 1.05


def test_the_column_most_relied_upon_is_the_one_that_moves_answers_most(made):
    scene = scene_of(made)
    relied = relied_upon(made, scene.slopes)
    beside = scene.prompts.queries - scene.prompts.x.mean(axis=1)[:, None]
    spreads = [abs(scene.slopes[:, j, None] * beside[..., j]).mean() for j in range(3)]

    assert relied.argmax() == int(np.argmax(spreads)) == 0


def test_a_paired_ratio_resamples_groups_and_forgives_perfection():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 8)
    effects = np.exp(rng.normal(size=20))[groups]  # the same in every prompt of a group
    usual = np.exp(rng.normal(size=160))
    bounds = paired_ratio(effects * usual, usual, groups, 0)
    alone = paired_ratio(effects * usual, usual, np.arange(160), 0)

    spread = 1.96 * np.log(effects[::8]).std() / np.sqrt(20)
    assert np.log(bounds.high / bounds.low) / 2 == pytest.approx(spread, rel=0.2)
    assert alone.high / alone.low < bounds.high / bounds.low
    assert paired_ratio(np.full(4, 1e-15), np.full(4, 1e-12), np.arange(4), 0).value == 1.0


def test_refusals_are_counted_and_never_make_a_change_tolerable(made):
    prompts = scene_of(made).prompts
    before = answer(made.model, prompts)
    usual = errors(prompts, before, prompts.y.std(axis=1))
    third = np.arange(len(usual)) % 3 == 0
    after = before._replace(modes=np.where(third, 0, before.modes).astype(np.uint8))
    told = effect(prompts, before, usual, after, np.where(third, np.nan, usual), 0)

    assert told.refused == pytest.approx(third.mean()) and told.ratio.value == 1.0
    assert not told.is_tolerated


@pytest.mark.parametrize(("groups", "rows", "d"), [(3, 40, 3), (4, 12, 2), (30, 40, 1)])
def test_a_table_with_little_in_it_gets_what_can_be_told(groups, rows, d):
    whole, _ = history(groups, rows)
    narrow = History(tuple(Group(g.name, g.x[:, :d], g.y) for g in whole.groups), False)
    told = conditions(prepare(read(narrow), 0, lambda stage, share: None), lambda *_: None)

    codes = {change.code for change in told.changes}
    assert {"scale", "label_noise", "wrong_unit", "fewer_examples"} <= codes
    assert ("rotation" in codes) == (d > 1)
    if groups < 8:
        assert told.unwatched and all(change.alert == "" for change in told.changes)


def test_no_prompts_no_conditions(made):
    told = conditions(replace(made, prompts={}), lambda *_: None)

    assert told.changes == () and told.example_count == 0


def test_nothing_tells_the_time_of_groups_with_names(made):
    assert stale(made) is None


def aged(made, group_count=60):
    """Return groups numbered in time, whose slopes turn round on the way; rows in order."""
    rng = np.random.default_rng(0)
    groups = []
    for place in range(group_count):
        x = rng.normal(size=(60, 3)) + np.array([3.0 * place / group_count, 0.0, 0.0])
        slope = np.array([3.0, 2.0, -1.0]) * np.cos(np.pi * place / group_count)
        groups.append(Group(str(place), x, x @ slope + 2.0 * rng.normal(size=60)))
    known, unseen = groups[::2] + groups[1::4], groups[3::4]
    parts = [History(tuple(part), True) for part in (known, unseen)]
    short = {8: made.prompts[8]}  # where most rests on what was learnt
    return replace(made, known=parts[0], unseen=parts[1], prompts=short)


def test_what_was_learnt_from_the_oldest_groups_grows_old_where_the_world_turns(made):
    told = stale(aged(made))

    assert told is not None and told.code == "stale_groups" and told.share == 0.4
    assert told.effect.ratio.low > 1.1 and not told.effect.is_tolerated


def test_a_steady_world_does_not_age(made):
    whole, _ = history(row_count=90, is_ordered=True)
    known, unseen = (History(whole.groups[i::2], True) for i in range(2))
    told = stale(replace(made, known=known, unseen=unseen))

    assert told is not None and told.code == "stale_rows"
    assert told.effect.is_tolerated and told.effect.ratio.value == pytest.approx(1.0, abs=0.05)


def test_names_of_months_tell_time_and_numbers_of_shops_do_not(made):
    whole, _ = history(row_count=60)
    months = [f"{1980 + place // 12}-{place % 12 + 1}" for place in range(60)]
    for names, code in ((months, "stale_groups"), ([str(place) for place in range(60)], None)):
        named = [Group(n, g.x, g.y) for n, g in zip(names, whole.groups, strict=True)]
        known, unseen = (History(tuple(named[i::2]), False) for i in range(2))
        told = stale(replace(made, known=known, unseen=unseen))
        assert (told and told.code) == code
