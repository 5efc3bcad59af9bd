"""Bytes to domain and back: the only reader of a prompt's wire form."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from model.checkpoint import Artifact
from model.moments import Sums
from model.prompt import Block, Examples
from model.refusal import Refusal
from service import validate
from service.validate import Limits
from service.wire import DELIMITED, fields
from sonoba.v1 import predictor_pb2 as pb

Array = NDArray[np.float64]
M = TypeVar("M", bound=Message)

FLOAT64, FLOAT32 = np.dtype("<f8"), np.dtype("<f4")
DTYPES: dict[int, np.dtype[Any]] = {
    pb.DATA_TYPE_UNSPECIFIED: FLOAT64,
    pb.DATA_TYPE_FLOAT64: FLOAT64,
    pb.DATA_TYPE_FLOAT32: FLOAT32,
}


def parse(kind: type[M], wire: bytes) -> M:
    """Return the message of some bytes."""
    try:
        return kind.FromString(wire)
    except DecodeError:
        sentence = f"expected a {kind.DESCRIPTOR.name}, got {len(wire)} bytes that are none"
        raise Refusal("MALFORMED_REQUEST", "", sentence) from None


def one_context(request: pb.PredictRequest, wire: bytes) -> str:
    """Return which context a request carries; refuse none, and both.

    A parser keeps the last of two members of a oneof, so that two are seen only on the wire; they
    make it longer than the message.
    """
    kind = request.WhichOneof("context")
    if kind is None:
        raise Refusal("BAD_SHAPE", "context", "expected examples or a summary, got neither")
    if request.ByteSize() != len(wire) and {3, 4} <= {field.number for field in fields(wire)}:
        raise Refusal("BAD_SHAPE", "context", "expected examples or a summary, got both")
    return str(kind)


def payload(wire: bytes, field: int) -> bytes:
    """Return the bytes of the message in a top-level field; empty when there is none to be seen.

    Where it stands several times, its parts make one message, as a parser merges them; what stands
    behind a group is not seen.
    """
    found, end = b"", 0
    for at in fields(wire):
        end = at.stop
        if (at.number, at.kind) == (field, DELIMITED):
            found += wire[at.start : at.stop]
    return found if end == len(wire) else b""


def numbers(message: pb.Matrix | pb.Vector, raw: bytes, field: str) -> Array:
    """Return the numbers (n,) of either encoding, read-only where they are a view of `raw`."""
    if not raw:
        return np.array(message.values, dtype=np.float64)
    if len(message.values):
        raise Refusal("BAD_SHAPE", field, "expected values or raw, got both")
    return tensor(raw, message.data_type, f"{field}.raw", f"{field}.data_type")


def vector_numbers(message: pb.Vector, field: str) -> Array:
    """Return the numbers (n,) of a vector."""
    return numbers(message, message.raw, field)


def tensor(raw: bytes, data_type: int, field: str, type_field: str) -> Array:
    """Return raw little-endian bytes as numbers (n,)."""
    dtype = DTYPES.get(data_type)
    if dtype is None:
        sentence = f"expected FLOAT64 (1) or FLOAT32 (2), got {data_type}"
        raise Refusal("UNKNOWN_ENCODING", type_field, sentence)
    if len(raw) % dtype.itemsize:
        sentence = f"expected a multiple of {dtype.itemsize} bytes, got {len(raw)}"
        raise Refusal("BAD_SHAPE", field, sentence)
    values: Array = np.frombuffer(raw, dtype)
    return values if dtype is FLOAT64 else values.astype(np.float64)


def matrix(message: pb.Matrix, rows_max: int, limits: Limits, field: str) -> Array:
    """Return a matrix (rows, columns) whose counts and length agree."""
    rows, columns, raw = message.row_count, message.column_count, message.raw
    most = limits.feature_count_max
    if not (0 < rows <= rows_max and 0 < columns <= most):
        validate.count(rows, rows_max, f"{field}.row_count")
        validate.count(columns, most, f"{field}.column_count")
    validate.elements(rows * columns, limits)
    values = numbers(message, raw, field)
    if len(values) != rows * columns:
        sentence = (
            f"expected {rows * columns} numbers ({rows} rows x {columns} columns), "
            f"got {len(values)}"
        )
        raise Refusal("BAD_SHAPE", field, sentence)
    return values.reshape(rows, columns)


def example_set(message: pb.ExampleSet, limits: Limits) -> tuple[Array, Array]:
    """Return x (M, d) and y (M,) with agreeing lengths."""
    x = matrix(message.features, limits.example_count_max, limits, "examples.features")
    y = vector_numbers(message.labels, "examples.labels")
    if len(y) != len(x):
        sentence = f"expected {len(x)} numbers (row_count of examples.features), got {len(y)}"
        raise Refusal("BAD_SHAPE", "examples.labels", sentence)
    return x, y


def prompt(request: pb.PredictRequest, kind: str, artifact: Artifact, limits: Limits) -> Block:
    """Return the one prompt of a request as a block, in the model's column order."""
    queries = matrix(request.queries, limits.query_count_max, limits, "queries")
    if kind == "summary":
        return _summary_prompt(request, queries, artifact, limits)
    x, y = example_set(request.examples, limits)
    d = x.shape[1]
    source = "column_count of examples.features"
    validate.equal(queries.shape[1], d, "queries.column_count", source)
    validate.elements(x.size + y.size + queries.size, limits)
    names = tuple(request.columns)
    positions = validate.schema(artifact, d, names, request.schema_hash)
    validate.enough_examples(artifact, len(y), "examples.features.row_count")
    if positions is not None:
        x, queries = x.take(positions, 1), queries.take(positions, 1)  # in one piece, as sent
    names = artifact.schema.names or names
    return Block(Examples(x[None], y[None]), queries[None], names)


