"""What an answer must be, whatever was asked: of the right shape, and made of numbers."""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from bench.hostility.open_inference import METHODS, Schema
from model.refusal import Refusal
from service.errors import STATUS, ending
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import replica_pb2 as replica

Array = NDArray[np.float64]

SENTENCE_CHARACTERS_MAX = 1500
NEVER = {"INTERNAL", "EXPIRED"}


def check_answer(method: str, wire: bytes, answer: bytes) -> str:
    """Raise AssertionError of an answer that fits no request; return what it was, in a word."""
    if method in METHODS:
        return _open_inference().check(method, wire, answer)
    return CHECKS[method](wire, answer)


@cache
def _open_inference() -> Schema:
    return Schema()


def check_refusal(refusal: Refusal) -> str:
    """Raise AssertionError of a refusal that could not be sent as it is; return its reason."""
    assert refusal.reason in STATUS, f"an unknown reason: {refusal.reason}"
    assert refusal.reason not in NEVER, str(refusal)
    text = str(refusal)
    assert len(text) <= SENTENCE_CHARACTERS_MAX, f"a sentence of {len(text)} characters"
    ending(refusal, "0123456789abcdef")
    return refusal.reason


def _prompt(wire: bytes, answer: bytes) -> str:
    request = pb.PredictRequest.FromString(wire)
    return _response(request, pb.PredictResponse.FromString(answer))


def _response(request: pb.PredictRequest, response: pb.PredictResponse) -> str:
    Q, d = request.queries.row_count, request.queries.column_count
    _finite("predictions", response.predictions, Q)
    assert response.model and response.model_version, "an answer of no model"
    assert response.mode in pb.Mode.values()[1:], "an answer of no mode"
    assert not request.model or request.model == response.model, "an answer of another model"
    assert request.request_id in ("", response.request_id), "an answer to another request"
    assert response.evidence == (1 if request.HasField("examples") else 2), "of other evidence"
    options = request.options
    is_bare = pb.WARNING_CODE_SUMMARY_INCOMPLETE in [one.code for one in response.warnings]
    assert response.HasField("uncertainty") == (options.include_uncertainty and not is_bare)
    assert options.include_attributions or not response.HasField("attributions")
    if response.HasField("uncertainty"):
        _uncertainty(response, len(options.confidence_levels) or 1, Q)
    if response.HasField("attributions"):
        _attributions(request, response.attributions, Q, d)
    if response.HasField("shift_score"):
        assert options.include_shift_score
        score = response.shift_score
        _finite("shift", [score.expected_error_ratio, score.leave_one_out_ratio], 2)
        _finite("features", [one.score for one in score.feature_shifts], min(d, 5))
    return "answered"


def _uncertainty(response: pb.PredictResponse, levels: int, Q: int) -> None:
    found = response.uncertainty
    assert len(found.intervals) == levels, "another number of intervals"
    _finite("standard_errors", found.standard_errors, Q)
    assert min(found.standard_errors) >= 0, "a negative standard error"
    for interval in found.intervals:
        _finite("lower", interval.lower, Q)
        _finite("upper", interval.upper, Q)
        assert all(np.less_equal(interval.lower, interval.upper)), "an interval upside down"


def _attributions(request: pb.PredictRequest, found: pb.Attributions, Q: int, d: int) -> None:
    _finite("coefficients", found.coefficients.values, d)
    _finite("intercept", [found.intercept], 1)
    _finite("profile_shares", found.profile_shares.values, Q)
    assert len(found.corrections.values) in (0, Q), "corrections of another length"
    _finite("corrections", found.corrections.values, len(found.corrections.values))
    M = request.examples.features.row_count
    if request.HasField("examples") and found.HasField("example_weights"):
        weights = found.example_weights
        assert (weights.row_count, weights.column_count) == (Q, M), "weights of another shape"
        _finite("example_weights", np.frombuffer(weights.raw), Q * M)


