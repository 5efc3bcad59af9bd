"""Damages protobuf messages on the wire, knowing their structure.

A message is read into fields by its descriptor, one of them is changed, and all is written again:
most of what comes out still parses. https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as ProtocolMessage

VARINT, FIXED64, DELIMITED, GROUP, END, FIXED32 = range(6)
ROLES = {
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BYTES: "raw",
    FieldDescriptor.TYPE_DOUBLE: "numbers",
}
COUNTS = [0, 1, 2, 3, 7, 127, 128, 255, 4096, 65_536, 2**21, 2**31 - 1, 2**31, 2**32, 2**53]
COUNTS += [2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 5, 2**66, 2**70 - 1]  # negatives among them
WILD = [0.0, -0.0, 1.0, 5e-324, -1e-310, 2.2e-308, 1e-300, 1e-160, 1e-8, 1e8, 2.0**53]
WILD += [1e154, -1e160, 1e300, 1e308, -1.7976931348623157e308]
WILD += [float("nan"), float("inf"), float("-inf"), 0.1, -3.7]
PIECES = [struct.pack("<d", one) for one in WILD]
PIECES += [b"\x01\0\0\0\0\0\xf0\x7f", b"\xff" * 8, struct.pack("<2f", 1.5, float("nan"))]
TEXTS = [
    b"",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\0",
    b"a\nb\x1b[2J",
    "\u202e\ufeffé".encode(),
]
TEXTS += [
    b"x" * 129,
    b"x" * 257,
    b"\xf0\x9f\xa7\xaa" * 65,
    b"{}%s%n../../etc",
    b"foundation",
    b"x" * 5000,
]


class Field(NamedTuple):
    """One field of a message: its content without tag and length, and all of it as it was sent."""

    number: int
    kind: int
    role: str
    content: bytes
    children: tuple["Field", ...]
    wire: bytes


Change = Callable[[Random, Field], bytes]
"""Returns what stands on the wire in a field's place."""


def varint(value: int, least_bytes: int = 1) -> bytes:
    """Return a number as protobuf writes it, in more bytes than it needs if so wanted.

    >>> varint(300).hex(), varint(1, 3).hex()
    ('ac02', '818000')
    """
    out = bytearray()
    while value > 127 or len(out) < least_bytes - 1:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | DELIMITED) + varint(len(content)) + content


def read(wire: bytes, descriptor: Descriptor | None) -> tuple[Field, ...]:
    """Return the fields of a message that a serialiser wrote."""
    return tuple(_fields(wire, descriptor))


def _fields(wire: bytes, descriptor: Descriptor | None) -> Iterator[Field]:
    at = 0
    known = descriptor.fields_by_number if descriptor is not None else {}
    while at < len(wire):
        begin = at
        tag, at = _number(wire, at)
        kind, field = tag & 7, known.get(tag >> 3)
        role = ROLES.get(field.type, "count") if field is not None else "raw"
        if kind == DELIMITED:
            size, at = _number(wire, at)
        elif kind == VARINT:
            size = _number(wire, at)[1] - at
        else:
            size = 8 if kind == FIXED64 else 4
        content, at = wire[at : at + size], at + size
        inner = role == "message" and field is not None
        children = read(content, field.message_type) if inner and field is not None else ()
        yield Field(tag >> 3, kind, role, content, children, wire[begin:at])


