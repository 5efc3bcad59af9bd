"""A context as sums: additive, unit-free in what it accepts, equal to its rows."""

import numpy as np
import pytest

from model.moments import Sums
from model.refusal import Refusal


def rows(seed=0, M=20, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(3.0, 2.0, (M, d)), rng.normal(-1.0, 4.0, M)


def test_the_centred_moments_are_those_of_the_rows():
    x, y = rows()

    moments = Sums.from_rows(x, y, np.array([1.0, 2.0, 3.0]), -2.0).centred()

    u, r = x - x.mean(0), y - y.mean()
    np.testing.assert_allclose(moments.mean[0], x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.scatter[0], u.T @ u, rtol=1e-11)
    np.testing.assert_allclose(moments.products[0], u.T @ r, rtol=1e-10)
    assert moments.label_scatter[0] == pytest.approx(r @ r, rel=1e-11)


def test_sums_of_parts_add_up_to_the_whole():
    x, y = rows()
    origin = np.full(3, 2.5)

    parts = Sums.from_rows(x[:8], y[:8], origin, 1.0) + Sums.from_rows(x[8:], y[8:], origin, 1.0)

    whole = Sums.from_rows(x, y, origin, 1.0)
    assert parts.count == whole.count
    np.testing.assert_allclose(parts.second_moments, whole.second_moments, rtol=1e-13)
    np.testing.assert_allclose(parts.label_products, whole.label_products, rtol=1e-12)


def test_sums_of_another_origin_do_not_add():
    x, y = rows()

    with pytest.raises(Refusal, match="expected the origin of the other sums"):
        Sums.from_rows(x, y, np.zeros(3), 0.0) + Sums.from_rows(x, y, np.ones(3), 0.0)


@pytest.mark.parametrize("ratio", [1.0, 1e2, 1e3])
def test_honest_sums_are_accepted_far_from_their_origin(ratio):
    x, y = rows(M=200)

    moments = Sums.from_rows(x + 2.0 * ratio, y + 4.0 * ratio, np.zeros(3), 0.0).centred()

    u = x - x.mean(0)
    np.testing.assert_allclose(moments.scatter[0], u.T @ u, rtol=0, atol=1e-9 * ratio**2 * 200)


def test_a_constant_column_of_any_size_is_no_error():
    x, y = rows()
    x[:, 1] = 123456.789

    moments = Sums.from_rows(x, y, np.zeros(3), 0.0).centred()

    np.testing.assert_array_equal(moments.scatter[0][1], 0.0)
    assert moments.scatter[0][0, 0] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"label_square_sum": 0.001},
        {"label_products": np.array([1e4, 0.0, 0.0])},
        {"second_moments": -np.eye(3)},
        {"feature_sums": np.array([1e200, 0.0, 0.0])},
        {"label_products": np.array([1e300, 0.0, 0.0]), "label_square_sum": 81.0},
        {"second_moments": np.eye(3) * 1e-300, "feature_sums": np.zeros(3)},
    ],
    ids=[
        *("too little label power", "products beyond both powers", "negative power", "overflow"),
        *("products beyond a double", "a correlation beyond a double"),
    ],
)
def test_sums_that_no_examples_can_have_are_refused(change):
    x, y = rows()
    sums = Sums.from_rows(x, y, np.zeros(3), 0.0)
    names = Sums.__dataclass_fields__
    broken = Sums(**{**{name: getattr(sums, name) for name in names}, **change})

    with np.errstate(all="ignore"), pytest.raises(Refusal) as caught:
        broken.centred()

    assert caught.value.reason == "BAD_SUMMARY"
