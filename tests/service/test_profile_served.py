"""A profile from its history to the wire: pretrained, stored, served, and asked through gRPC."""

import csv
from datetime import UTC, datetime
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from model.checkpoint import load_stored
from model.profile_doubts import limits_of
from model.support import Wanted
from service import pretrain_run
from service.history_reader import Roles
from service.pretrain_run import Plan, keep, learn, read
from service.server import Server
from service.settings import Settings
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc
from tests.model.profiles import asked, history
from tests.service.asking import COLUMNS, asking, examples, matrix
from tests.service.test_batch import batch, predictions
from tests.service.test_stream import numbered
from tests.service.test_support import plane, weights

pytestmark = pytest.mark.slow  # seconds, all together

NAME = "tasks"
ALL = pb.PredictOptions(
    include_uncertainty=True, confidence_levels=[0.8, 0.95], include_attributions=True
)
FORBID = pb.PredictOptions(fallback_policy=pb.FALLBACK_POLICY_FORBID)
IMPUTE = pb.PredictOptions(missing_value_policy=pb.MISSING_VALUE_POLICY_IMPUTE)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a store of one profile, learnt from a file by the steps of `sonoba pretrain`."""
    folder = tmp_path_factory.mktemp("profile")
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", *COLUMNS, "label"])
        for group in history().groups:
            for x, y in zip(group.x.tolist(), group.y.tolist(), strict=True):
                writer.writerow([group.name, *x, y])
    plan = Plan(NAME, folder / "history.csv", False, Roles("task", "label", features=COLUMNS))
    found = read(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain_run, "is_present", lambda: False)  # boosting takes its time
        learnt = learn(plan, found, lambda _detail, _share: None)
    assert not learnt.admission.refusal
    keep(plan, found, learnt, folder / "store", 0.0, datetime.now(UTC))
    return folder / "store"


@pytest.fixture(scope="module")
def served(store):
    server = Server(Settings(grpc_port=0, metrics_port=0, store=store))
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    stub = predictor_pb2_grpc.PredictorStub(channel)
    yield SimpleNamespace(server=server, channel=channel, stub=stub)
    channel.close()
    server.stop(0.0)


def prompt(seed=1, M=16):
    """Return x (M, 3), y (M,), queries (3, 3) of an unseen task, and the queries' labels (3,)."""
    block, truth = asked(seed, M=M)
    return block.context.x[0].copy(), block.context.y[0].copy(), block.queries[0].copy(), truth[0]


def ask(x, y, queries, **fields):
    return asking(x, y, queries, model=NAME, **fields)


def refused(stub, request):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request)
    return raised.value.code(), raised.value.details()


def with_gaps(*places, seed=1):
    """Return an unseen task's prompt with the given cells of its examples missing."""
    x, y, queries, _ = prompt(seed)
    for row, column in places:
        x[row, column] = np.nan
    return x, y, queries


def test_a_prompt_of_an_unseen_task_is_answered_by_the_profile(stub, store):
    x, y, queries, _ = prompt()
    model = load_stored(store, NAME).model

    response = stub.Predict(ask(x, y, queries))

    expected = model.answer(asked(1)[0]).predictions[0]
    np.testing.assert_allclose(response.predictions, expected, rtol=1e-12)
    assert response.mode == pb.MODE_PROFILE
    assert not [w for w in response.warnings if w.code == pb.WARNING_CODE_FALLBACK_USED]


def test_the_profile_describes_itself(stub):
    model = stub.GetModel(pb.GetModelRequest(model=NAME)).model
    foundation = stub.GetModel(pb.GetModelRequest(model="foundation")).model

    assert model.kind == pb.MODEL_KIND_PROFILE
    assert [column.name for column in model.columns] == list(COLUMNS)
    assert model.missing_values_supported
    assert not foundation.missing_values_supported


def test_an_explanation_reproduces_the_answer_and_the_intervals_are_calibrated(stub):
    x, y, queries, _ = prompt()
    response = stub.Predict(ask(x, y, queries, options=ALL))
    plain = stub.Predict(ask(x, y, queries))

    shares = np.array(response.attributions.profile_shares.values)
    np.testing.assert_allclose(weights(response) @ y + shares, response.predictions, rtol=1e-9)
    np.testing.assert_allclose(plane(response, queries), response.predictions, rtol=1e-9)
    np.testing.assert_allclose(plain.predictions, response.predictions, rtol=1e-9)
    assert np.abs(shares).max() > 0.0
    assert response.uncertainty.method == pb.INTERVAL_METHOD_CALIBRATED
    for lower, upper in ((i.lower, i.upper) for i in response.uncertainty.intervals):
        assert (np.array(lower) < response.predictions).all()
        assert (np.array(upper) > response.predictions).all()


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("M", [8, 16])
def test_intervals_hold_the_label_about_as_often_as_said(stub, level, M):
    block, truth = asked(5, B=600, M=M)
    options = pb.PredictOptions(include_uncertainty=True, confidence_levels=[level])

    response = stub.PredictBatch(
        batch(block.context.x, block.context.y, block.queries, model=NAME, options=options)
    )

    lower, upper = (np.frombuffer(t).reshape(600, 3)
                    for t in (response.lower_bounds, response.upper_bounds))  # fmt: skip
    held = ((lower <= truth) & (truth <= upper)).mean(axis=1)  # (600,)
    assert set(response.modes) == {pb.MODE_PROFILE}
    assert held.mean() == pytest.approx(level, abs=0.03 + 3 * held.std() / np.sqrt(600))


