"""The tensors of an Open Inference request: x, y and query, of one prompt or of n stacked ones.

x is (M, d) or (n, M, d), y (M,) or (n, M), query (Q, d) or (n, Q, d), each FP64 or FP32. Numbers
stand in raw_input_contents, of which views are taken, or in contents; all tensors in one way.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from model.refusal import Refusal
from service.codec import FLOAT32, FLOAT64
from service.oip_messages import InferRequest, Input

INPUTS = ("x", "y", "query")
DATATYPES: dict[str, np.dtype[Any]] = {"FP64": FLOAT64, "FP32": FLOAT32}
TYPED = {"FP64": "fp64_contents", "FP32": "fp32_contents"}
LARGEST_SIZE = 2**31 - 1


class Tensor(NamedTuple):
    """Numbers as they came: little-endian, row by row."""

    shape: tuple[int, ...]
    raw: bytes
    datatype: str


class Tensors(NamedTuple):
    """The prompts of a request, their shapes in agreement."""

    x: Tensor
    y: Tensor
    query: Tensor
    prompt_count: int  # n; 0 where there is one prompt, and no leading n
    example_count: int  # M
    feature_count: int  # d
    query_count: int  # Q
    is_raw: bool


def tensors(request: InferRequest) -> Tensors:
    """Return the tensors of a request; what is missing, unknown or contradicts is refused."""
    found = _named(request)
    x, y, query = (found[name] for name in INPUTS)
    *many, M, d = _shape(x, "x", "[M, d] or [n, M, d]", (2, 3))
    if y.shape != (*many, M):
        raise _unlike("y", [*many, M], "one label an example of x", y)
    *others, Q, features = _shape(query, "query", "[Q, d] or [n, Q, d]", (2, 3))
    if (others, features) != (many, d):
        raise _unlike("query", [*many, "Q", d], f"as x is {list(x.shape)}", query)
    n = many[0] if many else 0
    return Tensors(x, y, query, n, M, d, Q, bool(len(request.raw_input_contents)))


def _named(request: InferRequest) -> Mapping[str, Tensor]:
    """Return the tensors by name, every one once."""
    inputs, raws = request.inputs, request.raw_input_contents
    if len(raws) not in (0, len(inputs)):
        sentence = f"expected none or {len(inputs)} (one an input), got {len(raws)}"
        raise Refusal("BAD_SHAPE", "raw_input_contents", sentence)
    found: dict[str, Tensor] = {}
    for place, tensor in enumerate(inputs):
        name = tensor.name
        if name not in INPUTS or name in found:
            sentence = f"expected x, y and query, each once, got '{name:.64}'"
            raise Refusal("BAD_ARGUMENT", f"inputs[{place}].name", sentence)
        found[name] = _tensor(tensor, raws[place] if raws else None)
    if len(found) < len(INPUTS):
        missing = ", ".join(name for name in INPUTS if name not in found)
        raise Refusal("BAD_SHAPE", "inputs", f"expected x, y and query, got none named {missing}")
    return found


def _tensor(tensor: Input, raw: bytes | None) -> Tensor:
    """Return one tensor whose length is that of its shape."""
    field, shape, datatype = f"inputs.{tensor.name}", tuple(tensor.shape), tensor.datatype
    if datatype not in DATATYPES:
        sentence = f"expected FP64 or FP32, got '{datatype:.16}'"
        raise Refusal("UNKNOWN_ENCODING", f"{field}.datatype", sentence)
    if tensor.parameters:
        name = next(iter(tensor.parameters))
        sentence = "expected none: numbers are sent with the request, in no shared memory"
        raise Refusal("BAD_ARGUMENT", f"{field}.parameters.{name:.64}", sentence)
    if shape and not 1 <= min(shape) <= max(shape) <= LARGEST_SIZE:
        sentence = f"expected sizes of 1 to {LARGEST_SIZE}, got {list(shape)}"
        raise Refusal("BAD_SHAPE", f"{field}.shape", sentence)
    if raw is None:
        return Tensor(shape, _typed(tensor, field, shape), datatype)
    if tensor.HasField("contents"):
        sentence = "expected none beside raw_input_contents, got both"
        raise Refusal("BAD_SHAPE", f"{field}.contents", sentence)
    size = DATATYPES[datatype].itemsize
    if len(raw) != prod(shape) * size:
        counts = " x ".join(str(count) for count in (*shape, size))
        sentence = f"expected {prod(shape) * size} bytes ({counts}), got {len(raw)}"
        raise Refusal("BAD_SHAPE", field, sentence)
    return Tensor(shape, raw, datatype)


def _typed(tensor: Input, field: str, shape: tuple[int, ...]) -> bytes:
    """Return the numbers of typed contents as bytes."""
    wanted = TYPED[tensor.datatype]
    others = [one.name for one, _ in tensor.contents.ListFields() if one.name != wanted]
    if others:
        sentence = f"expected {wanted} only (by its datatype), got {others[0]}"
        raise Refusal("BAD_SHAPE", f"{field}.contents", sentence)
    values: Sequence[float] = getattr(tensor.contents, wanted)
    if len(values) != prod(shape):
        counts = " x ".join(str(count) for count in shape)
        sentence = f"expected {prod(shape)} numbers ({counts}), got {len(values)}"
        raise Refusal("BAD_SHAPE", f"{field}.contents.{wanted}", sentence)
    return np.array(values, DATATYPES[tensor.datatype]).tobytes()


def _shape(tensor: Tensor, name: str, expected: str, ranks: tuple[int, ...]) -> tuple[int, ...]:
    if len(tensor.shape) not in ranks:
        sentence = f"expected {expected}, got {list(tensor.shape)}"
        raise Refusal("BAD_SHAPE", f"inputs.{name}.shape", sentence)
    return tensor.shape


def _unlike(name: str, expected: Sequence[int | str], why: str, got: Tensor) -> Refusal:
    shape = ", ".join(str(size) for size in expected)
    sentence = f"expected [{shape}] ({why}), got {list(got.shape)}"
    return Refusal("BAD_SHAPE", f"inputs.{name}.shape", sentence)
