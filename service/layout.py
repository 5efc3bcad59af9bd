"""Requests laid out like one that was read before: only their numbers are looked at.

A system asks again and again with other numbers in the same places. What stands in a
length-delimited field has no bearing on how the bytes around it parse, so a request that equals an
accepted one in every byte outside its numbers and ids has the same counts, columns, options and
model; those were checked, and its numbers are where the other's were (docs/adr/0010).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.prompt import Block, Examples
from model.support import Wanted
from service import codec
from service.by_length import ByLength
from service.call import Call
from service.slot import Served, Slots
from service.wire import Field, fields
from sonoba.v1 import predictor_pb2 as pb

Array = NDArray[np.float64]

LARGEST_FRAME_BYTES = 8192  # of what is kept of one request, names included
COLUMNS, GROUP_ID, REQUEST_ID = 6, 8, 10  # fields of PredictRequest; ids change with every call


class Asked(NamedTuple):
    """What a request asks of which model, checked."""

    artifact: Served
    block: Block
    evidence: str
    is_fallback_forbidden: bool
    wanted: Wanted | None = None  # beside the predictions
    wants_shift: bool = False  # how far the prompt lies from the reference
    order: list[int] | None = None  # of the features as sent, where wanted and not the model's
    fills_gaps: bool = False


Straight: TypeAlias = Callable[[bytes, Call], bytes | None]
"""Answers a request of one layout; None where it must go the whole way (service/straight.py)."""


class _Place(NamedTuple):
    """Where an array stands on the wire."""

    span: slice
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def read(self, wires: Sequence[bytes]) -> Array:
        """Return the arrays of some requests, one prompt each, as one."""
        values = np.frombuffer(b"".join([wire[self.span] for wire in wires]), self.dtype)
        return values.astype(np.float64, copy=False).reshape(len(wires), *self.shape[1:])

    @property
    def single(self) -> tuple[slice, np.dtype[Any], tuple[int, ...]]:
        """The same of the one prompt alone: without the first axis."""
        return self.span, self.dtype, self.shape[1:]


@dataclass(frozen=True, slots=True)
class Layout:
    """The frame of a request: what stands around its numbers and ids, and where they are."""

    model: str
    version: str
    frame: tuple[tuple[slice, bytes], ...]
    x: _Place  # (1, M, d)
    y: _Place  # (1, M)
    queries: _Place  # (1, Q, d)
    group_id: slice
    request_id: slice
    positions: list[int] | None
    asked: Asked  # of the request it was learnt from, without its numbers
    contents: tuple[bytes, ...]  # of the frame
    cut: Callable[[bytes], tuple[bytes, ...]]  # the same of another request of this length
    size: int  # bytes
    straight: Straight | None = None

    @property
    def has_ids(self) -> bool:
        """Whether requests bring a group or an id of their own."""
        return bool(self.group_id.stop or self.request_id.stop)

    def fits(self, wire: bytes) -> bool:
        """Return whether a request of this length has this layout."""
        return self.cut(wire) == self.contents

    def take_ids(self, wire: bytes, call: Call) -> bool:
        """Name a call as its request does; False where an id is no text, as a parser says."""
        try:
            wire[self.group_id].decode()
            request_id = wire[self.request_id].decode()
        except UnicodeDecodeError:
            return False
        call.name(request_id)
        return True

    def block(self, wires: Sequence[bytes]) -> Block:
        """Return the prompts of requests that fit."""
        x, queries = self.x.read(wires), self.queries.read(wires)  # (B, M, d), (B, Q, d)
        if self.positions is not None:
            x, queries = x.take(self.positions, 2), queries.take(self.positions, 2)
        return Block(Examples(x, self.y.read(wires)), queries, self.asked.block.names)

    def read(self, wire: bytes) -> Asked:
        """Return what a request that fits asks."""
        artifact, _, evidence, is_forbidden, wanted, shift, order, fills_gaps = self.asked
        block = self.block((wire,))
        return Asked(artifact, block, evidence, is_forbidden, wanted, shift, order, fills_gaps)


class Layouts(ByLength[Layout]):
    """The layouts seen lately; bounded, and safe to use from many threads."""

    def __init__(self, way: Callable[[Layout], Straight | None]) -> None:
        """Take what finds the straight way of a layout."""
        super().__init__()
        self._way = way

    def read(self, layout: Layout, wire: bytes, slots: Slots, call: Call) -> Asked | None:
        """Return what a request of a layout asks; None where that is to be found out anew."""
        if slots.find(layout.model, layout.version) is not layout.asked.artifact:
            return None
        return layout.read(wire) if layout.take_ids(wire, call) else None

    def learn(self, wire: bytes, request: pb.PredictRequest, asked: Asked) -> None:
        """Keep the layout of an accepted request, the second time one of this length comes."""

        def made() -> Layout | None:
            layout = _layout(wire, request, asked)
            return layout and replace(layout, straight=self._way(layout))

        self._learn(len(wire), made, lambda one, other: one.frame == other.frame)

    def forget(self, model: str) -> None:
        """Let go of what was learnt of a model, and so of the version that it was learnt of."""
        self._forget(lambda one: one.asked.artifact.name == model)


def _layout(wire: bytes, request: pb.PredictRequest, asked: Asked) -> Layout | None:
    """Return the layout of an accepted request; None for one that is not laid out plainly."""
    top = _once(wire, 0, len(wire))
    if top is None or 3 not in top or 5 not in top:
        return None
    examples = _once(wire, top[3].start, top[3].stop)
    if examples is None or len(examples) != 2:
        return None
    message = request.examples
    x = _matrix_place(wire, examples[1], message.features)
    y = _vector_place(wire, examples[2], message.labels, message.features.row_count)
    queries = _matrix_place(wire, top[5], request.queries)
    if x is None or y is None or queries is None:
        return None
    ids = _content(top.get(GROUP_ID)), _content(top.get(REQUEST_ID))
    frame = tuple(_frame(wire, (x.span, y.span, queries.span, *ids)))
    if sum(len(content) for _, content in frame) > LARGEST_FRAME_BYTES:
        return None
    names = tuple(request.columns)
    positions = asked.artifact.schema.positions(names)
    block = asked.block._replace(context=Examples(np.empty((1, 0, 0)), np.empty((1, 0))))
    asked = asked._replace(block=block._replace(queries=np.empty((1, 0, 0))))
    model = (request.model, request.model_version)
    contents, cut = tuple(content for _, content in frame), _cut(frame, len(wire))
    return Layout(*model, frame, x, y, queries, *ids, positions, asked, contents, cut, len(wire))


def _cut(frame: Sequence[tuple[slice, bytes]], size: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return what takes the frame out of a request in one step, whatever number of parts it has."""
    at, parts = 0, "<"
    for place, content in frame:
        parts += f"{place.start - at}x{len(content)}s"
        at = place.stop
    return struct.Struct(f"{parts}{size - at}x").unpack


