"""From responses to what a caller gets."""

from collections.abc import Sequence
from datetime import UTC
from functools import cache

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from sonoba._status import prompt_error
from sonoba._wire import Numbers, collect, decode
from sonoba.errors import ServerError, SonobaError
from sonoba.prediction import Column, Explanation, Interval, Model, Prediction, ShiftScore, Warning
from sonoba.prompt import EncodedPrompt
from sonoba.summary import Summary
from sonoba.v1 import predictor_pb2 as pb


def prediction(response: pb.PredictResponse, prompt: EncodedPrompt) -> Prediction:
    """Return the answer to one prompt."""
    _check_count(len(response.predictions), prompt.queries.shape[0], response.request_id)
    uncertainty = response.uncertainty
    return Prediction(
        values=collect(response.predictions),
        model=response.model,
        model_version=response.model_version,
        mode=_word(pb.Mode, response.mode),
        solver=_word(pb.Solver, response.solver),
        evidence=_word(pb.Evidence, response.evidence),
        warnings=tuple(
            Warning(_word(pb.WarningCode, w.code).upper(), w.message, w.field, w.index)
            for w in response.warnings
        ),
        request_id=response.request_id,
        standard_errors=_some(uncertainty.standard_errors),
        intervals=tuple(
            Interval(one.level, collect(one.lower), collect(one.upper))
            for one in uncertainty.intervals
        ),
        interval_method=_word(pb.IntervalMethod, uncertainty.method),
        explanation=_explanation(response),
        shift=_shift(response),
        reference=response.reference,
    )


def _explanation(response: pb.PredictResponse) -> Explanation | None:
    if not response.HasField("attributions"):
        return None
    message, weights = response.attributions, None
    if message.HasField("example_weights"):
        flat, M = _floats(message.example_weights), message.example_weights.column_count
        weights = [collect(flat[at : at + M]) for at in range(0, len(flat), M)]
    return Explanation(
        intercept=message.intercept,
        coefficients=collect(_floats(message.coefficients)),
        profile_shares=collect(_floats(message.profile_shares)),
        corrections=collect(_floats(message.corrections)),
        weights=weights,
    )


def _shift(response: pb.PredictResponse) -> ShiftScore | None:
    if not response.HasField("shift_score"):
        return None
    message = response.shift_score
    has_loo = message.HasField("leave_one_out_ratio")
    return ShiftScore(
        expected_error_ratio=message.expected_error_ratio,
        leave_one_out_ratio=message.leave_one_out_ratio if has_loo else None,
        features=tuple((one.name, one.score) for one in message.feature_shifts),
    )


def stream_answer(
    response: pb.PredictStreamResponse, sequence: int, prompt: EncodedPrompt
) -> Prediction | SonobaError:
    """Return the answer to prompt number `sequence` of a stream; another's is a ServerError."""
    if response.sequence != sequence:
        sentence = f"expected the answer to prompt {sequence}, got that to {response.sequence}"
        raise ServerError(sentence)
    if response.HasField("error"):
        return prompt_error(response.error)
    return prediction(response.response, prompt)


def batch_answers(
    response: pb.PredictBatchResponse, prompts: Sequence[EncodedPrompt]
) -> list[Prediction | SonobaError]:
    """Return the answers to prompts of one form, each at its place."""
    n, Q = len(prompts), prompts[0].queries.shape[0]
    _check_count(len(response.predictions), 8 * n * Q, response.request_id)
    values = collect(decode(response.predictions))  # (n * Q,)
    bounds = _bounds(response, n * Q if prompts[0].levels else 0)
    failed = {e.index: prompt_error(e, response.request_id) for e in response.errors}
    cautions = _cautions(response)
    modes, solvers = response.modes.ljust(n, b"\0"), response.solvers.ljust(n, b"\0")
    return [
        failed.get(i)
        or Prediction(
            values=values[i * Q : (i + 1) * Q],
            model=response.model,
            model_version=response.model_version,
            mode=_word(pb.Mode, modes[i]),
            solver=_word(pb.Solver, solvers[i]),
            evidence="examples",
            warnings=cautions.get(i, ()),
            request_id=response.request_id,
            standard_errors=bounds[0][i * Q : (i + 1) * Q],
            intervals=_intervals(prompts[0].levels, bounds, slice(i * Q, (i + 1) * Q)),
            reference=response.reference,
        )
        for i in range(n)
    ]


