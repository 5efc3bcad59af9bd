import json
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import json_format

from model.layer_draft import layer_draft
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store
from service.table_files import read_table
from service.template_command import rounded, template
from sonoba.v1 import predictor_pb2
from tests.model.versions import ARRAYS, a_draft


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.save(a_draft(), ARRAYS)
    return made


def run(store, *arguments):
    options = [*map(str, arguments), "--store", str(store.folder)]
    return CliRunner().invoke(template, options)


def test_a_csv_template_is_read_by_predict_as_a_context(store, tmp_path):
    result = run(store, "bikes", "--out", tmp_path / "prompt.csv")
    table = read_table(tmp_path / "prompt.csv")

    assert result.exit_code == 0, result.output
    assert "1 feature, then sold, one example" in result.stdout
    assert table.names == ("temp", "sold")
    assert table.numbers("temp").tolist() == [12.34]
    assert table.numbers("sold").tolist() == [100.0]


@pytest.mark.parametrize("name", ["bikes", "foundation"])
def test_a_json_template_is_a_request_of_the_contract(store, name):
    result = run(store, name, "--format", "json")
    request = json_format.Parse(result.stdout, predictor_pb2.PredictRequest())

    d = len(request.columns)
    assert request.model == name
    assert request.examples.features.column_count == request.queries.column_count == d
    assert len(request.examples.features.values) == len(request.queries.values) == d
    assert len(request.examples.labels.values) == 1
    assert json.loads(result.stdout)["columns"] == list(request.columns)


def test_without_a_file_the_template_goes_to_stdout_alone(store):
    assert run(store, "bikes").stdout == "temp,sold\n12.34,100\n"


def test_an_unknown_model_is_named_with_those_that_exist(store):
    result = run(store, "cars")

    assert result.exit_code == 1
    assert "cars: there is no such model" in result.stderr and "bikes" in result.stderr


def test_a_place_that_cannot_be_written_is_named(store, tmp_path):
    result = run(store, "bikes", "--out", tmp_path / "no" / "prompt.csv")

    assert result.exit_code == 1
    assert "--out:" in result.stderr and "no such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [(1234.5678, 10.0, 1234.6), (0.123456, 0.01, 0.1235), (5.25, 0.0, 5.25), (123456, 1e4, 123500)],
)
def test_an_example_has_the_digits_that_its_scatter_warrants(mean, deviation, expected):
    assert rounded(mean, deviation) == pytest.approx(expected)


def test_a_layer_is_asked_with_its_own_columns(store, tmp_path):
    created, model = datetime(2026, 1, 2, tzinfo=UTC), PaperModel(np.eye(2))
    columns = (Column("temp", "celsius"), Column("wind"))
    store.save(*layer_draft("named", model, Schema(columns), created))
    store.save(*layer_draft("nameless", model, Schema(), created))
    profile = store.load("bikes").manifest
    store.save(
        *layer_draft(
            *("bikes", PaperModel(np.eye(1)), profile.schema_of_model(), created),
            feature_schema=profile.feature_schema,
        )
    )

    assert run(store, "named").stdout.splitlines()[0] == "temp,wind,label"
    assert run(store, "nameless").stdout.splitlines()[0] == "feature_1,feature_2,label"
    assert run(store, "bikes").stdout.splitlines()[1] == "12.34,100"
