"""Tables with named columns: frames are recognised by their attributes and matched by name."""

from array import array
from collections.abc import Sequence
from typing import Any

from sonoba._wire import Numbers, Values, encode, pack
from sonoba.errors import InvalidPrompt
from sonoba.v1 import predictor_pb2 as pb


def column_names(table: Values | None) -> tuple[str, ...]:
    """Return the names of a frame's columns; empty where columns have positions only."""
    if not hasattr(table, "__getitem__"):
        return ()
    labels = tuple(getattr(table, "columns", ()))
    return labels if any(isinstance(label, str) for label in labels) else ()


def check_names(names: Sequence[str], field: str) -> None:
    """Refuse a name that is not text or comes twice."""
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise _bad_columns(field, f"expected names, got {type(name).__name__} {name!r}")
        if name in names[:i]:
            raise _bad_columns(field, f"expected every name once, got '{name}' more than once")


def encode_table(table: Values, columns: Sequence[str], field: str) -> Numbers:
    """Return a table (rows, d) in wire form, a frame's columns in the order of `columns`.

    A frame that lacks one of the names, or has one more, is refused: which feature was meant is not
    ours to guess.
    """
    names = column_names(table)
    if not names:
        return encode(table, field)
    check_names(names, field)
    missing = [name for name in columns if name not in names]
    extra = [name for name in names if name not in columns]
    if missing or extra:
        got = [f"no '{name}'" for name in missing[:8]] + [f"'{name}' besides" for name in extra[:8]]
        wanted = ", ".join(f"'{name}'" for name in columns[:8]) or "no column names"
        raise _bad_columns(field, f"expected {wanted}, got {', '.join(got)}")
    return _encode_frame(table, columns, field)


def as_table(values: Values) -> Values:
    """Return a series with an index as a frame of one row; anything else as it is."""
    if hasattr(values, "to_frame") and hasattr(values, "index"):
        frame: Values = values.to_frame().T.infer_objects()
        return frame
    return values


def _encode_frame(frame: Any, columns: Sequence[str], field: str) -> Numbers:
    parts = [_encode_column(frame, name, field) for name in columns]
    singles = all(part.data_type == pb.DATA_TYPE_FLOAT32 for part in parts)
    table = array("f" if singles else "d", bytes((4 if singles else 8) * len(parts) * len(frame)))
    for j, part in enumerate(parts):
        table[j :: len(parts)] = array(table.typecode, part.floats())
    return pack(table, (len(frame), len(parts)))


def _encode_column(frame: Any, name: str, field: str) -> Numbers:
    try:
        return encode(frame[name], field)
    except InvalidPrompt as error:
        sentence = f"column '{name}': {error.sentence.removeprefix(f'{field}: ')}"
        raise InvalidPrompt.at(field, sentence, error.reason) from None


def _bad_columns(field: str, sentence: str) -> InvalidPrompt:
    return InvalidPrompt.at(field, sentence, "BAD_COLUMNS")