def _bounds(response: pb.PredictBatchResponse, size: int) -> list[Sequence[float]]:
    """Return standard errors, lower and upper bounds of so many queries; 0 when none are asked."""
    tensors = response.standard_errors, response.lower_bounds, response.upper_bounds
    for raw in tensors:
        _check_count(len(raw), 8 * size, response.request_id, "bounds")
    return [_some(decode(raw)) for raw in tensors]


def _intervals(
    levels: Sequence[float], bounds: Sequence[Sequence[float]], part: slice
) -> tuple[Interval, ...]:
    """Return the intervals of one prompt of many."""
    _, lower, upper = bounds
    return tuple(Interval(level, lower[part], upper[part]) for level in levels)


def _cautions(response: pb.PredictBatchResponse) -> dict[int, tuple[Warning, ...]]:
    """Return the warnings of every prompt that has some."""
    warnings: dict[int, tuple[Warning, ...]] = {}
    for w in response.warnings:
        caution = Warning(_word(pb.WarningCode, w.code).upper())
        warnings[w.index] = (*warnings.get(w.index, ()), caution)
    return warnings


def summary(message: pb.ExampleSummary) -> Summary:
    """Return the sums that the server made."""
    return Summary(
        example_count=message.example_count,
        feature_sums=_vector(message.feature_sums),
        label_products=_vector(message.label_products),
        label_sum=message.label_sum,
        label_square_sum=message.label_square_sum,
        second_moments=_vector(message.second_moments),
        origin=_vector(message.origin),
        label_origin=message.label_origin,
        schema_hash=message.schema_hash,
    )


def model(message: pb.Model) -> Model:
    """Return a model as the server describes it."""
    created = message.create_time.ToDatetime(UTC) if message.HasField("create_time") else None
    return Model(
        name=message.name,
        kind=_word(pb.ModelKind, message.kind),
        version=message.version,
        versions=tuple(message.versions),
        feature_count=message.feature_count,
        feature_count_max=message.feature_count_max,
        columns=tuple(Column(c.name, c.unit, c.description) for c in message.columns),
        schema_hash=message.schema_hash,
        label_unit=message.label_unit,
        example_count_min=message.example_count_min,
        example_count_max=message.example_count_max,
        query_count_max=message.query_count_max,
        batch_prompt_count_max=message.batch_prompt_count_max,
        element_count_max=message.element_count_max,
        message_bytes_max=message.message_bytes_max,
        confidence_levels=tuple(message.confidence_levels),
        missing_values_supported=message.missing_values_supported,
        state=_word(pb.ModelState, message.state),
        reference=message.reference,
        create_time=created,
    )


def _vector(message: pb.Vector) -> tuple[float, ...]:
    return tuple(_floats(message))


def _floats(message: pb.Vector | pb.Matrix) -> Sequence[float]:
    if not message.raw:
        return message.values
    data_type = message.data_type or pb.DATA_TYPE_FLOAT64
    return Numbers(message.raw, (), data_type).floats()


def _some(numbers: Sequence[float]) -> Sequence[float]:
    return collect(numbers) if numbers else ()


def _check_count(got: int, expected: int, request_id: str, what: str = "predictions") -> None:
    if got != expected:
        sentence = f"{what}: expected {expected} (one a query), got {got}"
        raise ServerError(sentence, request_id=request_id)


@cache
def _word(enum: EnumTypeWrapper, number: int) -> str:
    """Return "paper" for MODE_PAPER, "" for the unspecified, digits for a number unheard of."""
    if number not in enum.values():
        return str(number)
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return enum.Name(number).removeprefix(prefix).lower() if number else ""