def check_finite(block: Block) -> None:
    """Refuse a prompt with NaN or infinity by its place."""
    if isinstance(block.context, Examples):
        validate.finite(block.context.x[0], "examples.features", block.names)
        validate.finite(block.context.y[0], "examples.labels")
    validate.finite(block.queries[0], "queries", block.names)


def _summary_prompt(
    request: pb.PredictRequest, queries: Array, artifact: Artifact, limits: Limits
) -> Block:
    total = sums(request.summary, "summary", limits)
    d = len(total.feature_sums)
    validate.equal(queries.shape[1], d, "queries.column_count", "length of summary.feature_sums")
    names = tuple(request.columns)
    positions = validate.schema(artifact, d, names, request.schema_hash)
    artifact.schema.check_hash(request.summary.schema_hash)
    validate.enough_examples(artifact, total.count, "summary.example_count")
    validate.finite(queries, "queries", names)
    moments = total.centred()
    if positions is not None:
        moments, queries = moments.reordered(positions), queries[:, positions]
    return Block(moments, queries[None], artifact.schema.names or names)


def sums(message: pb.ExampleSummary, field: str, limits: Limits) -> Sums:
    """Return the sums of a summary whose lengths agree and whose numbers are finite."""
    d = len(vector_numbers(message.feature_sums, f"{field}.feature_sums"))
    validate.count(d, limits.feature_count_max, f"{field}.feature_sums")
    triangle = _part(message, field, "second_moments", d * (d + 1) // 2, optional=True)
    origin = _part(message, field, "origin", d, optional=True)
    scalars = (message.label_origin, message.label_sum, message.label_square_sum)
    validate.finite(np.array(scalars), f"{field}: label_origin, label_sum, label_square_sum")
    if not 1 <= message.example_count <= 2**53:
        sentence = f"expected 1 to 2^53, got {message.example_count}"
        raise Refusal("BAD_SUMMARY", f"{field}.example_count", sentence)
    return Sums(
        message.example_count,
        origin if len(origin) else np.zeros(d),
        message.label_origin,
        _part(message, field, "feature_sums", d),
        _square(triangle, d) if len(triangle) else None,
        _part(message, field, "label_products", d),
        message.label_sum,
        message.label_square_sum,
    )


def _part(
    message: pb.ExampleSummary, field: str, name: str, size: int, optional: bool = False
) -> Array:
    """Return one vector of a summary, of the size its features ask for."""
    path = f"{field}.{name}"
    values = vector_numbers(getattr(message, name), path)
    if len(values) or not optional:
        validate.equal(len(values), size, path, "by the length of feature_sums")
    validate.finite(values, path)
    return values


def _square(triangle: Array, d: int) -> Array:
    """Return the symmetric matrix (d, d) of an upper triangle, row by row."""
    square = np.zeros((d, d))
    square[np.triu_indices(d)] = triangle
    return square + np.triu(square, 1).T


def vector(values: Array | Sequence[float]) -> pb.Vector:
    """Return numbers as raw FLOAT64."""
    raw = np.asarray(values, "<f8").tobytes()
    return pb.Vector(raw=raw, data_type=pb.DATA_TYPE_FLOAT64)


def summary(total: Sums, schema_hash: str) -> pb.ExampleSummary:
    """Return sums as a message, all numbers raw."""
    d = len(total.feature_sums)
    square = total.second_moments
    return pb.ExampleSummary(
        example_count=total.count,
        origin=vector(total.origin),
        label_origin=total.label_origin,
        feature_sums=vector(total.feature_sums),
        second_moments=None if square is None else vector(square[np.triu_indices(d)]),
        label_products=vector(total.label_products),
        label_sum=total.label_sum,
        label_square_sum=total.label_square_sum,
        schema_hash=schema_hash,
    )
