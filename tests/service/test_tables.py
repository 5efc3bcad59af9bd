"""Files as a caller may have them: what is read, what is refused, and in which words."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from service.table_files import read_table
from service.tables import Kind, TableError, write_predictions

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "service/demo_data/bikeshare.csv"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a file and reads it as a table."""

    def write(content, name="some.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path)

    return write


@pytest.fixture
def parquet(tmp_path):
    """Return a function that writes the rows of a SELECT as Parquet and reads them as a table."""

    def write(select):
        path = tmp_path / "some.parquet"
        duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return read_table(path)

    return write


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_columns_come_by_name_in_the_order_of_the_file(written):
    table = written("b,a\n1,2.5\n3,-4e-3\n")

    assert table.names == ("b", "a")
    assert table.row_count == 2
    assert table.matrix(["a", "b"]).tolist() == [[2.5, 1.0], [-0.004, 3.0]]


def test_numbers_are_read_to_the_last_bit(written):
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    table = written("x\n" + "\n".join(map(repr, values.tolist())))

    assert table.numbers("x").tolist() == values.tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_usual_delimiters_are_recognised(written, delimiter):
    table = written(f"a{delimiter}b\n1{delimiter}2\n")

    assert table.matrix(["a", "b"]).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("name", ["odd [1].csv", "a*b?.csv", "it's.csv"])
def test_a_file_may_have_any_name(written, name):
    written("a\n7\n", "aXbX.csv")  # what the stars would find besides

    assert written("a\n1\n", name).numbers("a").tolist() == [1.0]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(written):
    assert written(b"\xef\xbb\xbfa,b\r\n1,2\r\n").matrix(["a", "b"]).tolist() == [[1.0, 2.0]]


def test_names_that_differ_in_case_are_different_columns(written):
    assert written("x,X\n1,2\n").matrix(["X", "x"]).tolist() == [[2.0, 1.0]]


def test_booleans_count_as_zero_and_one(written, parquet):
    assert written("on\ntrue\nFalse\n").numbers("on").tolist() == [1.0, 0.0]
    assert parquet("VALUES (true), (false)").numbers("col0").tolist() == [1.0, 0.0]


def test_a_parquet_file_says_by_type_what_is_a_number(parquet):
    table = parquet("""SELECT 1::TINYINT AS small, 2.50::DECIMAL(9, 2) AS money, '007' AS agent,
        DATE '2011-01-01' AS day, [1, 2] AS list, 0.1::DOUBLE AS tenth, NULL::INTEGER AS nothing""")

    kinds = [table.column(name).kind for name in table.names]
    number, text = Kind.NUMBER, Kind.TEXT
    assert kinds == [number, number, text, Kind.DATE, text, number, Kind.EMPTY]
    assert table.matrix(["small", "money", "tenth"]).tolist() == [[1.0, 2.5, 0.1]]


def test_a_parquet_file_is_known_by_its_content_not_by_its_name(parquet, tmp_path):
    parquet("SELECT 3 AS a")
    path = (tmp_path / "some.parquet").rename(tmp_path / "some.csv")

    assert read_table(path).numbers("a").tolist() == [3.0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "some.csv: the file is empty"),
        ("a,b\n", "some.csv: there is a header but no row below it"),
        ("\n1,2\n", "some.csv: the first line must name the columns; it is empty"),
        ("0.5,1e3\n1,2\n", "some.csv: the first line must name the columns; it holds numbers"),
        ("a,b,a\n1,2,3\n", "some.csv: the header has the column 'a' twice"),
        ("a,,b\n1,2,3\n", "some.csv: column 2 has no name in the header"),
        ("a,b\n1,2\n3\n", "some.csv: line 3: expected 2 values, as the header names, got 1"),
        ("a,b\n1,2,3\n", "some.csv: line 2: expected 2 values, as the header names, got 3"),
        ('a,b\n1,"2\n', "some.csv: line 2: a quote is never closed"),
        (b"a,b\n" + 10_000 * b"1,2\n" + b"\xe9,1\n", "some.csv: line 10002: the text is not UTF-8"),
        (b"\xe9,b\n1,2\n", "some.csv: the text is not UTF-8"),
        (b"PAR1 no more", "some.csv: "),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_broken_file_is_refused_in_one_sentence(written, content, sentence):
    with pytest.raises(TableError) as error:
        written(content)

    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r"nowhere\.csv: no such file or directory"):
        read_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "column", "sentence"),
    [
        ("temp,hum\n1,2\n", "tmp", "no column 'tmp'; did you mean 'temp'? the file has: temp, hum"),
        ("temp,hum\n1,2\n", "zzz", "there is no column 'zzz'; the file has: temp, hum"),
        ("a\nx\ny\n", "a", "column 'a' holds text, not numbers: row 1 holds 'x'"),
        ("a\n1\n2\nn/a\n", "a", "column 'a' holds text, not numbers: row 3 holds 'n/a'"),
        ("a;b\n1,5;2\n", "a", "row 1 holds '1,5'; write decimals with a point"),
        ("a,b\n1,2\n,3\n", "a", "column 'a': row 2 has no value"),
        ("a,b\n,2\n,3\n", "a", "column 'a' has no values"),
        ("a\n1\nnan\n", "a", "column 'a' must be finite: row 2 holds 'nan'"),
        ("a\n1\n-inf\n", "a", "column 'a' must be finite: row 2 holds '-inf'"),
        ("a\n2011-01-01\n", "a", "column 'a' holds dates ('2011-01-01'): make numbers of them"),
        ("a\n10:30\n", "a", "column 'a' holds dates ('10:30')"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_number_is_refused_with_its_column_and_row(written, content, column, sentence):
    table = written(content)

    with pytest.raises(TableError) as error:
        table.numbers(column)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_predictions_stand_beside_the_rows_as_they_were_written(written):
    table = written('name,x\n"Smith, J.",0.50\n,7\n')
    stream = io.StringIO()

    write_predictions(table, np.array([0.1, 1e-9]), stream)
    assert stream.getvalue() == 'name,x,prediction\n"Smith, J.",0.50,0.1\n,7,1e-09\n'


def test_a_file_of_predictions_appears_whole_or_not_at_all(written, tmp_path):
    table = written("x\n1\n2\n")
    out = tmp_path / "out.csv"
    write_predictions(table, [3.0, 4.0], io.StringIO(), out)

    with pytest.raises(ValueError, match="shorter"):
        write_predictions(table, [5.0], io.StringIO(), out)
    assert out.read_text() == "x,prediction\n1,3.0\n2,4.0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "some.csv"]


def test_a_folder_that_is_not_there_is_named(written, tmp_path):
    with pytest.raises(TableError, match=r"nowhere/out\.csv: no such file or directory"):
        write_predictions(written("x\n1\n"), [1.0], io.StringIO(), tmp_path / "nowhere/out.csv")


def test_a_column_of_the_callers_own_is_never_overwritten(written):
    with pytest.raises(TableError, match="rename the column 'prediction'"):
        write_predictions(written("x,prediction\n1,2\n"), [1.0], io.StringIO())


def test_duckdb_is_not_loaded_before_a_file_is_read():
    code = "import sys, service.tables, service.predict; sys.exit('duckdb' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_shipped_hours_are_what_their_readme_says():
    table = read_table(SHIPPED)
    weeks, hours = np.unique(table.numbers("week"), return_counts=True)

    assert table.row_count == 8645
    assert all(table.column(name).kind is Kind.NUMBER for name in table.names)
    assert weeks.tolist() == list(range(53))
    assert (hours[:-1].min(), hours.max(), hours[-1]) == (139, 168, 24)
    angles = table.matrix(["h_sin", "h_cos", "h2_sin", "h2_cos"])
    assert np.square(angles).sum(axis=1) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("name", ["context.csv", "query.csv"])
def test_the_examples_are_rows_of_the_shipped_hours(name):
    example = rows(SHIPPED.with_name(name))
    names = list(example[0])
    shipped = {}
    for row in rows(SHIPPED):
        shipped.setdefault(tuple(row[n] for n in names), set()).add(row["week"])

    weeks = [shipped[tuple(row.values())] for row in example]
    assert set.intersection(*weeks) == {"26"}
    assert len(example) == {"context.csv": 24, "query.csv": 6}[name]
    assert ("log_bikers" in names) == (name == "context.csv")


def test_no_hour_is_both_example_and_query():
    query = rows(SHIPPED.with_name("query.csv"))
    examples = rows(SHIPPED.with_name("context.csv"))
    context = [{name: row[name] for name in query[0]} for row in examples]

    assert not [row for row in query if row in context]
