"""Numbers as the contract's bytes (little-endian, row by row), and back, without NumPy.

Arrays are recognised by `__array__`, buffers by `memoryview`; singles stay float32, everything else
becomes float64. Answers are NumPy arrays where the caller has loaded NumPy, lists elsewhere.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard

from sonoba.errors import InvalidPrompt
from sonoba.v1 import predictor_pb2 as pb


class SupportsArray(Protocol):
    """Whatever NumPy could read: an array, a frame, a series, a tensor."""

    def __array__(self) -> object:
        """Return the numbers as a NumPy array."""


Values: TypeAlias = Iterable[float] | Iterable[Iterable[float]] | SupportsArray
Floats: TypeAlias = "array[float]"

FORMATS = {pb.DATA_TYPE_FLOAT64: "d", pb.DATA_TYPE_FLOAT32: "f"}


class Numbers(NamedTuple):
    """Numbers in wire form: a vector, or a table row by row."""

    raw: bytes
    shape: tuple[int, ...]
    data_type: pb.DataType

    def floats(self) -> Floats:
        """Return the numbers as this host writes them."""
        return _swapped(array(FORMATS[self.data_type], self.raw))


def pack(numbers: Floats, shape: tuple[int, ...]) -> Numbers:
    """Return an array of doubles or singles in wire form."""
    data_type = pb.DATA_TYPE_FLOAT32 if numbers.typecode == "f" else pb.DATA_TYPE_FLOAT64
    return Numbers(_swapped(numbers).tobytes(), shape, data_type)


def encode(values: Values, field: str) -> Numbers:
    """Return a vector or a table in wire form; anything else is an InvalidPrompt at `field`."""
    if hasattr(values, "__array__"):
        return _encode_array(values.__array__(), field)
    if isinstance(values, array | memoryview):
        return _encode_buffer(memoryview(values), field)
    if not _is_row(values):
        raise _not_numbers(field, type(values).__name__)
    return _encode_list(list(values), field)


def collect(answers: Sequence[float]) -> Sequence[float]:
    """Return answers as the caller works: an array where NumPy is loaded, else a list."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return list(answers)
    array_of_answers: Sequence[float] = numpy.array(answers, dtype=float)
    return array_of_answers


def decode(raw: bytes) -> Floats:
    """Return float64 bytes of the contract as this host's doubles."""
    return Numbers(raw, (len(raw) // 8,), pb.DATA_TYPE_FLOAT64).floats()


def _encode_array(values: Any, field: str) -> Numbers:
    if values.dtype.kind not in "biuf":
        raise _not_numbers(field, f"dtype {values.dtype}")
    if values.dtype.kind == "f" and values.dtype.itemsize == 4:
        return Numbers(values.astype("<f4").tobytes(), values.shape, pb.DATA_TYPE_FLOAT32)
    return Numbers(values.astype("<f8").tobytes(), values.shape, pb.DATA_TYPE_FLOAT64)


def _encode_buffer(view: memoryview, field: str) -> Numbers:
    if view.format in ("d", "f"):
        return pack(array(view.format, view.tobytes()), view.shape or ())
    return _encode_list(list(view.tolist()), field)


def _encode_list(values: list[Any], field: str) -> Numbers:
    if not values or not _is_row(values[0]):
        return pack(_doubles(values, field, "item"), (len(values),))
    rows = [list(row) if _is_row(row) else row for row in values]
    width = len(rows[0])
    table = array("d")
    for i, row in enumerate(rows):
        got = len(row) if isinstance(row, list) else type(row).__name__
        if got != width:
            raise InvalidPrompt.at(field, f"row {i}: expected {width} numbers, got {got}")
        table.extend(_doubles(row, field, f"row {i}, column"))
    return pack(table, (len(rows), width))


def _is_row(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _doubles(values: list[Any], field: str, place: str) -> Floats:
    try:
        return array("d", values)
    except (TypeError, ValueError, OverflowError):
        i, got = next((i, v) for i, v in enumerate(values) if not _is_number(v))
        raise _not_numbers(field, f"{type(got).__name__} at {place} {i}") from None


def _is_number(value: Any) -> bool:
    try:
        array("d", [value])
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _not_numbers(field: str, got: str) -> InvalidPrompt:
    return InvalidPrompt.at(field, f"expected numbers, got {got}", "NOT_A_NUMBER")


def _swapped(numbers: Floats) -> Floats:
    """Turn this host's byte order into the wire's, or back."""
    if sys.byteorder == "little":
        return numbers
    swapped = numbers[:]
    swapped.byteswap()
    return swapped