def test_a_batch_is_answered_like_its_prompts_one_by_one(stub):
    block, _ = asked(6, B=5)
    x, y, queries = block.context.x, block.context.y, block.queries.copy()
    x, queries = x.copy(), queries.copy()
    x[3, :, 2], queries[3, :, 2] = 1000 * x[3, :, 2], 1000 * queries[3, :, 2]

    response = stub.PredictBatch(batch(x, y, queries, model=NAME))

    single = [stub.Predict(ask(x[b], y[b], queries[b])) for b in range(5)]
    expected = [one.predictions for one in single]
    np.testing.assert_allclose(predictions(response, 5), expected, rtol=1e-9)
    assert list(response.modes) == [one.mode for one in single]
    assert list(response.modes) == [3, 3, 3, pb.MODE_FOUNDATION, 3]


def test_another_unit_is_answered_by_foundation_and_said_or_refused_where_that_is_forbidden(stub):
    x, y, queries, _ = prompt()
    x[:, 2], queries[:, 2] = 1000 * x[:, 2], 1000 * queries[:, 2]

    response = stub.Predict(ask(x, y, queries))
    direct = stub.Predict(asking(x, y, queries, model="foundation"))
    code, details = refused(stub, ask(x, y, queries, options=FORBID))

    [warning] = [w for w in response.warnings if w.code == pb.WARNING_CODE_FALLBACK_USED]
    assert response.mode == pb.MODE_FOUNDATION
    assert "feature 'wind' of query" in warning.message
    np.testing.assert_allclose(response.predictions, direct.predictions, rtol=1e-12)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "options.fallback_policy" in details
    assert "feature 'wind' of query" in details


def test_columns_in_another_order_change_nothing(stub):
    x, y, queries, _ = prompt()
    order = [2, 0, 1]
    names = [COLUMNS[i] for i in order]

    straight = stub.Predict(ask(x, y, queries, columns=COLUMNS))
    turned = stub.Predict(ask(x[:, order], y, queries[:, order], columns=names))

    np.testing.assert_array_equal(turned.predictions, straight.predictions)
    assert turned.mode == pb.MODE_PROFILE


@pytest.mark.parametrize(
    ("names", "fault"), [(COLUMNS[:2], "'wind'"), ((*COLUMNS[:2], "rain"), "'rain'")]
)
def test_a_missing_or_an_unknown_column_is_refused(stub, names, fault):
    x, y, queries, _ = prompt()
    count = len(names)

    code, details = refused(stub, ask(x[:, :count], y, queries[:, :count], columns=names))

    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "columns" in details and fault in details


def test_an_unknown_version_is_refused(stub):
    code, details = refused(stub, ask(*prompt()[:3], model_version="000000000000"))

    assert code == grpc.StatusCode.NOT_FOUND
    assert "got '000000000000'" in details


def test_a_summary_is_answered_like_its_examples(stub):
    x, y, queries, _ = prompt()
    request = pb.SummarizeExamplesRequest(model=NAME, examples=examples(x, y), columns=COLUMNS)
    summary = stub.SummarizeExamples(request).summary

    told = stub.Predict(pb.PredictRequest(model=NAME, summary=summary, queries=matrix(queries)))

    expected = stub.Predict(ask(x, y, queries)).predictions
    np.testing.assert_allclose(told.predictions, expected, rtol=1e-7)
    assert (told.mode, told.evidence) == (pb.MODE_PROFILE, pb.EVIDENCE_SUMMARY)


def test_missing_values_are_filled_as_history_suggests_and_said(stub, store):
    x, y, queries = with_gaps((2, 1), (5, 0), (7, 1))
    queries[1, 2] = np.nan

    response = stub.Predict(ask(x, y, queries, options=IMPUTE))

    block, _ = asked(1)
    gaps = block._replace(context=block.context._replace(x=x[None]), queries=queries[None])
    model = load_stored(store, NAME).model
    expected = model.answer(model.fill(gaps).block).predictions[0]
    np.testing.assert_allclose(response.predictions, expected, rtol=1e-12)
    [warning] = [w for w in response.warnings if w.code == pb.WARNING_CODE_IMPUTED]
    assert warning.message.startswith("4 missing values were filled in: 2 in feature 'humidity' (")
    assert "1 in feature 'temp' (" in warning.message and "'wind'" in warning.message
    assert (warning.field, response.mode) == ("examples.features", pb.MODE_PROFILE)


