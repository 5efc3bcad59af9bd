"""Random bytes and wild numbers: an answer or a refusal, never a bug or a number that is none."""

import random

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load
from model.refusal import Refusal
from service.call import Call
from service.core import Predictor
from service.errors import STATUS
from service.server import limits_of
from service.settings import Settings
from service.slot import Slots
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import asking, examples, matrix, vector

pytestmark = pytest.mark.slow  # seconds, all together

FINITE = [0.0, -0.0, 1.0, -1.0, 3.3, 5e-324, 1e-300, 1e154, 1e160, 1e300, -1e300, 1.7e308]
WILD = [*FINITE, np.nan, np.inf, -np.inf]


@pytest.fixture(scope="module")
def predictor(paper_file):
    slots = Slots([load(FOUNDATION_FILE), load(paper_file)], "foundation")
    return Predictor(slots, limits_of(Settings()), lambda *_: None)


def numbers(rng, shape):
    kind = rng.integers(4)
    if kind == 0:
        return rng.normal(size=shape)
    if kind == 1:
        return rng.normal(size=shape) * 10.0 ** rng.uniform(-320, 300, size=shape)
    return rng.choice(FINITE if kind == 2 else WILD, size=shape)


def options(rng, is_batch=False):
    """Return no options half of the time, else intervals, an explanation, or both."""
    [rng] = rng.spawn(1)  # so that the prompts of a seed do not depend on the options
    if rng.integers(2):
        return None
    levels = [[], [0.8], [0.95], [0.8, 0.95], [0.5], [np.nan]][rng.integers(6)]
    return pb.PredictOptions(
        include_uncertainty=bool(rng.integers(4)),
        confidence_levels=levels[: 1 if is_batch else 2],
        include_attributions=not is_batch and bool(rng.integers(2)),
    )


def predict(rng, model, x, y, queries):
    form = {"raw": bool(rng.integers(2))}
    return asking(x, y, queries, form=form, model=model, options=options(rng))


def batch(rng, model, x, y, queries):
    return pb.PredictBatchRequest(
        model=model,
        prompt_count=2,
        example_count=x.shape[0],
        feature_count=x.shape[1],
        query_count=len(queries),
        features=np.stack([x, numbers(rng, x.shape)]).tobytes(),
        labels=np.stack([y, y]).tobytes(),
        queries=np.stack([queries, queries]).tobytes(),
        options=options(rng, is_batch=True),
    )


def summed(rng, model, x, y, queries):
    d = x.shape[1]
    square = x.T @ x if rng.integers(3) else numbers(rng, (d, d))
    summary = pb.ExampleSummary(
        example_count=int(rng.choice([len(x), 10, 0, -5, 2**60])),
        feature_sums=vector(x.sum(0)),
        second_moments=vector(square[np.triu_indices(d)]) if rng.integers(5) else None,
        label_products=vector(x.T @ y),
        label_sum=y.sum(),
        label_square_sum=y @ y,
    )
    return pb.PredictRequest(
        model=model, queries=matrix(queries), summary=summary, options=options(rng)
    )


def summarise(rng, model, x, y, queries):
    origin = vector(numbers(rng, int(rng.choice([x.shape[1], 0, 1]))))
    return pb.SummarizeExamplesRequest(model=model, examples=examples(x, y), origin=origin)


FORMS = [
    (predict, "predict", pb.PredictResponse),
    (batch, "predict_batch", pb.PredictBatchResponse),
    (summed, "predict", pb.PredictResponse),
    (summarise, "summarize_examples", pb.SummarizeExamplesResponse),
]


def damaged(chance, wire):
    """Change, drop or insert a few bytes."""
    body = bytearray(wire)
    for _ in range(chance.choice([1, 2, 5])):
        at = chance.randrange(len(body))
        body[at : at + chance.randrange(2)] = bytes(
            chance.randrange(256) for _ in range(chance.randrange(2))
        )
    return bytes(body)


def answers_of(response):
    """Return every number of a response that must be one."""
    if isinstance(response, pb.PredictBatchResponse):
        values = np.frombuffer(response.predictions).reshape(len(response.modes), -1)
        assert {e.index for e in response.errors} == set(np.flatnonzero(np.isnan(values).all(1)))
        beside = (response.standard_errors, response.lower_bounds, response.upper_bounds)
        tensors = [np.frombuffer(raw).reshape(values.shape) for raw in beside if raw]
        values = np.concatenate([values, *tensors], axis=1)
        return values[[i for i, mode in enumerate(response.modes) if mode]]
    if isinstance(response, pb.PredictResponse):
        return np.concatenate([response.predictions, *beside_of(response)])
    sums = response.summary
    return np.frombuffer(sums.feature_sums.raw + sums.second_moments.raw + sums.label_products.raw)


def beside_of(response):
    """Yield the numbers that stand beside the predictions of one prompt."""
    yield response.uncertainty.standard_errors
    for interval in response.uncertainty.intervals:
        yield from (interval.lower, interval.upper)
    yield [response.attributions.intercept]
    yield response.attributions.coefficients.values
    yield response.attributions.profile_shares.values
    yield np.frombuffer(response.attributions.example_weights.raw)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_sent_is_answered_in_numbers_or_refused_with_a_reason(predictor, seed):
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    seen = set()
    for _ in range(5000):
        build, method, kind = FORMS[rng.integers(len(FORMS))]
        M, d, Q = rng.choice([1, 4, 6, 9]), 3 - rng.integers(5) // 4, rng.choice([1, 2])
        x, y, queries = numbers(rng, (M, d)), numbers(rng, M), numbers(rng, (Q, d))
        with np.errstate(all="ignore"):
            wire = build(rng, rng.choice(["", "weather"]), x, y, queries).SerializeToString()
        wire = damaged(chance, wire) if rng.integers(3) == 0 else wire
        try:
            response = kind.FromString(getattr(predictor, method)(wire, Call(30.0)))
            assert np.isfinite(answers_of(response)).all()
            seen.add("answered")
        except Refusal as refusal:
            seen.add(refusal.reason)

    assert seen - {"answered"} <= set(STATUS)
    assert {"answered", "NOT_FINITE", "MALFORMED_REQUEST", "BAD_SUMMARY", "BAD_LEVEL"} <= seen
