"""What callers are told: how far a prompt lies from normal, which normal, and whether to trust."""

import itertools
import time

import grpc
import numpy as np
import pytest

import sonoba
from model.checkpoint import ArtifactError, load_stored
from service.server import Server
from service.settings import Settings
from sonoba.v1 import predictor_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import COLUMNS, asking, examples, matrix
from tests.service.test_batch import batch
from tests.service.test_stream import numbered
from tests.service.watched import NAME, request

SCORED = pb.PredictOptions(include_shift_score=True)


def known():
    """Return the served profile's reference."""
    return watched.fitted().reference


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of a profile with its reference, one of few groups, and one without."""
    folder = watched.save(tmp_path_factory.mktemp("store"))
    watched.save(folder, "few", watched.provisional())
    return watched.save(folder, "unwatched", watched.unwatched())


@pytest.fixture(scope="module")
def served(store):
    server = Server(Settings(grpc_port=0, metrics_port=0, store=store))
    server.start()
    yield server
    server.stop(0.0)


@pytest.fixture
def stub(served):
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
        yield watched.stub_of(channel)


def naive(store, block):
    """Return h/h₀ and LOO/LOO₀ of a block's one prompt, row by row from the served estimator."""
    made = load_stored(store, NAME).model.estimator(block)
    s, T = made.smoother, made.task_covariance
    P, U, r, m = s.inverse[0], s.rows[0], s.labels[0], s.prior_mean
    h = []
    for v in s.queries[0]:
        c = U @ P.T @ v  # (M,) weights of the labels
        u = v - U.T @ c
        h.append(made.noise_variance * (1.0 + s.centred / s.count + c @ c) + u @ T @ u)
    w, errors = m + P @ U.T @ (r - U @ m), []
    for row, label in zip(U, r, strict=True):
        leverage = row @ P @ row + s.centred / s.count
        assert leverage < 0.5  # above it, rows are refitted
        errors.append((label - row @ w) / (1.0 - leverage))
    lengths = known().baselines.lengths
    place = int(np.abs(np.log(block.example_count / lengths)).argmin())
    base = known().baselines
    logs = np.log(block.example_count), np.log(lengths), np.log(base.natural)
    moved = np.exp(np.interp(*logs)) / base.natural[place]  # to the prompt's own length
    normal = base.predicted[place] * moved, base.loo[place] * moved
    return np.mean(h) / normal[0], np.mean(np.square(errors)) / normal[1]


@pytest.mark.parametrize("M", [20, 40, 64])
def test_the_score_is_the_prompts_errors_over_normal(stub, store, M):
    block = asked(1, M=M)[0]
    score = stub.Predict(request(block, options=SCORED)).shift_score

    h, loo = naive(store, block)
    assert score.expected_error_ratio == pytest.approx(h, rel=1e-9)
    assert score.leave_one_out_ratio == pytest.approx(loo, rel=1e-9)


def test_features_are_told_by_how_far_their_mean_lies_the_farthest_first(stub):
    block = asked(1, M=20)[0]
    score = stub.Predict(request(block, options=SCORED)).shift_score

    normal = known().normal
    expected = (block.context.x[0].mean(0) - normal.mean) / normal.deviation
    order = np.argsort(-np.abs(expected))
    assert [one.name for one in score.feature_shifts] == [COLUMNS[place] for place in order]
    np.testing.assert_allclose([one.score for one in score.feature_shifts], expected[order])


def test_columns_in_another_order_change_no_score(stub):
    block = asked(2, M=20)[0]
    (x, y), queries, turn = block.context, block.queries[0], [2, 0, 1]
    straight = stub.Predict(request(block, options=SCORED)).shift_score

    names = [COLUMNS[place] for place in turn]
    turned = asking(
        x[0][:, turn], y[0], queries[:, turn], columns=names, model=NAME, options=SCORED
    )
    found = stub.Predict(turned).shift_score
    pairs = zip(found.feature_shifts, straight.feature_shifts, strict=True)
    assert found.expected_error_ratio == pytest.approx(straight.expected_error_ratio)
    assert found.leave_one_out_ratio == pytest.approx(straight.leave_one_out_ratio)
    assert all(a.name == b.name and a.score == pytest.approx(b.score) for a, b in pairs)