def _batch(wire: bytes, answer: bytes) -> str:
    request = pb.PredictBatchRequest.FromString(wire)
    response = pb.PredictBatchResponse.FromString(answer)
    n, Q = request.prompt_count, request.query_count
    values = np.frombuffer(response.predictions).reshape(n, Q)  # (n, Q)
    answered = np.frombuffer(response.modes, np.uint8) > 0  # (n,)
    beside = (response.standard_errors, response.lower_bounds, response.upper_bounds)
    assert all(bool(raw) == request.options.include_uncertainty for raw in beside)
    for raw in (response.predictions, *(raw for raw in beside if raw)):
        values = np.frombuffer(raw).reshape(n, Q)
        assert np.isfinite(values[answered]).all(), "an answer that is no number"
        assert np.isnan(values[~answered]).all(), "a number where nothing was answered"
    errors = sorted(one.index for one in response.errors)
    assert errors == np.flatnonzero(~answered).tolist(), "errors of other prompts"
    assert all(one.reason in STATUS and one.reason not in NEVER for one in response.errors)
    assert all(0 <= one.index < n for one in response.warnings)
    assert len(response.solvers) == n
    return "answered" if answered.any() else "none answered"


def _stream(wire: bytes, answer: bytes) -> str:
    response = pb.PredictStreamResponse.FromString(answer)
    kind = response.WhichOneof("result")
    assert kind is not None, "a message of a stream without a result"
    if kind == "error":
        reason = response.error.reason
        assert reason in STATUS and reason not in NEVER, str(response.error)
        return str(reason)
    request = pb.PredictStreamRequest.FromString(wire)
    assert response.sequence == request.sequence, "an answer to another message"
    return _response(request.request, response.response)


def _summary(wire: bytes, answer: bytes) -> str:
    request = pb.SummarizeExamplesRequest.FromString(wire)
    found = pb.SummarizeExamplesResponse.FromString(answer).summary
    d, M = request.examples.features.column_count, request.examples.features.row_count
    for name, size in (("origin", d), ("feature_sums", d), ("label_products", d)):
        _finite(name, np.frombuffer(getattr(found, name).raw), size)
    if found.second_moments.raw:
        _finite("second_moments", np.frombuffer(found.second_moments.raw), d * (d + 1) // 2)
    _finite("labels", [found.label_origin, found.label_sum, found.label_square_sum], 3)
    assert found.example_count == M + request.merge_with.example_count, "another count"
    return "answered"


def _model(wire: bytes, answer: bytes) -> str:
    request = pb.GetModelRequest.FromString(wire)
    found = pb.GetModelResponse.FromString(answer).model
    assert request.model in ("", found.name), "another model"
    assert request.model_version in ("", found.version), "another version"
    return "answered"


def _page(wire: bytes, answer: bytes) -> str:
    request = pb.ListModelsRequest.FromString(wire)
    names = [one.name for one in pb.ListModelsResponse.FromString(answer).models]
    assert len(names) <= (request.page_size or 100), "a page of too many"
    assert names == sorted(names) and all(name > request.page_token for name in names)
    return "answered"


def _parsed(kind: type[Message]) -> Callable[[bytes, bytes], str]:
    def check(wire: bytes, answer: bytes) -> str:
        kind.FromString(answer)
        return "answered"

    return check


def _finite(name: str, values: Iterable[float], size: int) -> None:
    array: Array = np.asarray(values, float)
    assert len(array) == size, f"{name}: expected {size} numbers, got {len(array)}"
    assert np.isfinite(array).all(), f"{name}: {array}"


CHECKS: dict[str, Callable[[bytes, bytes], str]] = {
    "Predict": _prompt,
    "PredictBatch": _batch,
    "PredictStream": _stream,
    "SummarizeExamples": _summary,
    "GetModel": _model,
    "ListModels": _page,
    "GetMonitorState": _parsed(replica.GetMonitorStateResponse),
    "CollectPrompts": _parsed(replica.CollectPromptsResponse),
    "DeletePrompts": _parsed(replica.DeletePromptsResponse),
}