def _number(wire: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = wire[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


class Damaging:
    """A message whose fields can be changed one at a time; the message itself stays."""

    def __init__(self, message: ProtocolMessage) -> None:
        self.wire = message.SerializeToString()
        self._fields = read(self.wire, cast(Descriptor, message.DESCRIPTOR))
        self._places = list(_places(self._fields, ()))
        self._numeric = [one for one in self._places if one[1].role in ("numbers", "raw")]

    def changed(self, chance: Random) -> bytes:
        """Return the message with one field damaged."""
        if not self._places:
            return unknown(chance)
        path, field = chance.choice(self._places)
        made = chance.choice(CHANGES[field.role] if chance.random() < 0.6 else CHANGES["any"])
        return _replaced(self._fields, path, made(chance, field))

    def renumbered(self, chance: Random) -> bytes:
        """Return the message with some numbers of one field replaced by wild ones."""
        if not self._numeric:
            return self.changed(chance)
        path, field = chance.choice(self._numeric)
        return _replaced(self._fields, path, wild(chance, field))


def _places(
    fields: Sequence[Field], above: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Field]]:
    for at, field in enumerate(fields):
        yield (*above, at), field
        yield from _places(field.children, (*above, at))


def _replaced(fields: Sequence[Field], path: tuple[int, ...], wire: bytes) -> bytes:
    at, rest = path[0], path[1:]
    if rest:
        wire = delimited(fields[at].number, _replaced(fields[at].children, rest, wire))
    return b"".join([*(f.wire for f in fields[:at]), wire, *(f.wire for f in fields[at + 1 :])])


def wild(chance: Random, field: Field) -> bytes:
    """Replace one number, a run of them, or all; the lengths stay."""
    content = bytearray(field.content)
    count = len(content) // 8
    if count == 0 or field.kind != DELIMITED:
        piece = chance.choice(PIECES)[: len(content)]
        return field.wire[: len(field.wire) - len(content)] + piece
    first = chance.randrange(count)
    last = chance.choice([first + 1, first + 1, min(first + 4, count), count])
    if chance.random() < 0.3:
        content[8 * first : 8 * last] = chance.choice(PIECES) * (last - first)
    else:
        content[8 * first : 8 * last] = b"".join(chance.choices(PIECES, k=last - first))
    return field.wire[: len(field.wire) - len(content)] + bytes(content)


def _dropped(chance: Random, field: Field) -> bytes:
    return b""


def _doubled(chance: Random, field: Field) -> bytes:
    return field.wire * chance.choice([2, 3, 20])


def _lied(chance: Random, field: Field) -> bytes:
    size = len(field.content)
    told = chance.choice([max(size + chance.randint(-9, 9), 0), *COUNTS])
    return varint(field.number << 3 | DELIMITED) + varint(told) + field.content


def _overlong(chance: Random, field: Field) -> bytes:
    if field.kind != DELIMITED:
        return varint(field.number << 3 | field.kind, chance.randint(1, 6)) + field.content
    size = varint(len(field.content), chance.randint(1, 11))
    return varint(field.number << 3 | DELIMITED, chance.randint(1, 5)) + size + field.content


def _counted(chance: Random, field: Field) -> bytes:
    return varint(field.number << 3) + varint(chance.choice(COUNTS))


def _elsewhere(chance: Random, field: Field) -> bytes:
    number = chance.choice([*range(1, 18), 0, 100, 2**29 - 1])
    return varint(number << 3 | field.kind) + field.wire[len(varint(field.number << 3)) :]


def _retyped(chance: Random, field: Field) -> bytes:
    return varint(field.number << 3 | chance.randrange(8)) + field.content


def _unpacked(chance: Random, field: Field) -> bytes:
    tag = varint(field.number << 3 | FIXED64)
    pieces = (field.content[at : at + 8] for at in range(0, len(field.content), 8))
    return b"".join(tag + piece for piece in pieces)


def _split(chance: Random, field: Field) -> bytes:
    cut = chance.randrange(len(field.content) + 1)
    cut -= cut % 8 if chance.random() < 0.7 else 0
    first, second = field.content[:cut], field.content[cut:]
    return delimited(field.number, first) + delimited(field.number, second)


def _resized(chance: Random, field: Field) -> bytes:
    more = chance.choice(PIECES) * chance.choice([1, 3])
    sizes = [0, 1, len(field.content) - 8, len(field.content) - 4, len(field.content) // 2]
    content = field.content[: max(chance.choice(sizes), 0)]
    return delimited(field.number, chance.choice([content, field.content + more]))


def _named(chance: Random, field: Field) -> bytes:
    return delimited(field.number, chance.choice(TEXTS))


def _nested(chance: Random, field: Field) -> bytes:
    content = field.wire
    for _ in range(chance.choice([1, 2, 50, 120])):
        content = delimited(field.number, content)
    return content


def _beside(chance: Random, field: Field) -> bytes:
    return chance.choice([field.wire + unknown(chance), unknown(chance) + field.wire])


def unknown(chance: Random) -> bytes:
    """Return a field that nobody knows: of any type, or groups in groups, closed or not."""
    number = chance.choice([19, 100, 2047, 18_999, 2**29 - 1])
    if chance.random() < 0.5:
        depth = chance.choice([1, 2, 60, 99, 101, 300])
        closed = depth if chance.random() < 0.8 else depth - 1
        inner = delimited(number, b"abc")
        return varint(number << 3 | GROUP) * depth + inner + varint(number << 3 | END) * closed
    kind = chance.choice([VARINT, FIXED64, DELIMITED, FIXED32, 6, 7])
    size = {VARINT: 1, FIXED64: 8, FIXED32: 4}.get(kind, 0)
    return varint(number << 3 | kind) + (b"\1" * size or delimited(1, b"")[1:])


CHANGES: dict[str, list[Change]] = {
    "message": [_nested, _doubled, _dropped, _lied],
    "text": [_named, _named, _doubled, _lied],
    "raw": [wild, wild, _resized, _split, _lied],
    "numbers": [wild, wild, _unpacked, _split, _resized],
    "count": [_counted],
    "any": [_dropped, _doubled, _lied, _overlong, _elsewhere, _retyped, _beside, _resized],
}


def damaged(chance: Random, wire: bytes, other: bytes) -> bytes:
    """Return bytes changed without regard to structure; `other` is spliced in at times."""
    body = bytearray(wire)
    if not body:
        return chance.randbytes(chance.randrange(64))
    at = chance.randrange(len(body))
    match chance.randrange(8):
        case 0 | 1 | 2:
            for _ in range(chance.choice([1, 1, 2, 8])):
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        case 3:
            del body[at:]
        case 4:
            body[at:at] = chance.randbytes(chance.choice([1, 2, 9]))
        case 5:
            del body[at : at + chance.choice([1, 2, 8])]
        case 6:
            body[at:] = other[chance.randrange(len(other) + 1) :]
        case 7:
            body += chance.choice([unknown(chance), chance.randbytes(12), other])
    return bytes(body)
