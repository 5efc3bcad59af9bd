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
    if len(x.shape) not in (2, 3):
        raise _shaped("x", "[M, d] or [n, M, d]", x)
    if len(query.shape) not in (2, 3):
        raise _shaped("query", "[Q, d] or [n, Q, d]", query)
    *many, M, d = x.shape
    *others, Q, features = query.shape
    if y.shape != (*many, M):
        raise _shaped("y", f"{[*many, M]} (one label an example of x)", y)
    if others != many or features != d:
        sizes = ", ".join(str(size) for size in (*many, "Q", d))
        raise _shaped("query", f"[{sizes}] (as x is {list(x.shape)})", query)
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
    shape, datatype = tuple(tensor.shape), tensor.datatype
    dtype = DATATYPES.get(datatype)
    is_sound = dtype is not None and shape and min(shape) > 0 and not tensor.parameters
    if not is_sound or dtype is None:
        raise _unsound(tensor, shape)
    if raw is None:
        return Tensor(shape, _typed(tensor, shape), datatype)
    if tensor.HasField("contents"):
        sentence = "expected none beside raw_input_contents, got both"
        raise Refusal("BAD_SHAPE", f"inputs.{tensor.name}.contents", sentence)
    byte_count = prod(shape) * dtype.itemsize
    if len(raw) != byte_count:
        counts = " x ".join(str(count) for count in (*shape, dtype.itemsize))
        sentence = f"expected {byte_count} bytes ({counts}), got {len(raw)}"
        raise Refusal("BAD_SHAPE", f"inputs.{tensor.name}", sentence)
    return Tensor(shape, raw, datatype)


def _unsound(tensor: Input, shape: tuple[int, ...]) -> Refusal:
    """Return what is wrong with a tensor before its numbers are looked at."""
    field = f"inputs.{tensor.name}"
    if tensor.datatype not in DATATYPES:
        sentence = f"expected FP64 or FP32, got '{tensor.datatype:.16}'"
        return Refusal("UNKNOWN_ENCODING", f"{field}.datatype", sentence)
    if tensor.parameters:
        name = next(iter(tensor.parameters))
        sentence = "expected none: numbers are sent with the request, in no shared memory"
        return Refusal("BAD_ARGUMENT", f"{field}.parameters.{name:.64}", sentence)
    sentence = f"expected sizes of 1 or more, got {list(shape)}"
    return Refusal("BAD_SHAPE", f"{field}.shape", sentence)


def _typed(tensor: Input, shape: tuple[int, ...]) -> bytes:
    """Return the numbers of typed contents as bytes."""
    field = f"inputs.{tensor.name}"
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


def _shaped(name: str, expected: str, got: Tensor) -> Refusal:
    sentence = f"expected {expected}, got {list(got.shape)}"
    return Refusal("BAD_SHAPE", f"inputs.{name}.shape", sentence)
