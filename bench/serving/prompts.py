"""The prompts that are sent: linear data with noise, as bytes of the contract."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.history import Group, History
from model.prompt import Block, Examples
from model.schema import Column, Schema
from sonoba.v1 import predictor_pb2 as pb

Array = NDArray[np.float64]


class Shape(NamedTuple):
    """M examples of d features and Q queries a prompt.

    >>> str(Shape(16, 5)), str(Shape(16, 5, 4))
    ('(16,5)', '(16,5), Q = 4')
    """

    M: int
    d: int
    Q: int = 1

    def __str__(self) -> str:
        return f"({self.M},{self.d})" + (f", Q = {self.Q}" if self.Q > 1 else "")


WIDTHS = (2, 5, 20, 64, 128)  # of the paper models
SHAPES = (Shape(16, 5), Shape(64, 20), Shape(256, 64))
PROFILE_SHAPE = Shape(32, 8)
KINDS = ("paper", "foundation", "profile")
BATCH_PROMPTS = 256
PREDICT = "/sonoba.v1.Predictor/Predict"
PREDICT_BATCH = "/sonoba.v1.Predictor/PredictBatch"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


def model_name(kind: str, shape: Shape) -> str:
    """Return the served name of a kind of model for a shape; `foundation` takes every shape."""
    return kind if kind == "foundation" else f"{kind}{shape.d}"


def schema(d: int) -> Schema:
    """Return d named columns without units."""
    return Schema(tuple(Column(f"x{place}") for place in range(d)))


def schema_hash(kind: str, shape: Shape) -> str:
    """Return what a request must say of its columns; only a profile names them."""
    return schema(shape.d).hash if kind == "profile" else ""


def write_papers(folder: Path) -> list[Path]:
    """Write a paper model for every number of features, all of variance 1, as is their noise."""
    paths = []
    for d in WIDTHS:
        name = model_name("paper", Shape(1, d))
        entry: dict[str, object] = {"kind": "paper", "name": name, "noise_variance": 1.0}
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**entry, "covariance": np.eye(d).tolist()}))
        paths.append(path)
    return paths


@cache
def block(shape: Shape, prompt_count: int = 1) -> Block:
    """Return prompts of a shape; always the same."""
    rng = np.random.default_rng(20230616)
    x = rng.normal(size=(prompt_count, shape.M, shape.d))  # (B, M, d)
    task = rng.normal(size=(prompt_count, shape.d, 1))  # (B, d, 1)
    noise = rng.normal(size=(prompt_count, shape.M))  # (B, M)
    queries = rng.normal(size=(prompt_count, shape.Q, shape.d))  # (B, Q, d)
    return Block(Examples(x, (x @ task)[..., 0] + noise), queries)


def history(feature_count: int, group_count: int = 40, row_count: int = 120) -> History:
    """Return past tasks of the law that `block` draws from; always the same."""
    rng = np.random.default_rng(20230617)
    groups = []
    for g in range(group_count):
        x = rng.normal(size=(row_count, feature_count))  # (n, d)
        y = x @ rng.normal(size=feature_count) + rng.normal(size=row_count)  # (n,)
        groups.append(Group(str(g), x, y))
    return History(tuple(groups), is_ordered=False)


def unary(kind: str, shape: Shape, data_type: pb.DataType = pb.DATA_TYPE_FLOAT64) -> bytes:
    """Return a PredictRequest with its numbers raw."""
    x, y, queries = (_raw(array, data_type) for array in _arrays(block(shape)))
    request = pb.PredictRequest(
        model=model_name(kind, shape),
        examples=pb.ExampleSet(
            features=_matrix(shape.M, shape.d, x, data_type),
            labels=pb.Vector(raw=y, data_type=data_type),
        ),
        queries=_matrix(shape.Q, shape.d, queries, data_type),
        schema_hash=schema_hash(kind, shape),
    )
    return request.SerializeToString()


def batch(
    kind: str,
    shape: Shape,
    data_type: pb.DataType = pb.DATA_TYPE_FLOAT64,
    prompt_count: int = BATCH_PROMPTS,
) -> bytes:
    """Return a PredictBatchRequest of so many prompts."""
    x, y, queries = (_raw(array, data_type) for array in _arrays(block(shape, prompt_count)))
    request = pb.PredictBatchRequest(
        model=model_name(kind, shape),
        prompt_count=prompt_count,
        example_count=shape.M,
        feature_count=shape.d,
        query_count=shape.Q,
        data_type=data_type,
        features=x,
        labels=y,
        queries=queries,
        schema_hash=schema_hash(kind, shape),
    )
    return request.SerializeToString()


def _arrays(prompts: Block) -> tuple[Array, Array, Array]:
    assert isinstance(prompts.context, Examples)
    return prompts.context.x, prompts.context.y, prompts.queries


def _matrix(rows: int, columns: int, raw: bytes, data_type: pb.DataType) -> pb.Matrix:
    return pb.Matrix(row_count=rows, column_count=columns, raw=raw, data_type=data_type)


def _raw(array: Array, data_type: pb.DataType) -> bytes:
    return array.astype("<f4" if data_type == pb.DATA_TYPE_FLOAT32 else "<f8").tobytes()


def framed(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, its length, itself.

    >>> framed(b"abc")
    b'\\x00\\x00\\x00\\x00\\x03abc'
    """
    return b"\x00" + len(message).to_bytes(4, "big") + message
