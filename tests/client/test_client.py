import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import numpy as np
import pandas as pd
import pytest
from grpc_health.v1 import health_pb2

import sonoba
from sonoba.v1 import predictor_pb2 as pb
from tests.client.conftest import serve_health

ROWS = [[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]]
LABELS = [1.0, 2.0, 4.0]
QUERIES = [[2.0, 2.0], [0.0, 1.0]]


def test_lists_arrays_and_frames_get_the_same_answer(client):
    frame, queries = pd.DataFrame(ROWS), pd.DataFrame(QUERIES)
    wanted = np.array(QUERIES) @ np.linalg.lstsq(np.array(ROWS), LABELS, rcond=None)[0]

    answers = [
        client.predict(ROWS, LABELS, QUERIES),
        client.predict(np.array(ROWS), np.array(LABELS), np.array(QUERIES)),
        client.predict(frame, pd.Series(LABELS), queries),
    ]

    for answer in answers:
        assert isinstance(answer.values, np.ndarray)
        np.testing.assert_allclose(answer.values, wanted)


def test_a_prediction_says_what_answered_and_how(client):
    prediction = client.predict(ROWS, LABELS, [2.0, 2.0], request_id="mine")

    assert len(prediction.values) == 1
    assert (prediction.model, prediction.model_version) == ("foundation", "v1")
    assert (prediction.mode, prediction.solver) == ("foundation", "exact")
    assert prediction.evidence == "examples"
    assert prediction.warnings == (sonoba.Warning("FEW_EXAMPLES", "few", "x", -1),)
    assert prediction.request_id == "mine"


def test_everything_a_caller_says_is_sent(client, reference):
    client.predict(
        ROWS,
        LABELS,
        QUERIES,
        columns=["a", "b"],
        group_id="store 7",
        schema_hash="abc",
        allow_fallback=False,
        model="paper",
        model_version="v3",
        request_id="mine",
    )

    [request] = reference.asked(pb.PredictRequest)
    assert (request.model, request.model_version) == ("paper", "v3")
    assert (list(request.columns), request.schema_hash) == (["a", "b"], "abc")
    assert (request.group_id, request.request_id) == ("store 7", "mine")
    assert request.options.fallback_policy == pb.FALLBACK_POLICY_FORBID


def test_a_summary_answers_like_its_examples(client):
    summary = sonoba.Summary.from_rows(ROWS, LABELS)

    prediction = client.predict(queries=QUERIES, summary=summary)

    assert prediction.evidence == "summary"
    np.testing.assert_allclose(prediction.values, client.predict(ROWS, LABELS, QUERIES).values)


def test_the_clients_version_belongs_to_the_clients_model(target, reference):
    with sonoba.Client(target, model="mine", model_version="v7") as client:
        client.predict(ROWS, LABELS, QUERIES)
        client.predict(ROWS, LABELS, QUERIES, model="other")
        client.predict(ROWS, LABELS, QUERIES, model_version="v8")

    asked = reference.asked(pb.PredictRequest)
    routes = [(request.model, request.model_version) for request in asked]
    assert routes == [("mine", "v7"), ("other", ""), ("mine", "v8")]


def test_the_server_summarizes_what_the_client_could(client):
    ours = sonoba.Summary.from_rows(ROWS, LABELS, schema_hash="abc")

    assert client.summarize(ROWS, LABELS) == ours


def test_a_summary_to_merge_and_its_origin_are_sent(client, reference):
    other = sonoba.Summary.from_rows(ROWS, LABELS, origin=[1.0, 2.0], label_origin=3.0)

    client.summarize(ROWS, LABELS, origin=[1.0, 2.0], label_origin=3.0, merge_with=other)

    [request] = reference.asked(pb.SummarizeExamplesRequest)
    assert request.origin.raw == np.array([1.0, 2.0]).tobytes()
    assert request.label_origin == 3.0
    assert request.merge_with.example_count == 3


def test_a_model_is_described_in_words(client, reference):
    reference.model.create_time.FromDatetime(datetime(2026, 1, 2))

    model = client.model()

    assert (model.name, model.kind, model.state) == ("foundation", "foundation", "warming")
    assert model.versions == ("v1", "v0")
    assert model.columns == (sonoba.Column("a", "celsius", ""),)
    assert model.create_time == datetime(2026, 1, 2, tzinfo=UTC)


def test_every_page_of_models_is_read(client):
    assert [model.name for model in client.models()] == ["foundation", "paper", "profile"]


def test_a_value_unheard_of_is_passed_on_as_its_number(client, reference):
    reference.model.kind, reference.model.state = 99, pb.MODEL_STATE_UNSPECIFIED

    model = client.model()

    assert (model.kind, model.state) == ("99", "")


def test_threads_share_a_client_and_each_gets_its_own_answer(client, make_prompt, expected):
    prompts = [make_prompt() for _ in range(40)]
    answers = {}

    def ask(numbers):
        for i in numbers:
            p = prompts[i]
            answers[i] = client.predict(p.examples, p.labels, p.queries).values

    threads = [threading.Thread(target=ask, args=(range(k, 40, 8),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for i, prompt in enumerate(prompts):
        np.testing.assert_allclose(answers[i], expected(prompt))


def test_a_server_that_is_not_ready_is_passed_over(target, reference):
    unready = grpc.server(ThreadPoolExecutor(2))
    serve_health(unready, health_pb2.HealthCheckResponse.NOT_SERVING)
    port = unready.add_insecure_port("127.0.0.1:0")
    unready.start()

    with sonoba.Client(f"ipv4:127.0.0.1:{port},{target}") as client:
        for _ in range(10):
            client.predict(ROWS, LABELS, QUERIES)
    unready.stop(0).wait()

    assert reference.attempts["Predict"] == 10


def test_an_answer_of_another_length_is_the_servers_fault(client, monkeypatch, reference):
    monkeypatch.setattr(reference, "response", lambda _: pb.PredictResponse(predictions=[1.0]))

    with pytest.raises(sonoba.ServerError, match="expected 2"):
        client.predict(ROWS, LABELS, QUERIES)
