"""Requests laid out like one that was asked before: bytes are moved, and nothing is parsed.

What a ModelInfer says outside its numbers and its id decides what our contract's request is outside
its numbers. So of the next one that equals it there, the numbers are put into our request as it
was; and the numbers of the reply into the response, if the reply equals the one before outside its
numbers and its id. Why that is sound: docs/adr/0010. Whether a model answers, and which, is the
core's to say at every call.
"""

import threading
from collections.abc import Callable, Sequence
from operator import itemgetter

from service.oip_messages import InferRequest
from service.oip_request import PREDICTION, Question
from service.wire import fields

LENGTHS_KEPT, SAME_LENGTH_KEPT, LENGTHS_SEEN_KEPT = 64, 4, 4096
LARGEST_FRAME_BYTES = 8192
ID, RAW_INPUTS, RAW_OUTPUTS = 3, 7, 6  # of a ModelInferRequest and a ModelInferResponse
PREDICTIONS, REQUEST_ID = 1, 10  # of a PredictResponse
Span = slice
Cut = Callable[[bytes], tuple[bytes, ...] | bytes]


class Template:
    """Makes a message of another by putting parts of it in their places."""

    def __init__(
        self,
        source: bytes,
        target: bytes,
        moved: Sequence[tuple[Span, Span]],
        left: Sequence[Span] = (),
    ) -> None:
        """Take a pair of messages, which parts go where, and which else of the source may vary."""
        holes = sorted((span.start, span.stop) for span in (*(one for one, _ in moved), *left))
        self._cut, self._take = _around(holes, len(source)), itemgetter(*(one for one, _ in moved))
        self._frame = self._cut(source)
        self.frame_bytes = len(source) - sum(stop - start for start, stop in holes)
        ends = [0, *(at for _, to in moved for at in (to.start, to.stop)), len(target)]
        between = [target[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)]
        self._pattern = b"%b".join(part.replace(b"%", b"%%") for part in between)

    def __call__(self, source: bytes) -> bytes | None:
        """Return the message made of another source of this length; None where it differs."""
        if self._cut(source) != self._frame:
            return None
        made: bytes = self._pattern % self._take(source)
        return made


def _around(holes: Sequence[tuple[int, int]], size: int) -> Cut:
    """Return what takes the pieces of a message around its holes."""
    ends = [0, *(at for hole in holes for at in hole), size]
    return itemgetter(*(slice(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)))


class Layout:
    """One request of the protocol, and all that differ from it in numbers and id only."""

    def __init__(self, asked: Question, id_span: Span, ours: Template) -> None:
        self.asked, self.ours = asked, ours
        self._id_span, self._replies = id_span, dict[int, Template]()

    def id_of(self, wire: bytes) -> str:
        """Return the id of a request; `UnicodeDecodeError` of one that is no text."""
        return wire[self._id_span].decode()

    def response(self, reply: bytes) -> bytes | None:
        """Return the response of a reply like one before; None where there was none."""
        known = self._replies.get(len(reply))
        return None if known is None else known(reply)

    def learn(self, reply: bytes, response: bytes) -> None:
        """Keep how a reply became a response."""
        template = _replied(reply, response)
        if template is not None and template.frame_bytes <= LARGEST_FRAME_BYTES:
            kept = self._replies if len(self._replies) < SAME_LENGTH_KEPT else {}
            self._replies = {**kept, len(reply): template}


class Layouts:
    """The layouts seen lately; bounded, and safe to use from many threads."""

    def __init__(self) -> None:
        self._by_length: dict[int, tuple[Layout, ...]] = {}
        self._seen: set[int] = set()
        self._lock = threading.Lock()

    def of(self, wire: bytes) -> tuple[Layout, bytes] | None:
        """Return the layout of a request, and what it asks in our contract; None if it is new."""
        for layout in self._by_length.get(len(wire), ()):
            ours = layout.ours(wire)
            if ours is not None:
                return layout, ours
        return None

    def learn(self, wire: bytes, request: InferRequest, asked: Question) -> None:
        """Keep the layout of an answered request, the second time one of this length comes."""
        with self._lock:
            if len(wire) not in self._seen:
                if len(self._seen) >= LENGTHS_SEEN_KEPT:
                    self._seen.clear()
                return self._seen.add(len(wire))
            layout = _layout(wire, request, asked)
            if layout is None or layout.ours.frame_bytes > LARGEST_FRAME_BYTES:
                return None
            kept = self._by_length if len(self._by_length) < LENGTHS_KEPT else {}
            others = kept.get(len(wire), ())
            self._by_length = {**kept, len(wire): (layout, *others)[:SAME_LENGTH_KEPT]}
            return None


def _layout(wire: bytes, request: InferRequest, asked: Question) -> Layout | None:
    """Return the layout of a request; None of one whose like would seldom come, or is not plain."""
    is_plain = asked.is_raw and not asked.prompt_count and asked.outputs == (PREDICTION,)
    found, ids = _spans(wire, RAW_INPUTS), _spans(wire, ID)
    end = max((one.stop for one in fields(wire)), default=0)
    if not is_plain or len(ids) > 1 or end != len(wire):  # a group hides what is behind it
        return None
    raws, names = ([wire[span] for span in spans] for spans in (found, ids))
    if raws != list(request.raw_input_contents) or b"".join(names) != request.id.encode():
        return None
    by_name = {tensor.name: span for tensor, span in zip(request.inputs, found, strict=True)}
    moved = [(by_name[name], span) for name, span in _numbers(asked.wire).items()]
    if any(wire[source] != asked.wire[target] for source, target in moved):
        return None
    moved.sort(key=lambda pair: pair[1].start)
    ours = Template(wire, asked.wire, moved, ids)
    return Layout(asked._replace(wire=b""), ids[0] if ids else slice(0, 0), ours)


def _numbers(ours: bytes) -> dict[str, Span]:
    """Return where the numbers stand in a PredictRequest that `oip_request` has written."""
    (examples,), (queries,) = _spans(ours, 3), _spans(ours, 5)
    (features,), (labels,) = _spans(ours, 1, examples), _spans(ours, 2, examples)
    (x,), (y,), (query,) = (
        _spans(ours, 4, features),
        _spans(ours, 2, labels),
        _spans(ours, 4, queries),
    )
    return {"x": x, "y": y, "query": query}


def _replied(reply: bytes, response: bytes) -> Template | None:
    """Return how a PredictResponse becomes a ModelInferResponse; None of one not laid out so."""
    predictions, names = _spans(reply, PREDICTIONS), _spans(reply, REQUEST_ID)
    numbers, ids = _spans(response, RAW_OUTPUTS), _spans(response, ID)
    if not len(predictions) == len(names) == len(numbers) == 1 or len(ids) > 1:
        return None
    moved = [*zip(predictions, numbers, strict=True), *((names[0], one) for one in ids)]
    if any(reply[source] != response[target] for source, target in moved):
        return None
    moved.sort(key=lambda pair: pair[1].start)
    return Template(reply, response, moved, () if ids else names)


def _spans(wire: bytes, number: int, within: Span | None = None) -> list[Span]:
    """Return where the contents of a field stand, in order."""
    ends = (0, None) if within is None else (within.start, within.stop)
    return [slice(one.start, one.stop) for one in fields(wire, *ends) if one.number == number]