def test_a_layout_seen_before_is_scored_alike(stub):
    scores = [stub.Predict(request(asked(2, M=21)[0], options=SCORED)) for _ in range(4)]

    assert all(one.shift_score == scores[0].shift_score for one in scores)
    assert not stub.Predict(request(asked(2, M=21)[0])).HasField("shift_score")


def test_a_prompt_of_larger_spread_has_a_larger_ratio(stub):
    block = asked(3, M=20)[0]
    wide = block._replace(queries=block.queries * 1.02)

    ratios = [stub.Predict(request(one, options=SCORED)).shift_score for one in (block, wide)]
    assert ratios[1].expected_error_ratio > ratios[0].expected_error_ratio
    assert ratios[1].leave_one_out_ratio == pytest.approx(ratios[0].leave_one_out_ratio)


def test_a_stream_brings_the_score_too(stub):
    block = asked(4, B=3, M=20)[0]
    requests = [request(block, place, options=SCORED) for place in range(3)]

    answers = [one.response.shift_score for one in stub.PredictStream(numbered(requests))]
    assert answers == [stub.Predict(one).shift_score for one in requests]
    assert answers[0].expected_error_ratio > 0.0


def test_the_client_brings_the_score_of_one_and_of_many(served, stub):
    block = asked(4, B=6, M=20)[0]
    rows = list(zip(*block.context, block.queries, strict=True))
    with sonoba.Client(f"127.0.0.1:{served.grpc_port}", model=NAME) as client:
        one = client.predict(*rows[0], shift=True)
        many = client.predict_many([sonoba.Prompt(*row, shift=True) for row in rows])

    score = stub.Predict(request(block, options=SCORED)).shift_score
    assert one.shift == many[0].shift
    assert one.shift.expected_error_ratio == score.expected_error_ratio
    assert one.shift.leave_one_out_ratio == score.leave_one_out_ratio
    assert one.shift.features == tuple((f.name, f.score) for f in score.feature_shifts)
    assert {answer.reference for answer in (one, *many)} == {known().id}
    assert len({answer.shift.expected_error_ratio for answer in many}) == 6


def test_a_batch_refuses_to_score(stub):
    block = asked(4, B=3, M=20)[0]

    with pytest.raises(grpc.RpcError) as error:
        stub.PredictBatch(batch(*block.context, block.queries, model=NAME, options=SCORED))
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "options.include_shift_score: expected it unset in a batch" in error.value.details()


def test_sums_have_no_leave_one_out(stub):
    block = asked(5, M=20)[0]
    (x, y), queries = block.context, block.queries[0]
    summary = stub.SummarizeExamples(
        pb.SummarizeExamplesRequest(examples=examples(x[0], y[0]), model=NAME)
    ).summary
    rows = stub.Predict(request(block, options=SCORED)).shift_score
    found = stub.Predict(
        pb.PredictRequest(model=NAME, summary=summary, queries=matrix(queries), options=SCORED)
    ).shift_score

    assert not found.HasField("leave_one_out_ratio")
    assert found.expected_error_ratio == pytest.approx(rows.expected_error_ratio, rel=1e-6)
    assert [one.name for one in found.feature_shifts] == [one.name for one in rows.feature_shifts]


@pytest.mark.parametrize("model", ["foundation", "unwatched"])
def test_without_a_reference_there_is_no_score(stub, model):
    response = stub.Predict(request(asked(6)[0], model=model, options=SCORED))

    assert not response.HasField("shift_score")
    assert response.reference == ""


def test_what_another_model_answered_has_no_score(stub):
    block = asked(6)[0]
    x, queries = block.context.x.copy(), block.queries.copy()
    x[..., 2], queries[..., 2] = 1000.0 * x[..., 2], 1000.0 * queries[..., 2]
    response = stub.Predict(
        asking(x[0], block.context.y[0], queries[0], model=NAME, options=SCORED)
    )

    assert response.mode == pb.MODE_FOUNDATION
    assert not response.HasField("shift_score")


