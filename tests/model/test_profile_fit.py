"""What is learnt from history: states, lengths, coordinates, whitening, and what it is worth."""

import numpy as np
import pytest

from model import baselines
from model.coordinates import centre
from model.history import Group, History, draw
from model.packing import pack
from model.profile import ProfileModel, fit
from model.profile_bucket import fit_bucket
from model.profile_choice import choose_coordinates
from model.profile_layers import tokens
from tests.model.profiles import FOUNDATION, asked, history, learnt

pytestmark = pytest.mark.slow  # seconds, all together


def related(groups, spread, d, noise=0.5):
    """Return tasks y = wᵀx + noise of one level, whose w differ by `spread`."""
    rng = np.random.default_rng(1)
    made = []
    for place in range(groups):
        x = rng.normal(size=(90, d))
        y = x @ (1.0 + spread * rng.normal(size=d)) + noise * rng.normal(size=90)
        made.append(Group(str(place), x, y))
    return History(tuple(made), False)


def test_the_same_history_and_seed_give_the_same_bytes():
    first, again = (pack(fit(history(groups=6), seed=3)) for _ in range(2))

    assert first.keys() == again.keys()
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)


def test_what_is_being_done_is_told_to_the_end():
    heard = []

    fit(history(groups=5, size=30), tick=lambda stage, share: heard.append((stage, share)))

    assert heard[0] == ("prompts of 8 examples", 0.0)
    assert heard[-1] == ("done", 1.0)
    assert [share for _, share in heard] == sorted(share for _, share in heard)


@pytest.mark.parametrize(
    ("groups", "state"), [(1, "cold"), (4, "provisional"), (7, "provisional"), (8, "healthy")]
)
def test_the_number_of_groups_decides_what_may_serve(groups, state):
    parameters = fit(history(groups=groups))

    assert parameters.state == state
    assert len(parameters.buckets) == (0 if state == "cold" else 4)


@pytest.mark.parametrize(("spread", "state"), [(0.3, "provisional"), (20.0, "cold")])
def test_three_groups_serve_only_where_each_left_out_is_answered_better_than_without_history(
    spread, state
):
    assert fit(related(3, spread, d=10, noise=4.0)).state == state


def test_a_length_with_fewer_than_eight_groups_borrows_its_neighbours():
    groups = history(groups=12).groups
    short = [Group(group.name, group.x[:25], group.y[:25]) for group in groups[:9]]

    parameters = fit(History((*short, *groups[9:]), False))

    assert [bucket.length for bucket in parameters.buckets] == [8, 16]
    assert parameters.bucket(500).length == 16
    assert parameters.bucket(11).length == 8
    assert parameters.bucket(12).length == 16


def test_whitening_follows_the_mean_over_the_historical_prompts():
    past = history()
    for kind in ("intercept", "centred", "scaled"):
        drawn = draw(past, 16, 300, seed=1)
        bucket = fit_bucket(drawn, kind)
        made = centre(drawn.block, bucket.units, kind)

        given = tokens(made, bucket, np.eye(len(bucket.prior_mean)))

        D = 1.0 / given.basis.diagonal(axis1=1, axis2=2)  # the scaling of each prompt, undone
        H = (given.gram * D[:, None] * D[:, :, None]).mean(axis=0)
        expected = bucket.expected_gram(16)
        C = bucket.whitening(16)
        np.testing.assert_allclose(expected, H, rtol=1e-9, atol=1e-9 * np.abs(H).max())
        np.testing.assert_allclose(C.T @ expected @ C, np.eye(len(C)), atol=1e-9)
        np.testing.assert_array_equal(C, np.tril(C))


def test_whitening_at_another_length_is_that_of_prompts_of_that_length():
    past = history(groups=60)
    bucket = fit_bucket(draw(past, 16, 1500, seed=1), "intercept")
    longer = draw(past, 48, 1500, seed=2)
    given = tokens(centre(longer.block, bucket.units, "intercept"), bucket, np.eye(4))
    D = 1.0 / given.basis.diagonal(axis1=1, axis2=2)
    H = (given.gram * D[:, None] * D[:, :, None]).mean(axis=0)

    C = bucket.whitening(48)

    np.testing.assert_allclose(C.T @ H @ C, np.eye(4), atol=0.1)


