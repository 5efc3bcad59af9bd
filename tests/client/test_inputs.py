"""What numbers may be, and what is said of those that are not."""

from array import array

import numpy as np
import pandas as pd
import pytest

import sonoba
from sonoba import _wire
from sonoba.prompt import encode_prompt

ROWS = [[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]]
LABELS = [1.0, 2.0, 4.0]
QUERY = [[2.0, 2.0]]


def encoded(examples=ROWS, labels=LABELS, queries=QUERY, **settings):
    return encode_prompt(sonoba.Prompt(examples, labels, queries, **settings))


def refused(*arguments, **settings):
    with pytest.raises(sonoba.InvalidPrompt) as error:
        encoded(*arguments, **settings)
    return error.value


def striped(rows):
    wide = np.zeros((len(rows), 2 * len(rows[0])))
    wide[:, ::2] = rows
    return wide[:, ::2]


TABLES = {
    "lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "a generator": None,
    "integers": [[1, 2], [3, 5], [4, 1]],
    "an array": np.array(ROWS),
    "an array of integers": np.array(ROWS, dtype=np.int16),
    "an array of halves": np.array(ROWS, dtype=np.float16),
    "a big-endian array": np.array(ROWS, dtype=">f8"),
    "a transposed array": np.array(ROWS).T.copy().T,
    "every other column": striped(ROWS),
    "rows that are arrays": [np.array(row) for row in ROWS],
    "a buffer": memoryview(array("d", np.ravel(ROWS))).cast("B").cast("d", (3, 2)),
    "a buffer of integers": memoryview(array("i", [1, 2, 3, 5, 4, 1])).cast("B").cast("i", (3, 2)),
    "an unnamed frame": pd.DataFrame(ROWS),
    "a frame of several types": pd.DataFrame({0: [1, 3, 4], 1: [2.0, 5.0, 1.0]}),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_tables_of_every_kind_give_the_same_bytes(table):
    got = encoded((row for row in ROWS) if table is None else table)

    assert got == encoded()


VECTORS = {
    "a tuple": tuple(LABELS),
    "an array": np.array(LABELS),
    "an array of integers": np.array([1, 2, 4]),
    "a series": pd.Series(LABELS, index=[7, 8, 9]),
    "a nullable series": pd.Series([1, 2, 4], dtype="Int64"),
    "a standard array": array("d", LABELS),
    "an array's numbers": list(np.array(LABELS)),
    "booleans": None,
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_labels_of_every_kind_give_the_same_bytes(vector):
    if vector is None:
        got, wanted = encoded(labels=[True, False, True]), encoded(labels=np.array([1, 0, 1]) > 0)
    else:
        got, wanted = encoded(labels=vector), encoded()

    assert got == wanted


@pytest.mark.parametrize(
    "make", [np.float32, lambda rows: pd.DataFrame(rows, list("pqr"), ["a", "b"], dtype="float32")]
)
def test_singles_stay_singles(make):
    features = encoded(make(ROWS)).context.features

    assert _wire.FORMATS[features.data_type] == "f"
    assert features.raw == np.array(ROWS, "<f4").tobytes()


def test_one_query_needs_no_outer_list():
    assert encoded(queries=[2.0, 2.0]) == encoded(queries=[[2.0, 2.0]])
    assert encoded(queries=np.array([2.0, 2.0])) == encoded(queries=[[2.0, 2.0]])


@pytest.mark.parametrize("values", [ROWS, array("d", [1.0, 2.0]), array("f", [1.0, 2.0])])
def test_a_big_endian_host_sends_and_reads_little_endian(values, monkeypatch):
    wanted = _wire.encode(values, "field")
    monkeypatch.setattr(_wire.sys, "byteorder", "big")

    got = _wire.encode(values, "field")
    code = _wire.FORMATS[wanted.data_type]
    foreign = array(code, wanted.raw)
    foreign.byteswap()

    assert got.raw == foreign.tobytes()  # the swap of this host's order is the other's
    assert got.floats() == array(code, wanted.raw)


BROKEN = {
    "a short row": (
        {"examples": [[1, 2], [3], [4, 1]]},
        "examples.features: row 1: expected 2 numbers, got 1",
    ),
    "an empty row first": (
        {"examples": [[], [1, 2], [3, 4]]},
        "examples.features: row 1: expected 0 numbers, got 2",
    ),
    "a number among rows": (
        {"examples": [[1, 2], 3, [4, 1]]},
        "examples.features: row 1: expected 2 numbers, got int",
    ),
    "text in a row": (
        {"examples": [[1, 2], [3, "x"], [4, 1]]},
        "examples.features: expected numbers, got str at row 1, column 1",
    ),
    "rows of rows": (
        {"examples": [[[1], [2]]] * 3},
        "examples.features: expected numbers, got list at row 0, column 0",
    ),
    "no rows": (
        {"examples": []},
        "examples.features: expected rows of numbers (M x d), got shape (0,)",
    ),
    "rows of nothing": (
        {"examples": [[], [], []]},
        "examples.features: expected rows of numbers (M x d), got shape (3, 0)",
    ),
    "examples that are a vector": (
        {"examples": [1, 2, 3]},
        "examples.features: expected rows of numbers (M x d), got shape (3,)",
    ),
    "no examples": ({"examples": None}, "examples.features: expected numbers, got None"),
    "no labels": ({"labels": None}, "examples.labels: expected numbers, got None"),
    "a number for labels": ({"labels": 1.0}, "examples.labels: expected numbers, got float"),
    "a label too few": (
        {"labels": [1.0, 2.0]},
        "examples.labels: expected 3 numbers (rows of examples.features), got 2",
    ),
    "labels in a column": (
        {"labels": [[1.0], [2.0], [4.0]]},
        "examples.labels: expected 3 numbers (rows of examples.features), got shape (3, 1)",
    ),
    "a missing label": (
        {"labels": [1.0, None, 4.0]},
        "examples.labels: expected numbers, got NoneType at item 1",
    ),
    "labels of text": (
        {"labels": np.array(["a", "b", "c"])},
        "examples.labels: expected numbers, got dtype <U1",
    ),
    "complex labels": (
        {"labels": np.array([1j, 2j, 3j])},
        "examples.labels: expected numbers, got dtype complex128",
    ),
    "no queries": ({"queries": None}, "queries: expected numbers, got None"),
    "an empty list of queries": (
        {"queries": []},
        "queries: expected rows of 2 numbers (columns of the examples), got shape (1, 0)",
    ),
    "queries too wide": (
        {"queries": [[1, 2, 3]]},
        "queries: expected rows of 2 numbers (columns of the examples), got shape (1, 3)",
    ),
    "too many names": (
        {"columns": ["a", "b", "c"]},
        "columns: expected 2 names (one a feature), got 3",
    ),
    "a repeated name": (
        {"columns": ["a", "a"]},
        "columns: expected every name once, got 'a' more than once",
    ),
}


@pytest.mark.parametrize(("broken", "sentence"), BROKEN.values(), ids=BROKEN.keys())
def test_a_prompt_that_contradicts_itself_is_refused_here_and_says_why(broken, sentence):
    error = refused(**broken)

    assert str(error) == sentence
    assert error.field == sentence.partition(":")[0]
    assert error.reason in ("BAD_SHAPE", "NOT_A_NUMBER", "BAD_COLUMNS")


def frame(columns="ab", rows=ROWS):
    return pd.DataFrame(rows, columns=list(columns))


def test_a_frame_brings_its_names():
    assert encoded(frame()).columns == ("a", "b")
    assert encoded(frame()).context.features == encoded().context.features


def test_columns_of_queries_are_matched_by_name():
    swapped = pd.DataFrame({"b": [20.0], "a": [10.0]})

    assert encoded(frame(), queries=swapped).queries == encoded(queries=[[10.0, 20.0]]).queries


def test_a_row_of_a_frame_is_a_query_matched_by_name():
    row = pd.DataFrame({"b": [20, 21], "a": [True, False]}).iloc[0]

    assert encoded(frame(), queries=row).queries == encoded(queries=[[1.0, 20.0]]).queries


def test_columns_put_a_frame_in_order():
    got = encoded(frame(), queries=frame(), columns=["b", "a"])

    assert got.columns == ("b", "a")
    assert got.queries == encoded(queries=[[b, a] for a, b in ROWS]).queries


MISMATCHED = {
    "a missing column": (
        {"queries": frame("a", [[1]])},
        "queries: expected 'a', 'b', got no 'b'",
    ),
    "a column too many": (
        {"queries": frame("abc", [[1, 2, 3]])},
        "queries: expected 'a', 'b', got 'c' besides",
    ),
    "a repeated column": (
        {"examples": frame("aa")},
        "columns: expected every name once, got 'a' more than once",
    ),
    "a repeated column of the queries": (
        {"queries": frame("aa", [[1, 2]])},
        "queries: expected every name once, got 'a' more than once",
    ),
    "a name that is a number": (
        {"examples": pd.DataFrame(ROWS, columns=["a", 1])},
        "columns: expected names, got int 1",
    ),
    "a column of text": (
        {"examples": frame(rows=[[1, "x"], [2, "y"], [3, "z"]])},
        "examples.features: column 'b': expected numbers, got dtype object",
    ),
    "a column of dates": (
        {"queries": pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]), "b": 1.0})},
        "queries: column 'a': expected numbers, got dtype datetime64[us]",
    ),
    "names for the queries alone": (
        {"examples": ROWS, "queries": frame(rows=QUERY)},
        "queries: expected no column names, got 'a' besides, 'b' besides",
    ),
}


@pytest.mark.parametrize(("broken", "sentence"), MISMATCHED.values(), ids=MISMATCHED.keys())
def test_columns_that_do_not_match_are_refused_by_name(broken, sentence):
    error = refused(**({"examples": frame()} | broken))

    assert str(error) == sentence
    assert error.field == sentence.partition(":")[0]


def test_a_prompt_has_examples_or_their_summary():
    summary = sonoba.Summary.from_rows(ROWS, LABELS)

    assert str(refused(summary=summary)) == "summary: expected examples or their summary, got both"
