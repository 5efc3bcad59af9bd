"""The prompts that are sent: linear data with noise, as bytes of the contract."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.history import Group, History
from model.prompt import Block, Examples
from sonoba.v1 import predictor_pb2 as pb

Array = NDArray[np.float64]


class Shape(NamedTuple):
    """M examples of d features; one query a prompt."""

    M: int
    d: int

    def __str__(self) -> str:
        return f"({self.M},{self.d})"


SHAPES = (Shape(16, 5), Shape(64, 20), Shape(256, 64))
PROFILE_SHAPE = Shape(32, 8)
BATCH_PROMPTS = 256
PREDICT = "/sonoba.v1.Predictor/Predict"
PREDICT_BATCH = "/sonoba.v1.Predictor/PredictBatch"


def paper_name(shape: Shape) -> str:
    """Return the name of the paper model for a number of features."""
    return f"paper{shape.d}"


def model_name(kind: str, shape: Shape) -> str:
    """Return the served name of `paper` or `foundation` for a shape."""
    return paper_name(shape) if kind == "paper" else kind


def write_papers(folder: Path) -> list[Path]:
    """Write one paper model a shape, for features of variance 1 and noise of variance 1."""
    paths = []
    for shape in SHAPES:
        covariance = np.eye(shape.d).tolist()
        name = paper_name(shape)
        entry = {"kind": "paper", "name": name, "covariance": covariance, "noise_variance": 1.0}
        path = folder / f"{name}.json"
        path.write_text(json.dumps(entry))
        paths.append(path)
    return paths


@cache
def block(shape: Shape, prompt_count: int = 1) -> Block:
    """Return prompts of a shape; always the same."""
    rng = np.random.default_rng(20230616)
    x = rng.normal(size=(prompt_count, shape.M, shape.d))  # (B, M, d)
    task = rng.normal(size=(prompt_count, shape.d, 1))  # (B, d, 1)
    noise = rng.normal(size=(prompt_count, shape.M))  # (B, M)
    queries = rng.normal(size=(prompt_count, 1, shape.d))  # (B, 1, d)
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


def unary(kind: str, shape: Shape) -> bytes:
    """Return a PredictRequest with its numbers raw."""
    x, y, queries = _arrays(block(shape))
    examples = pb.ExampleSet(
        features=pb.Matrix(row_count=shape.M, column_count=shape.d, raw=x.tobytes()),
        labels=pb.Vector(raw=y.tobytes()),
    )
    asked = pb.Matrix(row_count=1, column_count=shape.d, raw=queries.tobytes())
    request = pb.PredictRequest(model=model_name(kind, shape), examples=examples, queries=asked)
    return request.SerializeToString()


def batch(kind: str, shape: Shape) -> bytes:
    """Return a PredictBatchRequest of 256 prompts."""
    x, y, queries = _arrays(block(shape, BATCH_PROMPTS))
    request = pb.PredictBatchRequest(
        model=model_name(kind, shape),
        prompt_count=BATCH_PROMPTS,
        example_count=shape.M,
        feature_count=shape.d,
        query_count=1,
        features=x.tobytes(),
        labels=y.tobytes(),
        queries=queries.tobytes(),
    )
    return request.SerializeToString()


def _arrays(prompts: Block) -> tuple[Array, Array, Array]:
    assert isinstance(prompts.context, Examples)
    return prompts.context.x, prompts.context.y, prompts.queries


def framed(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, its length, itself.

    >>> framed(b"abc")
    b'\\x00\\x00\\x00\\x00\\x03abc'
    """
    return b"\x00" + len(message).to_bytes(4, "big") + message
