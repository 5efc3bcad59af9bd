"""A conversation with PredictStream over as many calls as it takes.

The server ends a call after 240 s, or when it leaves. What was sent and not answered is then sent
again: a prediction is idempotent. Prompts are read ahead in a thread, so that the caller's iterator
may wait for the world without holding back an answer.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from queue import SimpleQueue
from typing import Protocol

import grpc

from sonoba._calls import STREAM_WINDOW, Route, reopening_pause
from sonoba._replies import stream_answer
from sonoba._requests import predict_request
from sonoba._status import call_error
from sonoba.batch import Answer, Encoded
from sonoba.errors import SonobaError, Unavailable
from sonoba.prediction import Prediction
from sonoba.prompt import EncodedPrompt
from sonoba.v1 import predictor_pb2 as pb


class Call(Protocol):
    """One open PredictStream."""

    def __next__(self) -> pb.PredictStreamResponse:
        """Return the next response; StopIteration once the server has ended the call."""

    def cancel(self) -> object:
        """End the call here."""


Open = Callable[[Iterator[pb.PredictStreamRequest]], Call]


class Conversation:
    """Prompts going out and their answers coming back, in order.

    `open_call` begins a PredictStream; `remaining` tells how many seconds the caller still waits.
    """

    def __init__(
        self,
        prompts: Iterable[Encoded],
        route: Route,
        open_call: Open,
        remaining: Callable[[], float],
    ) -> None:
        self._prompts = prompts
        self._route = route
        self._open_call = open_call
        self._remaining = remaining
        self._changed = threading.Condition()  # guards the four below
        self._unanswered: deque[tuple[int, Encoded]] = deque()
        self._outgoing: SimpleQueue[pb.PredictStreamRequest | None] = SimpleQueue()
        self._all_read = False
        self._is_over = False
        self._failure: Exception | None = None  # of the caller's iterator
        self._call: Call | None = None
        self._is_reopened = False  # and has not answered since

    def answers(self) -> Generator[Answer, None, None]:
        """Yield the answer to every prompt; raise what ends the stream as a whole."""
        threading.Thread(target=self._read_prompts, name="sonoba-stream", daemon=True).start()
        try:
            while (oldest := self._oldest()) is not None:
                sequence, prompt = oldest
                answer = (
                    prompt if isinstance(prompt, SonobaError) else self._answer(sequence, prompt)
                )
                with self._changed:
                    self._unanswered.popleft()
                    self._changed.notify_all()
                yield answer
            if self._failure is not None:
                raise self._failure
        finally:
            self._close()

    def _read_prompts(self) -> None:
        try:
            for sequence, prompt in enumerate(self._prompts):
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._is_over or len(self._unanswered) < STREAM_WINDOW
                    )
                    if self._is_over:
                        return
                    self._unanswered.append((sequence, prompt))
                    self._send(sequence, prompt)
                    self._changed.notify_all()
        except Exception as failure:
            self._failure = failure
        finally:
            with self._changed:
                self._all_read = True
                self._outgoing.put(None)
                self._changed.notify_all()

    def _send(self, sequence: int, prompt: Encoded) -> None:
        if isinstance(prompt, EncodedPrompt):
            request = predict_request(prompt, self._route)
            self._outgoing.put(pb.PredictStreamRequest(sequence=sequence, request=request))

    def _oldest(self) -> tuple[int, Encoded] | None:
        """Wait for a prompt without an answer; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._unanswered or self._all_read)
            return self._unanswered[0] if self._unanswered else None

    def _answer(self, sequence: int, prompt: EncodedPrompt) -> Answer:
        while True:
            call = self._call or self._open()
            error: SonobaError
            try:
                response = next(call)
            except StopIteration:
                error = Unavailable(f"the stream ended before prompt {sequence} was answered")
            except grpc.RpcError as failure:
                error = call_error(failure)
            else:
                self._is_reopened = False
                return stream_answer(response, sequence, prompt)
            pause = None if self._is_reopened else reopening_pause(error, self._remaining())
            if pause is None:
                raise error
            self._call, self._is_reopened = None, True
            time.sleep(pause)

    def _open(self) -> Call:
        with self._changed:
            self._outgoing.put(None)  # lets go of the call before
            self._outgoing = SimpleQueue()
            for sequence, prompt in self._unanswered:
                self._send(sequence, prompt)
            if self._all_read:
                self._outgoing.put(None)
            self._call = self._open_call(iter(self._outgoing.get, None))
        return self._call

    def _close(self) -> None:
        with self._changed:
            self._is_over = True
            self._outgoing.put(None)
            self._changed.notify_all()
        if self._call is not None:
            self._call.cancel()


def predictions(answers: Generator[Answer, None, None]) -> Generator[Prediction, None, None]:
    """Yield the answers up to the first error, and raise that."""
    with closing(answers):
        for answer in answers:
            if isinstance(answer, SonobaError):
                raise answer
            yield answer
