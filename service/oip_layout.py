"""Requests laid out like one that was asked before: bytes are moved, and nothing is parsed.

What a ModelInfer says outside its numbers, its id and its group decides what our contract's request
is outside of these. So of the next one that equals it there, they are put into our request as it
was; and the numbers of the reply into the response, if the reply equals the one before outside its
numbers and its id. Why that is sound: docs/adr/0010. Whether a model answers, and which, is the
core's to say at every call.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter

from service.by_length import SAME_LENGTH_KEPT, ByLength
from service.oip_messages import InferRequest
from service.oip_request import PREDICTION, Question
from service.wire import fields

LARGEST_FRAME_BYTES = 8192
ID, RAW_INPUTS, RAW_OUTPUTS = 3, 7, 6  # of a ModelInferRequest and a ModelInferResponse
PARAMETERS, STRING = 4, 3  # of a ModelInferRequest and an InferParameter
GROUP_ID = 8  # of a PredictRequest
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
    """One request of the protocol, and all that differ from it in numbers, id and group only."""

    def __init__(
        self, asked: Question, ours: Template, ids: Sequence[Span], groups: Sequence[Span]
    ) -> None:
        """Take what is asked, how our request is made, and where an id and a group stand if any."""
        self.asked, self.ours = asked, ours
        self._id, self._group = (spans[0] if spans else slice(0, 0) for spans in (ids, groups))
        self._replies: dict[int, Template] = {}

    def id_of(self, wire: bytes) -> str:
        """Return the id of a request; `UnicodeDecodeError` where it or the group is no text."""
        wire[self._group].decode()
        return wire[self._id].decode()

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


class Layouts(ByLength[Layout]):
    """The layouts seen lately; bounded, and safe to use from many threads."""

    def of(self, wire: bytes) -> tuple[Layout, bytes] | None:
        """Return the layout of a request, and what it asks in our contract; None if it is new."""
        for layout in self.by_length.get(len(wire), ()):
            ours = layout.ours(wire)
            if ours is not None:
                return layout, ours
        return None

    def learn(self, wire: bytes, request: InferRequest, asked: Question) -> None:
        """Keep the layout of an answered request, the second time one of this length comes.

        Only of raw numbers of one prompt of which nothing but predictions is wanted.
        """
        if not asked.is_raw or asked.prompt_count or asked.outputs != (PREDICTION,):
            return

        def made() -> Layout | None:
            layout = _layout(wire, request, asked)
            return layout if layout and layout.ours.frame_bytes <= LARGEST_FRAME_BYTES else None

        self._learn(len(wire), made)


def _layout(wire: bytes, request: InferRequest, asked: Question) -> Layout | None:
    """Return the layout of a request; None of one that is not laid out plainly."""
    raws, ids, groups = _spans(wire, RAW_INPUTS), _spans(wire, ID), _groups(wire)
    end = max((one.stop for one in fields(wire)), default=0)  # a group hides what is behind it
    if end != len(wire) or len(raws) != len(request.inputs) or max(len(ids), len(groups)) > 1:
        return None
    if b"".join(wire[span] for span in ids) != request.id.encode():
        return None
    by_name = {tensor.name: span for tensor, span in zip(request.inputs, raws, strict=True)}
    moved = [(by_name[name], span) for name, span in _numbers(asked.wire).items()]
    named = _spans(asked.wire, GROUP_ID)
    moved += zip(groups, named, strict=False)
    if len(groups) != len(named) or any(wire[a] != asked.wire[b] for a, b in moved):
        return None
    moved.sort(key=lambda pair: pair[1].start)
    return Layout(asked._replace(wire=b""), Template(wire, asked.wire, moved, ids), ids, groups)


def _groups(wire: bytes) -> list[Span]:
    """Return where the groups stand that the parameters of a request name."""
    named = [span for span in _spans(wire, PARAMETERS) if _is_group(wire, span)]
    values = [value for span in named for value in _spans(wire, 2, span)]
    return [text for value in values for text in _spans(wire, STRING, value)]


def _is_group(wire: bytes, parameter: Span) -> bool:
    return any(wire[key] == b"group_id" for key in _spans(wire, 1, parameter))


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
