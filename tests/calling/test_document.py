import json
import re
import struct

import duckdb
import numpy as np
import pytest

from model.refusal import Refusal
from service.errors import STATUS, status_of
from service.settings import Settings
from sonoba._calls import SERVICE_CONFIG
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1.predictor_pb2_grpc import PredictorStub
from tests.calling.document import ANSWER, BLOCKS, TEXT, curl_request, run_python, table

ERRORS = {row[0]: row[1:] for row in table(TEXT, "reason")}


def test_the_table_of_errors_is_the_servers():
    assert {reason: row[0] for reason, row in ERRORS.items()} == {
        reason: code.name for reason, code in STATUS.items()
    }


@pytest.mark.parametrize("reason", ERRORS)
def test_an_error_carries_the_detail_that_the_table_names(reason):
    detail = ERRORS[reason][1]
    field = "" if detail == "–" else "some.field"

    status = status_of(Refusal(reason, field, "expected that, got this"), "an-id")

    sent = [packed.TypeName().removeprefix("google.rpc.") for packed in status.details]
    named = [] if detail == "–" else [word.strip(" `") for word in detail.split(",")]
    assert sent == ["ErrorInfo", *named]


def test_the_limits_are_those_the_server_publishes(channel):
    model = PredictorStub(channel).GetModel(pb.GetModelRequest(), timeout=5.0).model
    shown = {field: int(value.replace(",", "")) for _, value, field in table(TEXT, "what")}

    assert shown == {field: getattr(model, field) for field in shown}
    assert len(shown) == 7


def test_the_times_and_streams_in_the_text_are_the_defaults():
    settings = Settings()

    assert f"the server's {settings.default_deadline_seconds:g} s" in TEXT
    assert f"holds {settings.max_streams} open streams" in TEXT
    assert f"after {settings.stream_seconds:g} s: open another" in " ".join(TEXT.split())


def test_the_service_config_is_the_clients_without_what_not_every_language_has():
    shown = json.loads(BLOCKS["service-config"])

    assert shown == {
        name: part for name, part in SERVICE_CONFIG.items() if name != "healthCheckConfig"
    }


@pytest.mark.parametrize("program", ["predict_stubs.py", "predict.js", "Predict.java", "main.go"])
def test_every_program_sends_the_service_config(program):
    words = re.findall(r"[\w.]+", BLOCKS["service-config"])

    program_words = re.findall(r"[\w.]+", BLOCKS[program])
    assert [word for word in words if word not in program_words and not word.isdigit()] == []


@pytest.mark.parametrize("program", ["Predict.java", "Program.cs", "main.go", "predict.js"])
def test_every_program_sends_the_same_prompt(program):
    numbers = [float(n) for n in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", BLOCKS[program])]
    _, body = curl_request("grpcurl-predict")
    features, labels = body["examples"]["features"]["values"], body["examples"]["labels"]["values"]

    assert contains(numbers, features)
    assert contains(numbers, labels)
    assert contains(numbers, body["queries"]["values"])


def contains(numbers, run):
    return any(numbers[i : i + len(run)] == run for i in range(len(numbers)))


def test_the_table_of_days_is_the_prompt():
    *examples, query = table(TEXT, "celsius")
    _, body = curl_request("grpcurl-predict")

    rows = np.array(examples, float)
    assert rows[:, :2].ravel().tolist() == body["examples"]["features"]["values"]
    assert rows[:, 2].tolist() == body["examples"]["labels"]["values"]
    assert [float(cell.strip("*")) for cell in query[:2]] == body["queries"]["values"]


def test_the_sql_of_the_document_gives_the_summary_of_the_document():
    with duckdb.connect() as database:
        database.execute("CREATE TABLE days (celsius DOUBLE, weekend DOUBLE, sold DOUBLE)")
        database.executemany("INSERT INTO days VALUES (?, ?, ?)", table(TEXT, "celsius")[:-1])
        answer = database.execute(BLOCKS["summary.sql"])
        sums = dict(zip([c[0] for c in answer.description], answer.fetchone(), strict=True))

    _, body = curl_request("grpcurl-summary")
    assert body["summary"] == {
        "example_count": sums["example_count"],
        "feature_sums": {"values": [sums["sum_1"], sums["sum_2"]]},
        "second_moments": {"values": [sums["moment_11"], sums["moment_12"], sums["moment_22"]]},
        "label_products": {"values": [sums["product_1"], sums["product_2"]]},
        "label_sum": sums["label_sum"],
        "label_square_sum": sums["label_square_sum"],
    }


@pytest.mark.parametrize(
    ("data_type", "letter", "tolerance"),
    [
        (pb.DATA_TYPE_UNSPECIFIED, "d", 1e-12),
        (pb.DATA_TYPE_FLOAT64, "d", 1e-12),
        (pb.DATA_TYPE_FLOAT32, "f", 1e-6),
    ],
    ids=["unset", "FLOAT64", "FLOAT32"],
)
def test_both_encodings_of_numbers_get_the_same_answer(channel, data_type, letter, tolerance):
    def packed(numbers):
        return {"raw": struct.pack(f"<{len(numbers)}{letter}", *numbers), "data_type": data_type}

    _, body = curl_request("grpcurl-predict")
    features, labels = body["examples"]["features"]["values"], body["examples"]["labels"]["values"]
    request = pb.PredictRequest(
        examples=pb.ExampleSet(
            features=pb.Matrix(row_count=6, column_count=2, **packed(features)),
            labels=pb.Vector(**packed(labels)),
        ),
        queries=pb.Matrix(row_count=1, column_count=2, **packed([24, 1])),
    )

    answer = PredictorStub(channel).Predict(request, timeout=5.0)

    shown = json.loads(BLOCKS["grpcurl-answer"])["predictions"]
    assert list(answer.predictions) == pytest.approx(shown, rel=tolerance, abs=0)


def test_every_answer_shown_is_the_same_prediction(address):
    prediction = f"{json.loads(BLOCKS['grpcurl-answer'])['predictions'][0]:.2f}"

    assert {BLOCKS[name].split()[0] for name in BLOCKS if name.startswith("answer")} == {prediction}
    assert run_python("predict_sdk.py", address)[0] == ANSWER[0] == prediction
