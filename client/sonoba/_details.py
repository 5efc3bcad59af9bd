"""The details of a failed call, read from its trailer without google.rpc.

A second generated copy of google.rpc collides with a server's in the same process, and the public
package of these messages demands a newer protobuf than this client does: hence forty own lines.
Field numbers are those of google/rpc/status.proto and google/rpc/error_details.proto.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

TRAILER = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Details:
    """What the trailer says beyond code and sentence; empty where it says nothing."""

    reason: str = ""
    field: str = ""
    request_id: str = ""
    retry_after: float | None = None  # seconds


def read(trailer: Iterable[tuple[str, str | bytes]]) -> Details:
    """Return the details in a call's trailing metadata; damaged ones count as absent."""
    wire = next((value for key, value in trailer if key == TRAILER), b"")
    try:
        packed = _Message(wire if isinstance(wire, bytes) else wire.encode()).messages(3)
        kinds = {any_.text(1).rpartition(".")[2]: any_.message(2) for any_ in packed}
        return _details(kinds)
    except (IndexError, KeyError, TypeError, ValueError):
        return Details()


def _details(kinds: dict[str, "_Message"]) -> Details:
    nothing = _Message(b"")
    info = kinds.get("ErrorInfo", nothing)
    metadata = {entry.text(1): entry.text(2) for entry in info.messages(3)}
    request = kinds.get("BadRequest", nothing).message(1)
    precondition = kinds.get("PreconditionFailure", nothing).message(1)
    resource = kinds.get("ResourceInfo", nothing)
    retry = kinds.get("RetryInfo")
    return Details(
        reason=info.text(1),
        field=request.text(1) or precondition.text(2) or resource.text(2),
        request_id=metadata.get("request_id", ""),
        retry_after=None if retry is None else retry.message(1).seconds(),
    )


class _Message:
    """One protobuf message, its fields by number and not yet understood."""

    def __init__(self, wire: bytes) -> None:
        self._fields: defaultdict[int, list[int | bytes]] = defaultdict(list)
        at = 0
        while at < len(wire):
            key, at = _varint(wire, at)
            value: int | bytes
            if key & 7 == 0:
                value, at = _varint(wire, at)
            else:
                size, at = _varint(wire, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
                value, at = wire[at : at + size], at + size
            self._fields[key >> 3].append(value)
        if at > len(wire):
            raise ValueError("truncated message")

    def messages(self, number: int) -> list["_Message"]:
        return [_Message(value) for value in self._fields[number] if isinstance(value, bytes)]

    def message(self, number: int) -> "_Message":
        return next(iter(self.messages(number)), _Message(b""))

    def text(self, number: int) -> str:
        return b"".join(v for v in self._fields[number][-1:] if isinstance(v, bytes)).decode()

    def seconds(self) -> float:
        """Return this google.protobuf.Duration in seconds."""
        whole, nanos = (sum(v for v in self._fields[n] if isinstance(v, int)) for n in (1, 2))
        return whole + nanos / 1e9


def _varint(wire: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = wire[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
