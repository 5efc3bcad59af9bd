"""The client for asyncio: the methods of `sonoba.Client`, awaited."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Literal, overload

from sonoba import _replies
from sonoba._aio_connection import Connection
from sonoba._aio_stream import Call, Conversation, each, predictions
from sonoba._calls import Deadline, Route, seconds_left
from sonoba._examples import encode_examples
from sonoba._requests import batch_request, predict_request, summarize_request
from sonoba._wire import Values
from sonoba.batch import CALLS_IN_FLIGHT, Answer, Encoded, Job, Work, encode_or_error
from sonoba.errors import SonobaError
from sonoba.prediction import Model, Prediction
from sonoba.prompt import EncodedPrompt, Prompt, encode_prompt
from sonoba.summary import Summary
from sonoba.v1 import predictor_pb2 as pb


class Client(Connection):
    """A connection to a sonoba server, for any number of tasks of one event loop.

    Everything is as with `sonoba.Client`, whose methods say more.
    """

    async def predict(
        self,
        examples: Values | None = None,
        labels: Values | None = None,
        queries: Values | None = None,
        *,
        columns: Sequence[str] | None = None,
        summary: Summary | None = None,
        group_id: str = "",
        schema_hash: str = "",
        allow_fallback: bool = True,
        levels: float | Sequence[float] = (),
        explain: bool = False,
        impute: bool = False,
        shift: bool = False,
        model: str | None = None,
        model_version: str | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Prediction:
        """Answer queries (Q, d) from examples (M, d) with labels (M,), or from their summary."""
        deadline = self._defaults.deadline(timeout)
        context = examples, labels, queries, columns, summary
        beside = levels, explain, impute, shift
        prompt = Prompt(*context, group_id, schema_hash, allow_fallback, *beside)
        route = self._defaults.route(model, model_version)
        return await self._predict(encode_prompt(prompt), route, deadline, request_id)

    @overload
    async def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: Literal[False] = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction]: ...
    @overload
    async def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction | SonobaError]: ...
    async def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction] | list[Prediction | SonobaError]:
        """Answer many prompts of any shapes, in order, within one `timeout` for all."""
        deadline = self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        work = Work(prompts, return_exceptions)
        try:
            jobs = work.jobs(await self._limits(route, deadline) if work.needs_limits else None)
        except SonobaError as error:
            work.fail(error)
            return work.answers()
        free = asyncio.Semaphore(CALLS_IN_FLIGHT)

        async def run(job: Job) -> None:
            async with free:
                work.settle(job, await self._run(job, route, deadline))

        await asyncio.gather(*map(run, jobs))
        return work.answers()

    @overload
    def stream(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        return_exceptions: Literal[False] = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Prediction, None]: ...
    @overload
    def stream(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        return_exceptions: bool,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Prediction | SonobaError, None]: ...
    def stream(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        return_exceptions: bool = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Prediction | SonobaError, None] | AsyncGenerator[Prediction, None]:
        """Answer prompts as they come, in order; `prompts` is read ahead, in a task of its own."""
        limit = None if timeout is None else self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        answers = self._converse(_encoded(prompts), route, limit)
        return answers if return_exceptions else predictions(answers)

    async def summarize(
        self,
        examples: Values,
        labels: Values,
        *,
        columns: Sequence[str] | None = None,
        origin: Sequence[float] = (),
        label_origin: float = 0.0,
        merge_with: Summary | None = None,
        schema_hash: str = "",
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> Summary:
        """Return the sums of examples (M, d) and labels (M,), in the model's column order."""
        deadline = self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        rows = encode_examples(examples, labels, columns)
        request = summarize_request(rows, route, schema_hash, origin, label_origin, merge_with)
        response = await self._call(self._stub.SummarizeExamples, request, deadline)
        return _replies.summary(response.summary)

    async def model(
        self, name: str | None = None, version: str | None = None, *, timeout: float | None = None
    ) -> Model:
        """Return a model: its columns, limits, versions and state."""
        route = self._defaults.route(name, version)
        return await self._model(route, self._defaults.deadline(timeout))

    async def models(self, *, timeout: float | None = None) -> list[Model]:
        """Return every model that is served, ordered by name."""
        deadline = self._defaults.deadline(timeout)
        models, token = list[Model](), ""
        while True:
            request = pb.ListModelsRequest(page_token=token)
            page = await self._call(self._stub.ListModels, request, deadline)
            models += map(_replies.model, page.models)
            token = page.next_page_token
            if not token:
                return models

    async def _run(self, job: Job, route: Route, deadline: Deadline) -> list[Answer]:
        """Answer the prompts of one job; an error of the whole call is that of each of them."""
        answers: list[Answer] = []
        try:
            if job.rpc == "PredictBatch":
                request = batch_request(job.prompts, route)
                response = await self._call(self._stub.PredictBatch, request, deadline)
                answers += _replies.batch_answers(response, job.prompts)
            elif job.rpc == "PredictStream":
                async for answer in self._converse(job.prompts, route, deadline):
                    answers.append(answer)
            else:
                answers.append(await self._predict(job.prompts[0], route, deadline))
        except SonobaError as error:
            answers += [error] * (len(job.prompts) - len(answers))
        return answers

    async def _predict(
        self, prompt: EncodedPrompt, route: Route, deadline: Deadline, request_id: str = ""
    ) -> Prediction:
        request = predict_request(prompt, route, request_id)
        return _replies.prediction(await self._call(self._stub.Predict, request, deadline), prompt)

    async def _model(self, route: Route, deadline: Deadline) -> Model:
        request = pb.GetModelRequest(model=route.model, model_version=route.model_version)
        response = await self._call(self._stub.GetModel, request, deadline)
        return self._models.put(route, _replies.model(response.model))

    async def _limits(self, route: Route, deadline: Deadline) -> Model:
        return self._models.get(route) or await self._model(route, deadline)

    def _converse(
        self,
        prompts: Iterable[Encoded] | AsyncIterable[Encoded],
        route: Route,
        limit: Deadline | None,
    ) -> AsyncGenerator[Answer, None]:
        remaining = partial(seconds_left, limit)

        def open_call(requests: AsyncIterator[pb.PredictStreamRequest]) -> Call:
            metadata = self._defaults.metadata
            call: Call = self._stub.PredictStream(requests, timeout=remaining(), metadata=metadata)
            return call

        return Conversation(prompts, route, open_call, remaining).answers()


async def _encoded(prompts: Iterable[Prompt] | AsyncIterable[Prompt]) -> AsyncIterator[Encoded]:
    async for prompt in each(prompts):
        yield encode_or_error(prompt)
