"""Sums as bytes that travel: what they are, in which format, whole or not.

magic (8) | format version (u16) | body | CRC-32 of all before (u32), little-endian
"""

import struct
import zlib

FORMAT_VERSION = 1
_HEAD, _TAIL = struct.Struct("<8sH"), struct.Struct("<I")


def sealed(magic: bytes, body: bytes) -> bytes:
    """Return the bytes of a body of one kind."""
    told = _HEAD.pack(magic, FORMAT_VERSION) + body
    return told + _TAIL.pack(zlib.crc32(told))


def opened(magic: bytes, data: bytes) -> bytes:
    """Return the body of bytes of one kind; raise ValueError with a sentence where they are not."""
    if len(data) < _HEAD.size + _TAIL.size:
        raise ValueError(
            f"sums: expected at least {_HEAD.size + _TAIL.size} bytes, got {len(data)}"
        )
    kind, version = _HEAD.unpack_from(data)
    if kind != magic:
        raise ValueError(f"sums: expected bytes that begin with {magic!r}, got {kind!r}")
    if version != FORMAT_VERSION:
        raise ValueError(f"sums: expected format version {FORMAT_VERSION}, got {version}")
    told, (checksum,) = data[: -_TAIL.size], _TAIL.unpack(data[-_TAIL.size :])
    if zlib.crc32(told) != checksum:
        raise ValueError("sums: expected whole bytes, got a checksum that is not theirs")
    return told[_HEAD.size :]