def test_coordinates_follow_a_history_whose_labels_change_their_scale():
    rng = np.random.default_rng(2)
    groups = []
    for place in range(30):
        x = rng.normal(size=(60, 3))
        scale, level = np.exp(2.0 * rng.normal()), 300.0 * rng.normal()
        y = level + scale * (x @ np.array([1.0, -2.0, 0.5]) + 0.5 * rng.normal(size=60))
        groups.append(Group(str(place), x, y))
    drawn = draw(History(tuple(groups), False), 16, 300, seed=0)

    assert choose_coordinates(drawn) in ("label-scaled", "scaled")


def test_few_groups_do_not_choose_and_a_known_level_keeps_the_intercept():
    assert choose_coordinates(draw(history(groups=9), 16, 200, seed=0)) == "intercept"
    assert choose_coordinates(draw(related(20, 0.1, d=3), 8, 200, seed=0)) == "intercept"


def test_a_history_in_other_units_answers_in_them():
    past = history(groups=10)
    factor, shift = np.array([1e3, 1e-3, 2.0]), np.array([5.0, -7.0, 0.0])
    other = History(
        tuple(Group(g.name, g.x * factor + shift, 1e4 * g.y - 3.0) for g in past.groups), False
    )
    block, _ = asked(3)
    x, y = block.context
    moved = block._replace(
        context=block.context._replace(x=x * factor + shift, y=1e4 * y - 3.0),
        queries=block.queries * factor + shift,
    )

    answers = ProfileModel(fit(past)).answer(block).predictions

    again = ProfileModel(fit(other)).answer(moved).predictions
    np.testing.assert_allclose(again, 1e4 * answers - 3.0, rtol=1e-6)


@pytest.mark.parametrize("layer_count", [4, 8])
def test_a_short_prompt_is_answered_better_than_by_what_knows_no_history(layer_count):
    block, targets = asked(4, B=300, M=8, Q=4)
    profile = ProfileModel(learnt(None, layer_count))

    error = np.abs(profile.answer(block).predictions - targets).mean()

    ridge = np.abs(baselines.ridge_cv(*block.context, block.queries) - targets).mean()
    without = np.abs(FOUNDATION.answer(block).predictions - targets).mean()
    assert error < 0.9 * min(ridge, without)


def test_time_ordered_history_is_learnt_from_windows():
    rng = np.random.default_rng(5)
    groups = []
    for place in range(12):
        t = np.arange(40.0)
        x = np.column_stack([t, rng.normal(size=40)])
        y = 3.0 * t + rng.normal() * 5.0 + x[:, 1] + 0.1 * rng.normal(size=40)
        groups.append(Group(str(place), x, y))
    parameters = fit(History(tuple(groups), True))
    x, y = groups[0].x, groups[0].y

    block = asked(0)[0]._replace(queries=x[None, 20:23])
    block = block._replace(context=block.context._replace(x=x[None, 12:20], y=y[None, 12:20]))

    answers = ProfileModel(parameters).answer(block).predictions[0]
    np.testing.assert_allclose(answers, y[20:23], atol=1.0)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ((), "one number of features"),
        (
            (Group("a", np.ones((9, 2)), np.ones(9)), Group("b", np.ones((9, 3)), np.ones(9))),
            r"got \[2, 3\]",
        ),
        ((Group("a", np.full((9, 2), np.nan), np.ones(9)),), "others in 'a'"),
    ],
    ids=["nothing", "two widths", "not a number"],
)
def test_a_history_that_cannot_be_learnt_from_says_why(groups, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(History(groups, False))


def test_layers_that_are_not_certified_are_not_offered():
    with pytest.raises(ValueError, match="expected 4 or 8, got 5"):
        fit(history(groups=4), layer_count=5)