def test_answers_and_the_model_name_their_reference(stub):
    block = asked(7, B=2)[0]
    model = stub.GetModel(pb.GetModelRequest(model=NAME)).model
    listed = {one.name: one for one in stub.ListModels(pb.ListModelsRequest()).models}
    together = stub.PredictBatch(batch(*block.context, block.queries, model=NAME))
    [streamed] = stub.PredictStream(numbered([request(block)]))

    assert model.reference == known().id
    assert listed[NAME].reference == known().id
    assert stub.Predict(request(block)).reference == known().id
    assert (together.reference, streamed.response.reference) == (known().id, known().id)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        (NAME, pb.MODEL_STATE_HEALTHY),
        ("few", pb.MODEL_STATE_PROVISIONAL),
        ("unwatched", pb.MODEL_STATE_WARMING),
        ("foundation", pb.MODEL_STATE_WARMING),
    ],
)
def test_a_model_says_whether_it_can_be_judged(stub, name, state):
    assert stub.GetModel(pb.GetModelRequest(model=name)).model.state == state


@pytest.mark.slow
def test_a_model_without_a_reference_takes_its_first_prompts_for_one(serving, store):
    found = serving(store=store, monitor_baseline_prompts=50, monitor_window_prompts=20)
    block = asked(8, B=60)[0]
    found.stub.PredictBatch(batch(*block.context, block.queries, model="unwatched"))

    def described():
        return found.stub.GetModel(pb.GetModelRequest(model="unwatched")).model

    watched.wait(lambda: described().reference)
    assert described().state == pb.MODEL_STATE_HEALTHY
    answer = found.stub.Predict(request(block, model="unwatched", options=SCORED))
    assert answer.reference == described().reference
    assert answer.shift_score.expected_error_ratio > 0.0


DAMAGED = {
    "not a number": ({"baselines.loo": np.full(4, np.nan)}, "baselines.loo: expected finite"),
    "no error": ({"baselines.loo": np.zeros(4)}, "array baselines.loo: expected numbers above 0"),
    "a shape": ({"clip_means": np.ones(3)}, r"array clip_means: expected shape \(2,\), got \(3,\)"),
    "a missing one": ({"normal.mean": None}, "expected an array normal.mean, got none"),
    "text": ({"clip_means": np.array(["one", "two"])}, "could not convert"),
    "another width": (
        {"single": np.array([1.0, 2.0, 9.0, 99.0, 100.0])},
        "expected sizes that agree, got 2 features, 3 of them",
    ),
}


@pytest.mark.parametrize(("arrays", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_reference_refuses_the_start_and_says_why(tmp_path, arrays, sentence):
    folder = watched.save(tmp_path, **arrays)

    with pytest.raises(ArtifactError, match=f"^{NAME}.*: .*{sentence}"):
        Server(Settings(grpc_port=0, metrics_port=0, store=folder))


@pytest.mark.slow
def test_a_model_whose_errors_have_risen_is_harmed_and_is_healthy_again_later(store):
    """Labels of another task than the history's: leave-one-out is far above normal."""
    settings = Settings(
        grpc_port=0, metrics_port=0, store=store, default_model=NAME, monitor_hold_seconds=0.0
    )
    server = Server(settings)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = watched.stub_of(channel)

            seeds = itertools.count()

            def comes_to(state, sign):
                """Send new prompts, labels times sign, until the model is in a state."""

                def is_there():
                    block, _ = asked(next(seeds), 50, 40)
                    x, y = block.context
                    stub.PredictBatch(batch(x, sign * y, block.queries, model=NAME))
                    time.sleep(0.2)
                    return stub.GetModel(pb.GetModelRequest(model=NAME)).model.state == state

                watched.wait(is_there)

            comes_to(pb.MODEL_STATE_HEALTHY, 1.0)
            comes_to(pb.MODEL_STATE_HARMED, -1.0)
            comes_to(pb.MODEL_STATE_HEALTHY, 1.0)
    finally:
        server.stop(0.0)
