"""HTTP/2 by hand (RFC 9113, 7541), for clients as no library makes them: slow, silent, huge."""

import socket
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, CONTINUATION = 0x0, 0x1, 0x4, 0x9
END_STREAM, END_HEADERS = 0x1, 0x4
FRAME_BYTES_MAX = 16_384
Header = tuple[str, str]


def connect(port: int) -> socket.socket:
    """Return a connection that has said nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes((kind, flags))
        + struct.pack(">I", stream)
        + payload
    )


def greeting() -> bytes:
    """Return what a client says first."""
    return PREFACE + frame(SETTINGS, 0, 0)


def headers(path: str, more: Iterable[Header] = ()) -> bytes:
    """Return the headers of a gRPC call on stream 1, its body still to come."""
    fields = [
        *((":method", "POST"), (":scheme", "http"), (":path", path)),
        *((":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")),
        *more,
    ]
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)
    parts = [block[i : i + FRAME_BYTES_MAX] for i in range(0, len(block), FRAME_BYTES_MAX)]
    frames = [
        frame(CONTINUATION if i else HEADERS, END_HEADERS if i == len(parts) - 1 else 0, 1, part)
        for i, part in enumerate(parts)
    ]
    return b"".join(frames)


def _text(text: str) -> bytes:
    """Return a literal of HPACK, its length in 7 bits and more."""
    raw, length = text.encode(), len(text)
    if length < 127:
        return bytes((length,)) + raw
    found, rest = bytearray((127,)), length - 127
    while rest >= 128:
        found.append(rest % 128 + 128)
        rest //= 128
    return bytes((*found, rest)) + raw
