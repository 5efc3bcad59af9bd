"""The conversation of `_stream`, for asyncio: a task reads the prompts ahead."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Protocol, TypeVar

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

Requests = asyncio.Queue[pb.PredictStreamRequest | None]
Item = TypeVar("Item")


class Call(Protocol):
    """One open PredictStream."""

    def __aiter__(self) -> AsyncIterator[pb.PredictStreamResponse]:
        """Return the responses; they stop once the server has ended the call."""

    def cancel(self) -> object:
        """End the call here."""


Open = Callable[[AsyncIterator[pb.PredictStreamRequest]], Call]


class Conversation:
    """Prompts going out and their answers coming back, in order; see `_stream.Conversation`."""

    def __init__(
        self,
        prompts: Iterable[Encoded] | AsyncIterable[Encoded],
        route: Route,
        open_call: Open,
        remaining: Callable[[], float],
    ) -> None:
        self._prompts = prompts
        self._route = route
        self._open_call = open_call
        self._remaining = remaining
        self._changed = asyncio.Condition()
        self._unanswered: deque[tuple[int, Encoded]] = deque()
        self._outgoing: Requests = asyncio.Queue()
        self._all_read = False
        self._failure: Exception | None = None  # of the caller's iterator
        self._call: Call | None = None
        self._is_reopened = False  # and has not answered since

    async def answers(self) -> AsyncGenerator[Answer, None]:
        """Yield the answer to every prompt; raise what ends the stream as a whole."""
        reader = asyncio.create_task(self._read_prompts())
        try:
            while (oldest := await self._oldest()) is not None:
                sequence, prompt = oldest
                answer: Answer
                if isinstance(prompt, SonobaError):
                    answer = prompt
                else:
                    answer = await self._answer(sequence, prompt)
                async with self._changed:
                    self._unanswered.popleft()
                    self._changed.notify_all()
                yield answer
            if self._failure is not None:
                raise self._failure
        finally:
            reader.cancel()
            self._outgoing.put_nowait(None)
            if self._call is not None:
                self._call.cancel()

    async def _read_prompts(self) -> None:
        sequence = 0
        try:
            async for prompt in each(self._prompts):
                async with self._changed:
                    await self._changed.wait_for(lambda: len(self._unanswered) < STREAM_WINDOW)
                    self._unanswered.append((sequence, prompt))
                    self._send(sequence, prompt)
                    self._changed.notify_all()
                sequence += 1
        except Exception as failure:
            self._failure = failure
        async with self._changed:
            self._all_read = True
            self._outgoing.put_nowait(None)
            self._changed.notify_all()

    def _send(self, sequence: int, prompt: Encoded) -> None:
        if isinstance(prompt, EncodedPrompt):
            request = predict_request(prompt, self._route)
            self._outgoing.put_nowait(pb.PredictStreamRequest(sequence=sequence, request=request))

    async def _oldest(self) -> tuple[int, Encoded] | None:
        """Wait for a prompt without an answer; None when there will be no more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._unanswered or self._all_read)
            return self._unanswered[0] if self._unanswered else None

    async def _answer(self, sequence: int, prompt: EncodedPrompt) -> Answer:
        while True:
            call = self._call or self._open()
            error: SonobaError
            try:
                response = await anext(aiter(call))
            except StopAsyncIteration:
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
            await asyncio.sleep(pause)

    def _open(self) -> Call:
        self._outgoing.put_nowait(None)  # lets go of the call before
        self._outgoing = asyncio.Queue()
        for sequence, prompt in self._unanswered:
            self._send(sequence, prompt)
        if self._all_read:
            self._outgoing.put_nowait(None)
        self._call = self._open_call(_until_none(self._outgoing))
        return self._call


async def _until_none(requests: Requests) -> AsyncIterator[pb.PredictStreamRequest]:
    while (request := await requests.get()) is not None:
        yield request


async def each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """Yield the items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def predictions(answers: AsyncGenerator[Answer, None]) -> AsyncGenerator[Prediction, None]:
    """Yield the answers up to the first error, and raise that."""
    async with aclosing(answers):
        async for answer in answers:
            if isinstance(answer, SonobaError):
                raise answer
            yield answer