def _once(wire: bytes, start: int, stop: int) -> dict[int, Field] | None:
    """Return the fields of wire[start:stop] by number.

    None where one stands twice (names may) or where they end before the message does: what a
    parser makes of the rest is not to be seen here.
    """
    by_number: dict[int, Field] = {}
    end = start
    for field in fields(wire, start, stop):
        if field.number in by_number and field.number != COLUMNS:
            return None
        by_number[field.number] = field
        end = field.stop
    return by_number if end == stop else None


def _matrix_place(wire: bytes, field: Field, message: pb.Matrix) -> _Place | None:
    shape = (1, message.row_count, message.column_count)
    return _place(wire, field, (3, 4), message.data_type if message.raw else 0, shape)


def _vector_place(wire: bytes, field: Field, message: pb.Vector, size: int) -> _Place | None:
    return _place(wire, field, (1, 2), message.data_type if message.raw else 0, (1, size))


def _place(
    wire: bytes, field: Field, numbers: tuple[int, int], data_type: int, shape: tuple[int, ...]
) -> _Place | None:
    """Return where the numbers stand; None unless they are in one piece."""
    parts = _once(wire, field.start, field.stop)
    found = [parts[number] for number in numbers if number in parts] if parts else []
    dtype = codec.DTYPES[data_type]
    if len(found) != 1 or found[0].size != np.prod(shape) * dtype.itemsize:
        return None
    return _Place(_content(found[0]), dtype, shape)


def _content(field: Field | None) -> slice:
    return slice(field.start, field.stop) if field else slice(0, 0)


def _frame(wire: bytes, holes: Iterable[slice]) -> Iterator[tuple[slice, bytes]]:
    """Yield what stands between the holes of a request, and where."""
    at = 0
    for hole in sorted((hole.start, hole.stop) for hole in holes):
        if hole[0] > at:
            yield slice(at, hole[0]), wire[at : hole[0]]
        at = max(at, hole[1])
    if at < len(wire):
        yield slice(at, len(wire)), wire[at:]
