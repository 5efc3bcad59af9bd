"""An answer of our own contract as the response to a ModelInfer.

What many answers share (names, shapes, mode) is written once and kept as bytes: messages merge by
standing one after another (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from service import oip_fields
from service.codec import FLOAT64
from service.oip_messages import Messages
from service.oip_request import PREDICTION, Question
from sonoba.v1 import predictor_pb2 as pb

RESPONSE = "ModelInferResponse"
FRAMES_KEPT = 256
MODES = ("failed", *(name.removeprefix("MODE_").lower() for name in pb.Mode.keys()[1:]))
Fields = dict[str, object]


class Responses:
    """Writes the responses to questions."""

    def __init__(self, messages: Messages) -> None:
        self._written = messages.written
        self._frame = lru_cache(FRAMES_KEPT)(self._made_frame)

    def one(self, wire: bytes, asked: Question, request_id: str) -> bytes:
        """Return the response to one prompt, of the bytes of a PredictResponse."""
        answer = pb.PredictResponse.FromString(wire)
        found: dict[str, bytes] = {PREDICTION: _bytes(answer.predictions)}
        if answer.HasField("uncertainty"):
            found |= _bounds(answer.uncertainty)
        of = answer.model, answer.model_version, MODES[answer.mode]
        more: Fields = (
            {"warnings": _json(map(_warning, answer.warnings))} if answer.warnings else {}
        )
        return self._response(of, [found[name] for name in asked.outputs], asked, request_id, more)

    def many(self, wire: bytes, asked: Question, request_id: str) -> bytes:
        """Return the response to stacked prompts, of the bytes of a PredictBatchResponse."""
        answer = pb.PredictBatchResponse.FromString(wire)
        found = {
            PREDICTION: answer.predictions,
            "standard_error": answer.standard_errors,
            "lower": answer.lower_bounds,
            "upper": answer.upper_bounds,
        }
        of = answer.model, answer.model_version, _modes(answer.modes)
        more: Fields = {}
        if answer.warnings:
            more["warnings"] = _json(
                {"prompt": one.index, "code": _code(one.code)} for one in answer.warnings
            )
        if answer.errors:
            more["errors"] = _json(map(_error, answer.errors))
        return self._response(of, [found[name] for name in asked.outputs], asked, request_id, more)

    def _response(
        self,
        of: tuple[str, str, str],
        numbers: Sequence[bytes],
        asked: Question,
        request_id: str,
        more: Mapping[str, object],
    ) -> bytes:
        """Return a response, its numbers in the form that the request's have."""
        n, Q = asked.prompt_count, asked.query_count
        shape = (n, Q) if n else (Q,)
        fields: Fields = {"id": request_id}
        if more:
            fields["parameters"] = {name: {"string_param": text} for name, text in more.items()}
        if asked.is_raw:
            fields["raw_output_contents"] = numbers
            return self._frame(*of, asked.outputs, shape) + self._written(RESPONSE, fields)
        outputs = [
            _tensor(name, shape) | {"contents": {"fp64_contents": np.frombuffer(raw, FLOAT64)}}
            for name, raw in zip(asked.outputs, numbers, strict=True)
        ]
        return self._frame(*of, (), shape) + self._written(RESPONSE, {**fields, "outputs": outputs})

    def _made_frame(
        self, model: str, version: str, mode: str, outputs: tuple[str, ...], shape: tuple[int, ...]
    ) -> bytes:
        """Return the part of a response that many share."""
        said = {"mode": mode, "model_version": version}
        fields: Fields = {
            "model_name": model,
            "model_version": version,
            "parameters": {name: {"string_param": text} for name, text in said.items()},
            "outputs": [_tensor(name, shape) for name in outputs],
        }
        return self._written(RESPONSE, fields)


def _tensor(name: str, shape: tuple[int, ...]) -> Fields:
    return {"name": name, "datatype": "FP64", "shape": shape}


def _bounds(uncertainty: pb.Uncertainty) -> dict[str, bytes]:
    """Return the standard errors and the bounds of the one level that was asked for."""
    (interval,) = uncertainty.intervals
    parts = uncertainty.standard_errors, interval.lower, interval.upper
    names = "standard_error", "lower", "upper"
    return {name: _bytes(part) for name, part in zip(names, parts, strict=True)}


def _bytes(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def _modes(modes: bytes) -> str:
    """Return the mode that all prompts share, else that of each, with commas between."""
    if modes.count(modes[0]) == len(modes):
        return MODES[modes[0]]
    return ",".join(MODES[mode] for mode in modes)


def _warning(warning: pb.Warning) -> Fields:
    field = oip_fields.path_of(warning.field)
    of = {"field": field, "index": warning.index}
    return {"code": _code(warning.code), "message": warning.message, **of}


def _error(error: pb.PromptError) -> Fields:
    field = oip_fields.path_of(error.field)
    message = error.message.removeprefix(f"{error.field}: ")
    message = f"{field}: {message}" if field else message
    return {"prompt": error.index, "reason": error.reason, "message": message, "field": field}


def _code(code: int) -> str:
    return pb.WarningCode.Name(code).removeprefix("WARNING_CODE_")


def _json(parts: Iterable[Fields]) -> str:
    return json.dumps(list(parts), separators=(",", ":"))
