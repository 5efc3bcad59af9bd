"""Each way to centre and scale against its formula, and sums against rows."""

import numpy as np
import pytest

from model.coordinates import ALL, INTERCEPT, centre, units_of, working_sums
from model.history import Group, History, draw
from model.moments import Moments
from model.prompt import Block, Examples


def prompts(seed=0, count=30, length=10):
    rng = np.random.default_rng(seed)
    groups = []
    for place in range(8):
        x = rng.normal(size=(40, 3)) * [1.0, 30.0, 0.01] + [5.0, -300.0, 0.0] + rng.normal(size=3)
        y = 7.0 + x @ np.array([2.0, 0.1, 50.0]) + rng.normal(size=40)
        groups.append(Group(str(place), x, y))
    return draw(History(tuple(groups), False), length, count, seed)


def summarised(block):
    x, y = block.context
    mean, label_mean = x.mean(1), y.mean(1)
    u, r = x - mean[:, None], y - label_mean[:, None]
    products = (r[:, None] @ u)[:, 0]
    moments = Moments(x.shape[1], mean, label_mean, u.mT @ u, products, (r * r).sum(1))
    return Block(moments, block.queries)


def naive(x, y, queries, units, kind):
    """Return z, r, z_q of one prompt and what r = 0 and r = 1 stand for, formula by formula."""
    s, M = units.feature_scale, len(y)
    if kind == "intercept":
        r = (y - units.label_mean) / units.label_scale
        z, v = (x - units.feature_mean) / s, (queries - units.feature_mean) / s
        return z, r, v, units.label_mean, units.label_scale
    z, v = (x - x.mean(0)) / s, (queries - x.mean(0)) / s
    centred = y - y.mean()
    unit = np.sqrt(units.label_variance)
    if kind != "centred":
        unit = np.sqrt(((centred**2).sum() + 4.0 * units.label_variance) / (M + 4.0))
    if kind == "scaled":
        t = np.sqrt(((z**2).sum(0) + 4.0 * units.feature_variance) / (M + 4.0))
        z, v = z / t, v / t
    return z, centred / unit, v, y.mean(), unit


@pytest.mark.parametrize("kind", ALL)
def test_every_coordinate_is_its_formula(kind):
    drawn = prompts()
    units = units_of(drawn)

    made = centre(drawn.block, units, kind)

    for b in range(5):
        z, r, v, origin, unit = naive(drawn.x[b], drawn.y[b], drawn.queries[b], units, kind)
        u, c = z - z.mean(0), r - r.mean()
        np.testing.assert_allclose(made.scatter[b], u.T @ u, atol=1e-10)
        np.testing.assert_allclose(made.products[b], u.T @ c, atol=1e-10)
        np.testing.assert_allclose(made.label_power[b], c @ c, rtol=1e-10)
        np.testing.assert_allclose(made.queries[b], v - z.mean(0), atol=1e-10)
        np.testing.assert_allclose(made.mean[b], z.mean(0), atol=1e-10)
        np.testing.assert_allclose(made.label_mean[b], r.mean(), atol=1e-10)
        assert made.label_origin[b] == pytest.approx(origin)
        assert made.label_unit[b] == pytest.approx(unit)
        at_origin = (drawn.queries[b] - made.feature_origin[b]) / made.feature_unit[b]
        np.testing.assert_allclose(at_origin, v, atol=1e-9)


@pytest.mark.parametrize("kind", ALL)
def test_a_summary_gives_the_coordinates_of_its_rows(kind):
    block = prompts(1).block
    units = units_of(prompts(1))

    made, summed = (centre(one, units, kind) for one in (block, summarised(block)))

    for name in ("scatter", "products", "label_power", "queries", "mean", "label_unit"):
        np.testing.assert_allclose(getattr(summed, name), getattr(made, name), rtol=1e-9, atol=1e-9)
    assert summed.rows is None


@pytest.mark.parametrize("kind", ALL)
def test_the_prior_learns_from_examples_and_queries_together(kind):
    drawn = prompts(2)
    units = units_of(drawn)

    sums = working_sums(drawn, units, kind)

    x = np.concatenate([drawn.x[0], drawn.queries[0]])
    y = np.append(drawn.y[0], drawn.targets[0])
    z, r, *_ = naive(x, y, x, units, kind)
    z = np.column_stack([np.ones(len(z)), z]) if kind == INTERCEPT else z
    np.testing.assert_allclose(sums.gram[0], z.T @ z, atol=1e-9)
    np.testing.assert_allclose(sums.products[0], z.T @ r, atol=1e-9)
    np.testing.assert_allclose(sums.label_power[0], r @ r, rtol=1e-9)


def test_a_history_in_other_units_gives_the_same_working_coordinates():
    drawn = prompts(3)
    factor, shift = np.array([1000.0, 0.001, 7.0]), np.array([-3.0, 2.0, 0.5])
    x, queries = drawn.x * factor + shift, drawn.queries * factor + shift
    other = drawn._replace(x=x, queries=queries, y=60.0 * drawn.y, targets=60.0 * drawn.targets)

    for kind in ALL:
        made = centre(drawn.block, units_of(drawn), kind)
        again = centre(other.block, units_of(other), kind)
        np.testing.assert_allclose(again.scatter, made.scatter, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(again.label_unit, 60.0 * made.label_unit, rtol=1e-9)


def test_columns_and_labels_that_never_vary_have_scales_of_one():
    block = Block(Examples(np.ones((4, 6, 2)), np.full((4, 6), 3.0)), np.ones((4, 1, 2)))
    drawn = prompts(4)._replace(x=block.context.x, y=block.context.y, queries=block.queries)

    units = units_of(drawn)

    assert units.feature_scale.tolist() == [1.0, 1.0]
    assert units.label_scale == 1.0
    assert all(np.isfinite(centre(block, units, kind).scatter).all() for kind in ALL)