def test_a_request_laid_out_like_one_before_is_filled_too(stub):
    requests = [ask(*with_gaps((i, 1)), options=IMPUTE) for i in range(6)]

    answers = [stub.Predict(request) for request in requests]
    whole = stub.Predict(ask(*with_gaps(), options=IMPUTE))
    streamed = list(stub.PredictStream(numbered(requests)))

    assert all(a.warnings[0].code == pb.WARNING_CODE_IMPUTED for a in answers)
    assert [list(s.response.predictions) for s in streamed] == [
        list(a.predictions) for a in answers
    ]
    assert list(whole.warnings) == []
    np.testing.assert_array_equal(whole.predictions, stub.Predict(ask(*with_gaps())).predictions)


def test_intervals_and_explanations_stand_beside_a_filled_prompt(stub):
    x, y, queries = with_gaps((2, 1))
    options = pb.PredictOptions()
    options.CopyFrom(ALL)
    options.missing_value_policy = pb.MISSING_VALUE_POLICY_IMPUTE

    response = stub.Predict(ask(x, y, queries, options=options))

    np.testing.assert_allclose(plane(response, queries), response.predictions, rtol=1e-9)
    assert pb.WARNING_CODE_IMPUTED in [w.code for w in response.warnings]


def infinite():
    x, y, queries = with_gaps((2, 1))
    x[4, 0] = np.inf
    return x, y, queries


def unlabelled():
    x, y, queries = with_gaps((2, 1))
    y[3] = np.nan
    return x, y, queries


def half_a_query():
    x, y, queries = with_gaps()
    queries[1, :2] = np.nan
    return x, y, queries


def another_unit():
    x, y, queries = with_gaps((2, 1))
    return x * [1, 1, 1000], y, queries * [1, 1, 1000]


@pytest.mark.parametrize(
    ("made", "field", "sentence"),
    [
        (lambda: with_gaps(*((i, i % 3) for i in range(10))), "examples.features", "got 21%"),
        (lambda: with_gaps((4, 0), (4, 1)), "examples.features", "2 of 3 in a row"),
        (half_a_query, "queries", "2 of 3 in a row"),
        (infinite, "examples.features", "got inf at row 4, column 0 ('temp')"),
        (unlabelled, "examples.labels", "got nan at row 3"),
        (another_unit, "examples.features", "feature 'wind' of query"),
    ],
)
def test_what_cannot_be_filled_is_refused_with_its_field(stub, made, field, sentence):
    code, details = refused(stub, ask(*made(), options=IMPUTE))

    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert field in details and sentence in details


def test_without_the_option_a_missing_value_is_refused_by_its_place(stub):
    code, details = refused(stub, ask(*with_gaps((5, 0), (2, 1))))

    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "examples.features" in details
    assert "got nan at row 2, column 1 ('humidity')" in details


def test_only_a_profile_fills_and_a_batch_does_not(stub):
    x, y, queries = with_gaps((2, 1))
    foundation = asking(x, y, queries, model="foundation", options=IMPUTE)
    stacked = batch(x[None], y[None], queries[None], model=NAME, options=IMPUTE)

    assert refused(stub, foundation)[0] == grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError, match="prompts are filled one by one"):
        stub.PredictBatch(stacked)


def warnings(response):
    return {w.code: w for w in response.warnings}


def test_a_prompt_unlike_history_is_doubted_where_more_is_asked_for_and_answered_alike(stub):
    x, y, queries, _ = prompt()
    x[:, 0] = x[:, 0].mean() + 6 * (x[:, 0] - x[:, 0].mean())

    told = stub.Predict(ask(x, y, queries, options=ALL))
    plain = stub.Predict(ask(x, y, queries))

    warning = warnings(told)[pb.WARNING_CODE_OUT_OF_PROFILE_RANGE]
    assert "feature 'temp': expected a standard deviation of" in warning.message
    assert (warning.field, told.mode) == ("examples.features", pb.MODE_PROFILE)
    np.testing.assert_allclose(told.predictions, plain.predictions, rtol=1e-9)
    assert list(plain.warnings) == []


def test_doubts_name_copies_and_each_code_but_once(stub):
    x, y, queries, _ = prompt()
    y[3] += 12 * y.std()
    x[8:], y[8:] = x[:8], y[:8]

    response = stub.Predict(ask(x, y, queries, options=ALL))

    codes = [w.code for w in response.warnings]
    assert pb.WARNING_CODE_DUPLICATE_EXAMPLES in codes
    assert len(set(codes)) == len(codes)


def test_few_clean_prompts_are_doubted(store):
    model = load_stored(store, NAME).model
    block, _ = asked(8, B=300)

    found = model.support(block, Wanted(levels=(0.95,)))

    strange = {one.prompt for one in found.answer.warned}
    assert len(strange) / 300 < 0.15  # any of ten, each at 99.7 % of groups not seen


def test_limits_of_too_few_groups_can_be_stored_and_are_never_reached():
    limits = limits_of([(8, np.full(10, np.inf)), (16, np.arange(10.0))])

    assert np.isfinite(limits.limits).all()
    assert (limits.of(9) > 1e300).all()
    np.testing.assert_array_equal(limits.of(20), np.arange(10.0))
