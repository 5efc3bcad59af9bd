"""The bytes of a message that is known to parse, field by field."""

from collections.abc import Iterator
from typing import NamedTuple

DELIMITED = 2


class Field(NamedTuple):
    """One field on the wire: its number, where its content is, and its wire type."""

    number: int
    start: int
    stop: int
    kind: int = DELIMITED

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.stop - self.start


def fields(wire: bytes, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """Yield every field of the message in wire[start:stop].

    >>> list(fields(b"\\x08\\x01\\x12\\x02ab"))
    [Field(number=1, start=1, stop=2, kind=0), Field(number=2, start=4, stop=6, kind=2)]
    """
    at, end = start, len(wire) if stop is None else stop
    while at < end:
        tag, at = _varint(wire, at)
        size = {1: 8, 5: 4}.get(tag & 7, 0)
        if tag & 7 == DELIMITED:
            size, at = _varint(wire, at)
        elif tag & 7 == 0:
            size = _varint(wire, at)[1] - at
        elif not size:
            return  # a group: no field of ours
        yield Field(tag >> 3, at, at + size, tag & 7)
        at += size


def _varint(wire: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = wire[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
