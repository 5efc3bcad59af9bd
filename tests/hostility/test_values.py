"""What must hold of answers whatever the numbers are, by property; and what once did not hold."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.refusal import Refusal
from sonoba.v1 import predictor_pb2 as pb
from tests.model import profiles
from tests.service.asking import COLUMNS, asking, matrix, vector
from tests.service.watched import NAME

pytestmark = pytest.mark.slow  # seconds, all together

MODELS = ["foundation", "weather", NAME]
SEEDS = st.integers(0, 2**32 - 1)
OFTEN = settings(max_examples=40, deadline=None, derandomize=True)


def drawn(seed, model="foundation", M=12, Q=3):
    """Return x (M, 3), y (M,) and queries (Q, 3) of the law that the profile was learnt from."""
    block, _ = profiles.asked(seed, M=M, Q=Q)
    return block.context.x[0], block.context.y[0], block.queries[0]


def request(model, x, y, queries, **fields):
    return asking(x, y, queries, model=model, columns=COLUMNS, **fields)


def predictions(target, message):
    wire = message.SerializeToString()
    return np.array(pb.PredictResponse.FromString(target.ask("Predict", wire)).predictions)


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS)
def test_the_order_of_examples_is_nothing(target, model, seed):
    x, y, queries = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(y))

    turned = predictions(target, request(model, x[order], y[order], queries))

    np.testing.assert_allclose(turned, predictions(target, request(model, x, y, queries)), 1e-7)


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS)
def test_the_order_of_columns_is_nothing(target, model, seed):
    x, y, queries = drawn(seed)
    order = np.random.default_rng(seed).permutation(3)
    names = [COLUMNS[i] for i in order]

    turned = asking(x[:, order], y, queries[:, order], model=model, columns=names)

    rtol = 1e-7 if model == "foundation" else 1e-12  # which knows no names, hence no order
    wanted = predictions(target, request(model, x, y, queries))
    np.testing.assert_allclose(predictions(target, turned), wanted, rtol)


@pytest.mark.parametrize("model", ["foundation", "weather"])
@OFTEN
@given(seed=SEEDS, exponent=st.integers(-30, 30), shift=st.floats(-1e3, 1e3))
def test_labels_in_another_unit_are_answered_in_it(target, model, seed, exponent, shift):
    x, y, queries = drawn(seed)
    unit = -(2.0**exponent)

    other = predictions(target, request(model, x, unit * (y + shift), queries))

    wanted = unit * (predictions(target, request(model, x, y, queries)) + shift)
    np.testing.assert_allclose(other, wanted, 1e-6, 1e-9 * abs(unit) * (1e3 + np.ptp(y)))


@OFTEN
@given(seed=SEEDS, exponents=st.lists(st.integers(-30, 30), min_size=3, max_size=3))
def test_features_in_other_units_leave_the_history_free_answer(target, seed, exponents):
    x, y, queries = drawn(seed)
    units = 2.0 ** np.array(exponents)

    other = predictions(target, request("foundation", units * x, y, units * queries))

    wanted = predictions(target, request("foundation", x, y, queries))
    np.testing.assert_allclose(other, wanted, 1e-6, 1e-9 * np.ptp(y))


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS)
def test_numbers_packed_unpacked_raw_and_single_are_the_same_numbers(target, model, seed):
    x, y, queries = (a.astype("<f4").astype(float) for a in drawn(seed))
    wanted = predictions(target, request(model, x, y, queries))
    packed = request(model, x, y, queries, form={"raw": False}).SerializeToString()
    single = request(model, x, y, queries, form={"dtype": "<f4"})

    assert predictions(target, single).tobytes() == wanted.tobytes()
    for wire in (packed, unpacked(x, y, queries, model)):
        got = pb.PredictResponse.FromString(target.ask("Predict", wire)).predictions
        assert np.array(got).tobytes() == wanted.tobytes()


def unpacked(x, y, queries, model):
    """Return a request with every number in a field of its own, as old writers do."""

    def numbers(values, field):
        tag = bytes([field << 3 | 1])
        return b"".join(tag + np.float64(value).tobytes() for value in values.ravel())

    def inside(field, content):
        return bytes([field << 3 | 2]) + varint(len(content)) + content

    def counted(values):
        head = pb.Matrix(row_count=values.shape[0], column_count=values.shape[1])
        return head.SerializeToString() + numbers(values, 3)

    rest = pb.PredictRequest(model=model, columns=COLUMNS).SerializeToString()
    examples = inside(1, counted(x)) + inside(2, numbers(y, 1))
    return rest + inside(3, examples) + inside(5, counted(queries))


def varint(value):
    return bytes([value & 127 | 128, value >> 7]) if value > 127 else bytes([value])


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS)
def test_singles_cost_a_hundred_thousandth_at_most(target, model, seed):
    x, y, queries = drawn(seed)

    single = predictions(target, request(model, x, y, queries, form={"dtype": "<f4"}))

    wanted = predictions(target, request(model, x, y, queries))
    np.testing.assert_allclose(single, wanted, 0, 1e-5 * (np.abs([*wanted, *y]).max()))


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS, n=st.integers(1, 5))
def test_a_batch_is_its_prompts_one_by_one(target, model, seed, n):
    prompts = [drawn(seed + i) for i in range(n)]
    x, y, queries = (np.stack(parts) for parts in zip(*prompts, strict=True))
    message = pb.PredictBatchRequest(
        model=model,
        prompt_count=n,
        example_count=x.shape[1],
        feature_count=x.shape[2],
        query_count=queries.shape[1],
        columns=COLUMNS,
        features=x.tobytes(),
        labels=y.tobytes(),
        queries=queries.tobytes(),
    )

    answer = target.ask("PredictBatch", message.SerializeToString())

    got = np.frombuffer(pb.PredictBatchResponse.FromString(answer).predictions).reshape(n, -1)
    wanted = [predictions(target, request(model, *prompt)) for prompt in prompts]
    np.testing.assert_allclose(got, wanted, 1e-8)


@pytest.mark.parametrize("model", MODELS)
@OFTEN
@given(seed=SEEDS, place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_request_of_known_length_with_another_byte_is_answered_as_anew(
    target, model, seed, place, value
):
    wire = request(model, *drawn(seed), request_id="order-0001").SerializeToString()
    for _ in range(2):
        target.ask("Predict", wire)
    body = bytearray(wire)
    body[place % len(body)] = value

    assert outcome(target.ask, "Predict", bytes(body)) == outcome(target.ask_anew, bytes(body))


def outcome(ask, *arguments):
    try:
        response = pb.PredictResponse.FromString(ask(*arguments))
    except Refusal as refusal:
        return refusal.reason, str(refusal)
    if len(response.request_id) == 16:
        response.ClearField("request_id")  # made up by the server
    return response.SerializeToString(deterministic=True)


# --- what fuzzing found -------------------------------------------------------------------------


def summary(count, d=3, **changes):
    square = np.eye(d)[np.triu_indices(d)] * count
    told = {
        "example_count": count,
        "feature_sums": vector(np.zeros(d)),
        "second_moments": vector(square),
        "label_products": vector(np.ones(d)),
        "label_square_sum": 4.0 * count,
    }
    return pb.ExampleSummary(**(told | changes))


@pytest.mark.parametrize("count", [2**31 - 1, 2**53])
@pytest.mark.parametrize("model", MODELS)
def test_a_summary_of_more_examples_than_memory_holds_is_answered_and_watched(
    target, model, count, caplog
):
    message = pb.PredictRequest(model=model, summary=summary(count), queries=matrix(np.ones(3)))
    message.columns.extend(COLUMNS)
    message.options.include_uncertainty = True

    assert np.isfinite(predictions(target, message)).all()
    target.look()
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_sums_that_overflow_in_a_profiles_units_are_refused(target):
    square = np.eye(3)[np.triu_indices(3)]
    square[3] = 2.0**1022  # of the second feature
    found = summary(2, second_moments=vector(square), label_products=vector(np.zeros(3)))
    message = pb.PredictRequest(model=NAME, summary=found, queries=matrix(np.zeros(3)))
    message.columns.extend(COLUMNS)

    with pytest.raises(Refusal) as caught:
        predictions(target, message)

    assert caught.value.reason in ("NUMERIC_OVERFLOW", "OUT_OF_RANGE_FEATURE")


@pytest.mark.parametrize("option", ["include_attributions", "include_uncertainty"])
@pytest.mark.parametrize("model", MODELS)
def test_what_stands_beside_an_answer_is_finite_too_or_the_prompt_is_refused(target, model, option):
    """Coefficients of labels at the end of a double by features at its beginning."""
    x, y, queries = drawn(3)
    for x_unit, y_unit in ((1e-300, 1e300), (1e-12, 1e300), (1.0, 1e305), (1e-9, 1e304)):
        of = (x_unit * x, y_unit * y, x_unit * queries)
        message = request(model, *of, options=pb.PredictOptions(**{option: True}))
        try:
            answer = target.ask("Predict", message.SerializeToString())
        except Refusal as refusal:
            assert refusal.reason in ("NUMERIC_OVERFLOW", "OUT_OF_RANGE_FEATURE", "NOT_FINITE")
            continue
        response = pb.PredictResponse.FromString(answer)
        found = [*response.attributions.coefficients.values, *response.uncertainty.standard_errors]
        assert found and np.isfinite(found).all()


def test_a_message_of_a_stream_that_comes_in_parts_is_one_message(target):
    whole = request("foundation", *drawn(1), request_id="order-1")
    first, second = pb.PredictRequest(), pb.PredictRequest()
    first.CopyFrom(whole)
    first.ClearField("queries")
    first.request_id = "order-0"
    second.queries.CopyFrom(whole.queries)
    second.request_id = whole.request_id
    wire = b"".join(
        pb.PredictStreamRequest(request=part).SerializeToString() for part in (first, second)
    )

    answer = pb.PredictStreamResponse.FromString(target.ask("PredictStream", wire))

    assert answer.response.request_id == "order-1"
    assert list(answer.response.predictions) == predictions(target, whole).tolist()
