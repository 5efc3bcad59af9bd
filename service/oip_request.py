"""A ModelInfer as the request of our own contract that asks the same.

One prompt becomes a PredictRequest, n stacked ones a PredictBatchRequest: the same core answers,
and what is checked, counted and watched there is checked, counted and watched here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.refusal import Refusal
from service import validate
from service.oip_messages import InferRequest, Output, Parameters
from service.oip_tensors import DATATYPES, Tensor, Tensors, tensors
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb

PREDICTION = "prediction"
BOUNDS = ("standard_error", "lower", "upper")
OUTPUTS = (PREDICTION, *BOUNDS)
TEXTS = ("columns", "schema_hash", "group_id")
LEVEL = "confidence_level"
PARAMETERS = (*TEXTS, LEVEL)
DATA_TYPES = {"FP64": pb.DATA_TYPE_FLOAT64, "FP32": pb.DATA_TYPE_FLOAT32}


class Question(NamedTuple):
    """What is asked: our request, and the form that the answer takes."""

    wire: bytes  # PredictBatchRequest where there are prompts by count, else PredictRequest
    outputs: tuple[str, ...]
    prompt_count: int  # n; 0 of one prompt
    query_count: int
    is_raw: bool


class _Said(NamedTuple):
    """What is said beside the tensors."""

    columns: Sequence[str]
    schema_hash: str
    group_id: str
    options: pb.PredictOptions | None


_SILENT = _Said((), "", "", None)


def question(request: InferRequest, limits: Limits) -> Question:
    """Return what a request asks; what our contract has no place for is refused, never ignored."""
    found = tensors(request)
    if found.prompt_count:
        validate.count(found.prompt_count, limits.batch_prompt_count_max, "prompt_count")
    outputs = _outputs(request.outputs) if request.outputs else (PREDICTION,)
    said = _said(request.parameters, outputs)
    made = _many if found.prompt_count else _one
    wire = made(request, found, said).SerializeToString()
    return Question(wire, outputs, found.prompt_count, found.query_count, found.is_raw)


def _outputs(wanted: Sequence[Output]) -> tuple[str, ...]:
    """Return the names of the tensors that are wanted, in their order."""
    names: list[str] = []
    for place, output in enumerate(wanted):
        name = output.name
        if name not in OUTPUTS or name in names:
            sentence = f"expected some of {', '.join(OUTPUTS)}, each once, got '{name:.64}'"
            raise Refusal("BAD_ARGUMENT", f"outputs[{place}].name", sentence)
        if output.parameters:
            parameter = next(iter(output.parameters))
            sentence = "expected none: numbers come with the response, as they are"
            raise Refusal("BAD_ARGUMENT", f"outputs.{name}.parameters.{parameter:.64}", sentence)
        names.append(name)
    return tuple(names)


def _said(parameters: Parameters, outputs: tuple[str, ...]) -> _Said:
    """Return what the parameters say."""
    if not parameters and outputs == (PREDICTION,):
        return _SILENT
    texts = dict.fromkeys(TEXTS, "")
    levels: tuple[float, ...] = ()
    for name in parameters:
        if name in TEXTS:
            texts[name] = _text(parameters, name)
        elif name == LEVEL:
            levels = (_level(parameters),)
        else:
            sentence = f"expected some of {', '.join(PARAMETERS)}, got '{name:.64}'"
            raise Refusal("BAD_ARGUMENT", "parameters", sentence)
    is_uncertain = any(name in BOUNDS for name in outputs)
    if levels and not is_uncertain:
        sentence = f"expected it beside one of the outputs {', '.join(BOUNDS)} only"
        raise Refusal("BAD_LEVEL", f"parameters.{LEVEL}", sentence)
    columns = texts["columns"].split(",") if texts["columns"] else ()
    options = None
    if is_uncertain:
        options = pb.PredictOptions(include_uncertainty=True, confidence_levels=levels)
    return _Said(columns, texts["schema_hash"], texts["group_id"], options)


def _text(parameters: Parameters, name: str) -> str:
    if (kind := parameters[name].WhichOneof("parameter_choice")) != "string_param":
        sentence = f"expected string_param, got {kind or 'none'}"
        raise Refusal("BAD_ARGUMENT", f"parameters.{name}", sentence)
    return parameters[name].string_param


def _level(parameters: Parameters) -> float:
    """Return the level: a number, or its digits where a client knows no parameter with a point."""
    value = parameters[LEVEL]
    kind = value.WhichOneof("parameter_choice")
    if kind == "double_param":
        return value.double_param
    try:
        return float(_text(parameters, LEVEL))
    except ValueError:
        sentence = f"expected a number, got '{value.string_param:.64}'"
        raise Refusal("BAD_LEVEL", f"parameters.{LEVEL}", sentence) from None


def _one(request: InferRequest, found: Tensors, said: _Said) -> pb.PredictRequest:
    """Return the request for one prompt."""
    x, y, query = found.x, found.y, found.query
    M, d, Q = found.example_count, found.feature_count, found.query_count
    labels = pb.Vector(raw=y.raw, data_type=DATA_TYPES[y.datatype])
    return pb.PredictRequest(
        model=request.model_name,
        model_version=request.model_version,
        examples=pb.ExampleSet(features=_matrix(x, M, d), labels=labels),
        queries=_matrix(query, Q, d),
        columns=said.columns,
        schema_hash=said.schema_hash,
        group_id=said.group_id,
        options=said.options,
    )


def _matrix(tensor: Tensor, rows: int, columns: int) -> pb.Matrix:
    data_type = DATA_TYPES[tensor.datatype]
    return pb.Matrix(row_count=rows, column_count=columns, raw=tensor.raw, data_type=data_type)


def _many(request: InferRequest, found: Tensors, said: _Said) -> pb.PredictBatchRequest:
    """Return the request for stacked prompts, which has one type for all its numbers."""
    x, y, query = found.x, found.y, found.query
    datatype = x.datatype if x.datatype == y.datatype == query.datatype else "FP64"
    return pb.PredictBatchRequest(
        model=request.model_name,
        model_version=request.model_version,
        prompt_count=found.prompt_count,
        example_count=found.example_count,
        feature_count=found.feature_count,
        query_count=found.query_count,
        data_type=DATA_TYPES[datatype],
        features=_as(x, datatype),
        labels=_as(y, datatype),
        queries=_as(query, datatype),
        columns=said.columns,
        schema_hash=said.schema_hash,
        group_ids=[said.group_id] * found.prompt_count if said.group_id else (),
        options=said.options,
    )


def _as(tensor: Tensor, datatype: str) -> bytes:
    """Return the numbers of a tensor in a type, every one the same number."""
    if tensor.datatype == datatype:
        return tensor.raw
    return np.frombuffer(tensor.raw, DATATYPES[tensor.datatype]).astype("<f8").tobytes()
