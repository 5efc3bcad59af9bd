import doctest

import duckdb
import numpy as np
import pandas as pd
import pytest

import sonoba
import sonoba.summary
from sonoba import Summary

D = 3


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal([1.0, 20.0, -3.0], [1.0, 5.0, 0.1], size=(40, D)), rng.normal(size=40)


def naive(x, y, origin=(0.0,) * D, label_origin=0.0):
    """Return the sums as the contract writes them."""
    x, y = x - np.array(origin), y - label_origin
    return np.concatenate(
        [
            [len(y), y.sum(), (y * y).sum()],
            x.sum(axis=0),
            x.T @ y,
            [(x[:, i] * x[:, j]).sum() for i in range(D) for j in range(i, D)],
        ]
    )


def flat(summary):
    counts = [summary.example_count, summary.label_sum, summary.label_square_sum]
    return [*counts, *summary.feature_sums, *summary.label_products, *summary.second_moments]


def test_the_examples_in_the_docstring_hold():
    assert doctest.testmod(sonoba.summary).failed == 0


@pytest.mark.parametrize(("origin", "label_origin"), [((), 0.0), ((1.0, 20.0, -3.0), 0.5)])
def test_a_summary_holds_the_naive_sums(rows, origin, label_origin):
    summary = Summary.from_rows(*rows, origin=origin, label_origin=label_origin)

    np.testing.assert_allclose(
        flat(summary), naive(*rows, origin or (0.0,) * D, label_origin), rtol=1e-12, atol=1e-12
    )


def test_sums_are_rounded_once():
    summary = Summary.from_rows([[1e16], [1.0], [-1e16]], [1.0, 1.0, 1.0])

    assert summary.feature_sums == (1.0,)


def test_a_frame_is_summed_in_the_order_of_columns(rows):
    x, y = rows
    frame = pd.DataFrame(x, columns=["a", "b", "c"])

    got = Summary.from_rows(frame[["c", "a", "b"]], y, columns=["a", "b", "c"])

    assert got == Summary.from_rows(x, y)


def test_summaries_of_parts_add_up_and_are_taken_away(rows):
    x, y = rows
    parts = [Summary.from_rows(x[i : i + 10], y[i : i + 10]) for i in range(0, 40, 10)]

    whole = sum(parts[1:], start=parts[0])
    rest = whole - parts[0]

    np.testing.assert_allclose(flat(whole), naive(x, y), rtol=1e-12)
    np.testing.assert_allclose(flat(rest), naive(x[10:], y[10:]), rtol=1e-9)
    assert (whole.example_count, rest.example_count) == (40, 30)


def test_an_origin_of_zeros_is_no_origin(rows):
    zeros = Summary.from_rows(*rows, origin=[0.0] * D)

    assert (Summary.from_rows(*rows) + zeros).example_count == 80


@pytest.mark.parametrize(
    "other",
    [
        Summary.from_rows([[1.0, 2.0]], [1.0]),
        Summary.from_rows([[1.0]], [1.0], origin=[1.0]),
        Summary.from_rows([[1.0]], [1.0], label_origin=1.0),
        Summary.from_rows([[1.0]], [1.0], schema_hash="abc"),
        Summary(1, (1.0,), (1.0,), 1.0, 1.0),
    ],
    ids=["another d", "another origin", "another label origin", "another schema", "no moments"],
)
def test_summaries_that_mean_different_things_do_not_add(other):
    one = Summary.from_rows([[1.0]], [1.0])

    with pytest.raises(ValueError, match="expected summaries of one feature count"):
        one + other
    with pytest.raises(ValueError, match="expected summaries of one feature count"):
        one - other


def test_no_more_is_taken_away_than_there_is():
    one = Summary.from_rows([[1.0]], [1.0])

    with pytest.raises(ValueError, match="at most 1 examples, got 2"):
        one - (one + one)


@pytest.fixture
def sales(rows):
    """A table with names that need quotes, integers whose products overflow, and gaps."""
    x, y = rows
    frame = pd.DataFrame({"unit price": x[:, 0], 'a"b': x[:, 1], "size": range(40), "y": y})
    frame["size"] = frame["size"].astype("int32") * 50_000_000
    frame["store"] = ["north", "south"] * 20
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE sales AS SELECT * FROM frame")
        connection.execute("INSERT INTO sales VALUES (1, 1, NULL, 1, 'north')")
        yield connection, frame


NAMES = ["unit price", 'a"b', "size"]


def close(got, wanted):
    np.testing.assert_allclose(flat(got), flat(wanted), rtol=1e-10)
    assert (got.origin, got.label_origin) == (wanted.origin, wanted.label_origin)


@pytest.mark.parametrize("origin", [{}, {"origin": [1.0, 2.0, 1e9], "label_origin": -0.5}])
def test_the_query_gives_what_the_rows_give(sales, origin):
    connection, frame = sales
    query = Summary.sql(NAMES, "y", "sales", **origin)

    row = connection.execute(query).fetchone()

    close(
        Summary.from_sql_row(row, **origin), Summary.from_rows(frame[NAMES], frame["y"], **origin)
    )


def test_the_query_gives_one_row_a_group(sales):
    connection, frame = sales
    query = Summary.sql(NAMES, "y", "(SELECT * FROM sales)", group="store")

    groups = {store: sums for store, *sums in connection.execute(query).fetchall()}

    assert groups.keys() == {"north", "south"}
    for store, sums in groups.items():
        part = frame[frame["store"] == store]
        close(Summary.from_sql_row(sums), Summary.from_rows(part[NAMES], part["y"]))


def test_a_query_over_nothing_gives_a_summary_of_zeros(sales):
    connection, frame = sales
    row = connection.execute(Summary.sql(NAMES, "y", "(SELECT * FROM sales LIMIT 0)")).fetchone()

    nothing = Summary.from_sql_row(row)
    some = Summary.from_rows(frame[NAMES], frame["y"])

    assert some + nothing == some


@pytest.mark.parametrize("count", [0, 3, 7, 11])
def test_a_row_of_another_length_is_refused(count):
    with pytest.raises(ValueError, match="row: expected"):
        Summary.from_sql_row([1.0] * count)


def test_an_origin_of_another_length_is_refused():
    with pytest.raises(ValueError, match="origin: expected none or 2 numbers, got 1"):
        Summary.sql(["a", "b"], "y", "t", origin=[1.0])
