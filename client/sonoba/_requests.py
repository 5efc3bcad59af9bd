"""From prompts in wire form to requests."""

from array import array
from collections.abc import Sequence

from sonoba._calls import Route
from sonoba._examples import Examples
from sonoba._wire import Numbers, pack
from sonoba.prompt import EncodedPrompt
from sonoba.summary import Summary
from sonoba.v1 import predictor_pb2 as pb


def predict_request(prompt: EncodedPrompt, route: Route, request_id: str = "") -> pb.PredictRequest:
    """Return the request of one prompt."""
    request = pb.PredictRequest(
        model=route.model,
        model_version=route.model_version,
        queries=_matrix(prompt.queries),
        columns=prompt.columns,
        schema_hash=prompt.schema_hash,
        group_id=prompt.group_id,
        options=_options(prompt),
        request_id=request_id,
    )
    if isinstance(prompt.context, Examples):
        request.examples.CopyFrom(_example_set(prompt.context))
    else:
        request.summary.CopyFrom(_summary(prompt.context))
    return request


def batch_request(prompts: Sequence[EncodedPrompt], route: Route) -> pb.PredictBatchRequest:
    """Return the request of prompts of one form, each with its examples."""
    contexts = [prompt.context for prompt in prompts if isinstance(prompt.context, Examples)]
    first = prompts[0]
    example_count, feature_count = contexts[0].features.shape
    grouped = any(prompt.group_id for prompt in prompts)
    return pb.PredictBatchRequest(
        model=route.model,
        model_version=route.model_version,
        prompt_count=len(prompts),
        example_count=example_count,
        feature_count=feature_count,
        query_count=first.queries.shape[0],
        data_type=first.queries.data_type,
        features=b"".join(context.features.raw for context in contexts),
        labels=b"".join(context.labels.raw for context in contexts),
        queries=b"".join(prompt.queries.raw for prompt in prompts),
        columns=first.columns,
        schema_hash=first.schema_hash,
        group_ids=[prompt.group_id for prompt in prompts] if grouped else [],
        options=_options(first),
    )


def summarize_request(
    examples: Examples,
    route: Route,
    schema_hash: str,
    origin: Sequence[float],
    label_origin: float,
    merge_with: Summary | None,
) -> pb.SummarizeExamplesRequest:
    """Return the request to reduce examples to their sums."""
    return pb.SummarizeExamplesRequest(
        model=route.model,
        model_version=route.model_version,
        examples=_example_set(examples),
        columns=examples.columns,
        schema_hash=schema_hash,
        origin=_vector(origin),
        label_origin=label_origin,
        merge_with=None if merge_with is None else _summary(merge_with),
    )


def _example_set(examples: Examples) -> pb.ExampleSet:
    labels = pb.Vector(raw=examples.labels.raw, data_type=examples.labels.data_type)
    return pb.ExampleSet(features=_matrix(examples.features), labels=labels)


def _matrix(numbers: Numbers) -> pb.Matrix:
    rows, columns = numbers.shape
    return pb.Matrix(
        row_count=rows, column_count=columns, raw=numbers.raw, data_type=numbers.data_type
    )


def _summary(summary: Summary) -> pb.ExampleSummary:
    return pb.ExampleSummary(
        example_count=summary.example_count,
        origin=_vector(summary.origin),
        label_origin=summary.label_origin,
        feature_sums=_vector(summary.feature_sums),
        second_moments=_vector(summary.second_moments),
        label_products=_vector(summary.label_products),
        label_sum=summary.label_sum,
        label_square_sum=summary.label_square_sum,
        schema_hash=summary.schema_hash,
    )


def _vector(numbers: Sequence[float]) -> pb.Vector | None:
    """Return numbers as a message; none are an absent one."""
    if not len(numbers):
        return None
    packed = pack(array("d", numbers), (len(numbers),))
    return pb.Vector(raw=packed.raw, data_type=packed.data_type)


def _options(prompt: EncodedPrompt) -> pb.PredictOptions | None:
    asked = prompt.levels, prompt.explain, prompt.impute, prompt.shift
    if prompt.allow_fallback and not any(asked):
        return None
    return pb.PredictOptions(
        include_uncertainty=bool(prompt.levels),
        confidence_levels=prompt.levels,
        include_attributions=prompt.explain,
        include_shift_score=prompt.shift,
        fallback_policy=None if prompt.allow_fallback else pb.FALLBACK_POLICY_FORBID,
        missing_value_policy=pb.MISSING_VALUE_POLICY_IMPUTE if prompt.impute else None,
    )
