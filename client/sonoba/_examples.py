"""Labelled examples in wire form, once their shapes agree."""

from collections.abc import Sequence
from typing import NamedTuple

from sonoba._frames import check_names, column_names, encode_table
from sonoba._wire import Numbers, Values, encode
from sonoba.errors import InvalidPrompt


class Examples(NamedTuple):
    """Labelled examples: features (M, d), labels (M,), and the names of the features or none."""

    features: Numbers
    labels: Numbers
    columns: tuple[str, ...]


def encode_examples(
    examples: Values | None, labels: Values | None, columns: Sequence[str] | None
) -> Examples:
    """Return examples in wire form; without `columns`, a frame's own names and order hold."""
    if examples is None or labels is None:
        field = "examples.features" if examples is None else "examples.labels"
        raise InvalidPrompt.at(field, "expected numbers, got None")
    names = column_names(examples) if columns is None else tuple(columns)
    check_names(names, "columns")
    features = encode_table(examples, names, "examples.features")
    if len(features.shape) != 2 or 0 in features.shape:
        sentence = f"expected rows of numbers (M x d), got shape {features.shape}"
        raise InvalidPrompt.at("examples.features", sentence)
    check_width(names, features.shape[1])
    encoded_labels = encode(labels, "examples.labels")
    if encoded_labels.shape != features.shape[:1]:
        wanted = f"{features.shape[0]} numbers (rows of examples.features)"
        got = shape_in_words(encoded_labels.shape)
        raise InvalidPrompt.at("examples.labels", f"expected {wanted}, got {got}")
    return Examples(features, encoded_labels, names)


def check_width(names: Sequence[str], d: int) -> None:
    """Refuse names of another number than that of the features."""
    if names and len(names) != d:
        sentence = f"expected {d} names (one a feature), got {len(names)}"
        raise InvalidPrompt.at("columns", sentence, "BAD_COLUMNS")


def shape_in_words(shape: tuple[int, ...]) -> str:
    """Return a count for a vector, the shape for anything else."""
    return str(shape[0]) if len(shape) == 1 else f"shape {shape}"
