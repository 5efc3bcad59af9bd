"""PredictStream: prompts of any shape, answered one after another in the order they came."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator

import grpc

from model.refusal import Refusal
from service import codec, errors
from service.call import Call
from service.call_log import CallLog
from service.core import Predictor
from service.quotas import Purse
from service.trace_context import trace_id_of
from sonoba.v1 import predictor_pb2 as pb

log = logging.getLogger("sonoba")

UNANSWERED_MAX = 64  # prompts read ahead of a stream; then the transport slows the caller down
LOOK_UP_SECONDS = 0.5  # how often an idle stream looks whether the server drains
_END = None


class Streams:
    """The open streams of a server: how many, how old, and whether they may go on."""

    def __init__(
        self,
        predictor: Predictor,
        max_streams: int,
        stream_seconds: float,
        prompt_seconds: float,
        admit: errors.Admit | None = None,
        told: CallLog | None = None,
        count: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Take what answers and how much of it; `count` is told why a stream was refused."""
        self._predictor, self._admit, self._count = predictor, admit, count
        self._told = told or CallLog("PredictStream")
        self._free = threading.Semaphore(max_streams)
        self._max_streams = max_streams
        self._stream_seconds = stream_seconds
        self._prompt_seconds = prompt_seconds
        self._draining = threading.Event()

    def drain(self) -> None:
        """End every open stream with OK after the prompt at hand."""
        self._draining.set()

    def predict_stream(
        self, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Answer the prompts of one stream until the caller, its age or the drain ends it."""
        whose = self._admitted(context)
        if not self._free.acquire(blocking=False):
            sentence = f"expected at most {self._max_streams} open streams, got one more"
            self._abort(context, Refusal("OVERLOADED", "", sentence))
        try:
            waiting: queue.Queue[bytes | None] = queue.Queue(UNANSWERED_MAX)
            threading.Thread(target=_read, args=(requests, waiting), daemon=True).start()
            yield from self._answers(waiting, whose, context)
        finally:
            self._free.release()

    def _admitted(self, context: grpc.ServicerContext) -> Call:
        """Return whose prompts a stream brings, where that is asked; its metadata hold for all."""
        call = Call(0.0)
        if self._admit is not None:
            try:
                self._admit(context, call)
            except Refusal as refusal:
                self._abort(context, refusal)
        return call

    def _abort(self, context: grpc.ServicerContext, refusal: Refusal) -> None:
        """End a stream with a refusal; this raises."""
        call, trace_id = Call(0.0), trace_id_of(context)
        self._log(call, b"", context, refusal)
        self._count(refusal.reason)
        context.abort_with_status(errors.ending(refusal, call.request_id, trace_id))

    def _log(
        self, call: Call, wire: bytes, context: grpc.ServicerContext | None, refusal: Refusal
    ) -> None:
        code = errors.STATUS[refusal.reason].name
        self._told.refused(call, wire, context, refusal.reason, code)

    def _answers(
        self, waiting: "queue.Queue[bytes | None]", whose: Call, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        ends = time.monotonic() + self._stream_seconds
        while not self._draining.is_set():
            left = ends - time.monotonic()
            if left <= 0:
                return
            try:
                wire = waiting.get(timeout=min(left, LOOK_UP_SECONDS))
            except queue.Empty:
                continue
            if wire is _END:
                return
            yield self.answer(wire, whose.caller, context, whose.purse)

    def answer(
        self,
        wire: bytes,
        caller: str = "",
        context: grpc.ServicerContext | None = None,
        purse: Purse | None = None,
    ) -> bytes:
        """Answer one message of a stream, a call of its own; a refusal answers it too."""
        call = Call(self._prompt_seconds)
        call.caller, call.purse = caller, purse
        response = pb.PredictStreamResponse()
        try:
            message = codec.parse(pb.PredictStreamRequest, wire)
            response.sequence = message.sequence
            if purse is not None:
                purse.take_call()
            inner = codec.payload(wire, 2) if message.ByteSize() != len(wire) else b""
            inner = inner or message.request.SerializeToString()
            response.response.ParseFromString(self._predictor.predict(inner, call))
            if (seconds := time.monotonic() - call.begun) >= self._told.least_seconds:
                self._told.answered(call, wire, context, seconds)
        except Refusal as refusal:
            self._log(call, wire, context, refusal)
            _fail(response, refusal)
        except Exception:
            bug = errors.internal(call.request_id)
            self._log(call, wire, context, bug)
            _fail(response, bug)
        return response.SerializeToString()


def _read(requests: Iterator[bytes], waiting: "queue.Queue[bytes | None]") -> None:
    """Move what the caller sends into the queue until either side ends the stream."""
    try:
        for wire in requests:
            waiting.put(wire)
    except Exception as error:  # the transport's way to say that the call is over
        log.debug("a stream ended: %s", type(error).__name__)
    waiting.put(_END)


def _fail(response: pb.PredictStreamResponse, refusal: Refusal) -> None:
    response.error.code = errors.code_of(refusal)
    response.error.reason = refusal.reason
    response.error.message = str(refusal)
    response.error.field = refusal.field
