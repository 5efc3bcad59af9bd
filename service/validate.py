"""What must hold of a request's shapes and strings before a number is looked at.

Order: counts and limits, lengths, schema, the model's minimum, finiteness. Every sentence gives the
field's path, what was expected and what was got.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Artifact
from model.moments import Moments
from model.prompt import Block
from model.refusal import Refusal
from model.support import Wanted

Array = NDArray[np.float64]

LONGEST_NAME_BYTES = 256
LONGEST_GROUP_BYTES = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest requests a server takes; `GetModel` publishes them."""

    feature_count_max: int
    example_count_max: int
    query_count_max: int
    batch_prompt_count_max: int
    element_count_max: int
    message_bytes_max: int


def count(value: int, most: int, field: str) -> int:
    """Return a count of 1 to `most`."""
    if value < 1:
        raise Refusal("BAD_SHAPE", field, f"expected 1 to {most}, got {value}")
    if value > most:
        raise Refusal("LIMIT_EXCEEDED", field, f"expected 1 to {most}, got {value}")
    return value


def elements(total: int, limits: Limits) -> None:
    """Refuse a request of more numbers than one request may hold."""
    if total > limits.element_count_max:
        most = limits.element_count_max
        sentence = f"expected at most {most} numbers in one request, got {total}"
        raise Refusal("LIMIT_EXCEEDED", "", sentence)


def equal(got: int, expected: int, field: str, source: str) -> None:
    """Refuse a count that contradicts another one."""
    if got != expected:
        raise Refusal("BAD_SHAPE", field, f"expected {expected} ({source}), got {got}")


def text(value: str, field: str, most: int = LONGEST_NAME_BYTES) -> None:
    """Refuse a string of more bytes than allowed."""
    if 4 * len(value) <= most:
        return  # no character takes more than four
    size = len(value.encode())
    if size > most:
        raise Refusal("LIMIT_EXCEEDED", field, f"expected at most {most} bytes, got {size}")


def finite(values: Array, field: str, names: Sequence[str] = ()) -> None:
    """Refuse NaN and infinity, naming the first place; values is (rows, columns) or (rows,).

    The sum of finite numbers is finite unless it overflows; only then is every number looked at.
    """
    if math.isfinite(np.add.reduce(values, axis=None)):
        return
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return
    place = [int(i) for i in bad[0]]
    where = f"row {place[0]}"
    if len(place) > 1:
        name = f" ('{names[place[1]]:.64}')" if names else ""
        where += f", column {place[1]}{name}"
    got = values[tuple(place)]
    raise Refusal("NOT_FINITE", field, f"expected finite numbers, got {got} at {where}")


def schema(
    artifact: Artifact,
    d: int,
    columns: Sequence[str],
    schema_hash: str,
    field: str = "examples.features.column_count",
) -> list[int] | None:
    """Return the positions that bring the sent columns into the model's order; None if they are."""
    positions = None
    if columns:
        if len(columns) != d:
            sentence = f"expected {d} names (one a feature), got {len(columns)}"
            raise Refusal("SCHEMA_MISMATCH", "columns", sentence)
        for i, name in enumerate(columns):
            text(name, f"columns[{i}]")
        positions = artifact.schema.positions(columns)
    artifact.schema.check_hash(schema_hash)
    wanted = artifact.feature_count
    if wanted and d != wanted:
        sentence = f"expected the {wanted} features of model {artifact.name}, got {d}"
        raise Refusal("SCHEMA_MISMATCH", field, sentence)
    return positions


def enough_examples(artifact: Artifact, got: int, field: str) -> None:
    """Refuse fewer examples than the model can learn from."""
    least = artifact.model.example_count_min
    if got < least:
        sentence = f"expected at least {least} examples for model {artifact.name}, got {got}"
        raise Refusal("TOO_FEW_EXAMPLES", field, sentence)


def weights(wanted: Wanted, block: Block, limits: Limits) -> None:
    """Refuse an explanation whose weights, Q x M doubles, fill more than half a message."""
    M, Q = block.example_count, block.queries.shape[1]
    most = limits.message_bytes_max // 2 // (8 * M)
    if wanted.explanation and not isinstance(block.context, Moments) and most < Q:
        sentence = f"expected at most {most} to be explained by {M} examples, got {Q}"
        raise Refusal("LIMIT_EXCEEDED", "queries.row_count", sentence)
