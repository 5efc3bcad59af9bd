"""`sonoba predict` as a caller runs it, against a real server."""

import csv
import io
import re
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from model.checkpoint import FOUNDATION_FILE, load
from model.prompt import Block, Examples
from service import predict as command
from service.predict import predict
from service.server import Server
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DATA = ROOT / "service/demo_data"
CONTEXT, QUERY = DATA / "context.csv", DATA / "query.csv"


@pytest.fixture(scope="module")
def address():
    server = Server(Settings(grpc_port=0, metrics_port=0))
    server.start()
    yield f"127.0.0.1:{server.grpc_port}"
    server.stop(0.0)


@pytest.fixture
def run(address):
    """Return a function that runs the command; the server's address comes by itself."""

    def invoke(*arguments, context=CONTEXT, query=QUERY, target="log_bikers"):
        files = ["--context", str(context), "--query", str(query), "--target", target]
        return CliRunner().invoke(predict, [*files, "--address", address, *arguments])

    return invoke


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and gives its path."""

    def write(name, content):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def predictions(text):
    return [float(row["prediction"]) for row in table(text)]


def numbers(path):
    return np.genfromtxt(path, delimiter=",", skip_header=1)


def test_the_examples_are_answered_as_the_model_answers_them(run):
    result = run()
    context, query = numbers(CONTEXT), numbers(QUERY)
    block = Block(Examples(context[None, :, :-1], context[None, :, -1]), query[None])
    expected = load(FOUNDATION_FILE).model.answer(block).predictions[0]

    assert result.exit_code == 0, result.output
    assert predictions(result.stdout) == pytest.approx(expected, rel=1e-12)
    rows = [{k: v for k, v in row.items() if k != "prediction"} for row in table(result.stdout)]
    assert rows == table(QUERY.read_text())


def test_an_interval_adds_its_bounds_before_the_prediction(run):
    result = run("--interval", "0.9")

    rows = table(result.stdout)
    assert list(rows[0])[-3:] == ["lower", "upper", "prediction"]
    assert predictions(result.stdout) == pytest.approx(predictions(run().stdout), rel=1e-12)
    assert all(float(r["lower"]) < float(r["prediction"]) < float(r["upper"]) for r in rows)


def test_a_wider_level_is_a_wider_interval(run):
    def widths(level):
        rows = table(run("--interval", level).stdout)
        return np.array([float(row["upper"]) - float(row["lower"]) for row in rows])

    assert (widths("0.95") > widths("0.80")).all()


def test_a_level_that_is_not_offered_is_one_sentence(run):
    result = run("--interval", "0.5")

    assert result.exit_code == 1
    assert "expected some of 0.80, 0.90, 0.95, each once, got 0.5" in result.stderr


def test_a_query_file_with_a_column_of_bounds_is_refused(run, file):
    query = file("taken.csv", QUERY.read_text().replace("temp", "upper", 1))
    context = file("context.csv", CONTEXT.read_text().replace("temp", "upper", 1))
    result = run("--interval", "0.9", query=query, context=context)

    assert result.exit_code == 1
    assert f"{query}: rename the column 'upper', it is for the interval" in result.stderr
    assert run(query=query, context=context).exit_code == 0


def test_what_is_no_prediction_goes_to_stderr(run):
    result = run()

    assert result.stdout.count("\n") == 7
    assert "model    foundation, version " in result.stderr
    assert "mode     foundation, solver " in result.stderr
    assert "prompt   24 examples of 9 features, 6 queries" in result.stderr


def test_the_order_of_the_columns_is_no_matter_and_more_columns_come_along(run, file):
    reversed_rows = [
        ",".join(["id", *reversed(QUERY.read_text().split("\n")[0].split(","))]),
        *(
            ",".join([f"q{i}", *reversed(line.split(","))])
            for i, line in enumerate(QUERY.read_text().split("\n")[1:-1])
        ),
    ]
    result = run(query=file("other.csv", "\n".join(reversed_rows)))

    assert predictions(result.stdout) == pytest.approx(predictions(run().stdout), rel=1e-12)
    assert [row["id"] for row in table(result.stdout)] == [f"q{i}" for i in range(6)]


def test_a_target_among_the_queries_is_not_looked_at(run, file):
    peeking = file("peek.csv", CONTEXT.read_text())
    result = run(query=peeking)
    spoilt = [f"{line.rsplit(',', 1)[0]},99" for line in CONTEXT.read_text().split("\n")[1:-1]]
    header = CONTEXT.read_text().split("\n")[0]
    again = run(query=file("spoilt.csv", "\n".join([header, *spoilt])))

    assert f"notice   {peeking}: the target 'log_bikers' is not looked at" in result.stderr
    assert predictions(again.stdout) == predictions(result.stdout)


def test_features_can_be_chosen(run):
    result = run("--features", "temp, h_sin,h_cos")

    assert "24 examples of 3 features" in result.stderr
    assert predictions(result.stdout) != pytest.approx(predictions(run().stdout))


def test_text_and_dates_are_left_out_with_a_notice_and_booleans_count(run, file):
    rows = [f"2011-01-0{i},s{i},{'true' if i % 2 else 'false'},{i * 0.5},{i}" for i in range(1, 9)]
    context = file("c.csv", "\n".join(["day,place,open,x,y", *rows]))
    result = run(context=context, query=file("q.csv", "x,open\n3.25,true\n"), target="y")

    assert result.exit_code == 0, result.output
    assert "no features are made of day (dates), place (text)" in result.stderr
    assert "8 examples of 2 features" in result.stderr


def test_parquet_and_csv_give_the_same_answers(run, tmp_path):
    for path in (CONTEXT, QUERY):
        out = tmp_path / f"{path.stem}.parquet"
        duckdb.sql(f"COPY (FROM read_csv('{path}')) TO '{out}' (FORMAT parquet)")
    result = run(context=tmp_path / "context.parquet", query=tmp_path / "query.parquet")

    assert predictions(result.stdout) == pytest.approx(predictions(run().stdout), rel=1e-12)


def test_a_file_can_take_the_predictions(run, tmp_path):
    out = tmp_path / "answers.csv"
    result = run("--out", str(out))

    assert result.stdout == ""
    assert out.read_text() == run().stdout


def test_more_rows_than_one_call_may_carry_are_sent_in_several(run, monkeypatch):
    whole = predictions(run().stdout)
    monkeypatch.setattr(command, "QUERIES_PER_CALL", 4)
    result = run()

    assert predictions(result.stdout) == pytest.approx(whole, rel=1e-12)
    assert "6 queries" in result.stderr


def test_a_caution_of_the_server_is_shown(run, file):
    names, first = QUERY.read_text().split("\n")[:2]
    result = run(query=file("far.csv", f"{names}\n3,{first.split(',', 1)[1]}\n"))

    assert result.exit_code == 0, result.output
    assert re.search("^warning  EXTRAPOLATION: query 0, feature 'temp': ", result.stderr, re.M)


def test_many_cautions_are_counted(run, file, monkeypatch):
    monkeypatch.setattr(command, "WARNINGS_SHOWN", 1)
    rows = [f"{i},{i * i},{2 * i * i},7" for i in range(8)]
    context = file("c.csv", "\n".join(["y,x,twice,same", *rows]))
    result = run(context=context, query=file("q.csv", "x,twice,same\n9,18,7\n"), target="y")

    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning  ") == 2
    assert re.search(r"^warning  and \d+ more$", result.stderr, re.M)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"target": "bikers"}, "there is no column 'bikers'; did you mean 'log_bikers'?"),
        ({"context": Path("nowhere.csv")}, "Error: nowhere.csv: no such file or directory"),
        ({"query": Path("/")}, "Error: /: is a directory"),
    ],
    ids=["target", "context", "query"],
)
def test_a_slip_is_one_sentence_and_no_traceback(run, arguments, sentence):
    result = run(**arguments)

    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ("temp,log_bikers", "--features: 'log_bikers' is the target"),
        ("temp,temp", "--features: 'temp' is named twice"),
        ("tempo", "there is no column 'tempo'; did you mean 'temp'?"),
        (" , ", "there is no column of numbers beside 'log_bikers'"),
    ],
)
def test_features_that_cannot_be_are_refused(run, features, sentence):
    result = run("--features", features)

    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_slip_among_numbers_is_refused_and_not_taken_for_text(run, file):
    names, first, rest = CONTEXT.read_text().split("\n", 2)
    slipped = f"{names}\n{first}\nn/a,{first.split(',', 1)[1]}\n{rest}"
    result = run(context=file("c.csv", slipped))

    assert result.exit_code == 1
    assert "column 'temp' holds text, not numbers: row 2 holds 'n/a'" in result.stderr


def test_a_query_without_a_feature_names_it(run, file):
    short = "\n".join(line.split(",", 1)[1] for line in QUERY.read_text().split("\n")[:-1])
    result = run(query=file("short.csv", short))

    assert result.exit_code == 1
    assert "short.csv: there is no column 'temp'" in result.stderr


def test_what_the_server_refuses_is_told_in_its_words(run, file):
    few = file("few.csv", "\n".join(CONTEXT.read_text().split("\n")[:3]))
    result = run(context=few)

    assert result.exit_code == 1
    assert "expected at least 4 examples for model foundation, got 2" in result.stderr


def test_an_unknown_model_is_named(run):
    result = run("--model", "oracle")

    assert result.exit_code == 1
    assert "oracle" in result.stderr


def test_without_a_server_the_sentence_says_how_to_start_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        files = ["--context", str(CONTEXT), "--query", str(QUERY), "--target", "log_bikers"]
        result = CliRunner().invoke(predict, [*files, "--address", nobody])

    assert result.exit_code == 1
    sentence = f"Error: no sonoba server answers at {nobody}; start one with `sonoba serve`\n"
    assert result.stderr == sentence
    assert result.stdout == ""


def test_the_commands_load_no_library_before_they_run():
    modules = "sys, service.predict, service.demo, service.doctor"
    heavy = "{'numpy', 'grpc', 'duckdb', 'rich', 'matplotlib', 'torch'}"
    code = f"import {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout == "set()\n", done.stderr
