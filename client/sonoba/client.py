"""The synchronous client."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Literal, overload

from sonoba import _replies
from sonoba._calls import Deadline, Route, seconds_left
from sonoba._connection import Connection
from sonoba._examples import encode_examples
from sonoba._requests import batch_request, predict_request, summarize_request
from sonoba._stream import Call, Conversation, predictions
from sonoba._wire import Values
from sonoba.batch import CALLS_IN_FLIGHT, Answer, Encoded, Job, Work, encode_or_error
from sonoba.errors import SonobaError
from sonoba.prediction import Model, Prediction
from sonoba.prompt import EncodedPrompt, Prompt, encode_prompt
from sonoba.summary import Summary
from sonoba.v1 import predictor_pb2 as pb


class Client(Connection):
    """A connection to a sonoba server, for any number of threads.

    `timeout` seconds, `model` and `model_version` hold for calls that do not say otherwise; a model
    of "" is the server's choice, a version of "" the one in force. `tenant` names whose prompts
    they are: 1 to 64 of A-Z a-z 0-9 . _ -, told to the server with every call. Connecting waits
    for the first call. Every failed call raises a `SonobaError`.

    `token` proves who calls: the token itself, a `Path` whose first line it is, read again when it
    changes, or what returns one. `tls` is a file of the server's authorities, `Tls`, or True for
    the authorities that gRPC brings; False sends even a token unencrypted.

    >>> with Client("127.0.0.1:50051") as client:  # doctest: +SKIP
    ...     client.predict([[1], [2], [3], [4], [5]], [2, 4, 6, 8, 10], [[6]]).values
    array([11.94...])
    """

    def predict(
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
        """Answer queries (Q, d) from examples (M, d) with labels (M,), or from their summary.

        `Prompt` says what the options are; `request_id` is echoed, and found in the server's log.
        """
        deadline = self._defaults.deadline(timeout)
        context = examples, labels, queries, columns, summary
        beside = levels, explain, impute, shift
        prompt = Prompt(*context, group_id, schema_hash, allow_fallback, *beside)
        route = self._defaults.route(model, model_version)
        return self._predict(encode_prompt(prompt), route, deadline, request_id)

    @overload
    def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: Literal[False] = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction]: ...
    @overload
    def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction | SonobaError]: ...
    def predict_many(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> list[Prediction] | list[Prediction | SonobaError]:
        """Answer many prompts of any shapes, in order, within one `timeout` for all.

        Prompts of one shape travel stacked, many times faster than one by one. With
        `return_exceptions` a failure stands in its prompt's place; without, the first is raised.
        """
        deadline = self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        work = Work(prompts, return_exceptions)
        try:
            jobs = work.jobs(self._limits(route, deadline) if work.needs_limits else None)
        except SonobaError as error:
            work.fail(error)
            return work.answers()
        run = partial(self._run, route=route, deadline=deadline)
        ours = (copy_context().run for _ in jobs)  # or a caller's trace ends at the pool
        with ThreadPoolExecutor(CALLS_IN_FLIGHT) as pool:
            each = pool.map(lambda enter, job: enter(run, job), ours, jobs)
            for job, answers in zip(jobs, each, strict=True):
                work.settle(job, answers)
        return work.answers()

    @overload
    def stream(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: Literal[False] = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> Generator[Prediction, None, None]: ...
    @overload
    def stream(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> Generator[Prediction | SonobaError, None, None]: ...
    def stream(
        self,
        prompts: Iterable[Prompt],
        return_exceptions: bool = False,
        *,
        model: str | None = None,
        model_version: str | None = None,
        timeout: float | None = None,
    ) -> Generator[Prediction | SonobaError, None, None] | Generator[Prediction, None, None]:
        """Answer prompts as they come, in order; `prompts` is read ahead, in a thread of its own.

        With `return_exceptions` a failure stands in its prompt's place; without, it is the end.
        `timeout` bounds the whole stream; without one it lasts as long as there are prompts.
        """
        limit = None if timeout is None else self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        answers = self._converse(map(encode_or_error, prompts), route, limit)
        return answers if return_exceptions else predictions(answers)

    def summarize(
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
        """Return the sums of examples (M, d) and labels (M,), made by the server and kept nowhere.

        They come back in the model's column order, with those of `merge_with` added.
        """
        deadline = self._defaults.deadline(timeout)
        route = self._defaults.route(model, model_version)
        rows = encode_examples(examples, labels, columns)
        request = summarize_request(rows, route, schema_hash, origin, label_origin, merge_with)
        response = self._call(self._stub.SummarizeExamples, request, deadline)
        return _replies.summary(response.summary)

    def model(
        self, name: str | None = None, version: str | None = None, *, timeout: float | None = None
    ) -> Model:
        """Return a model: its columns, limits, versions and state."""
        route = self._defaults.route(name, version)
        return self._model(route, self._defaults.deadline(timeout))

    def models(self, *, timeout: float | None = None) -> list[Model]:
        """Return every model that is served, ordered by name."""
        deadline = self._defaults.deadline(timeout)
        models, token = list[Model](), ""
        while True:
            request = pb.ListModelsRequest(page_token=token)
            page = self._call(self._stub.ListModels, request, deadline)
            models += map(_replies.model, page.models)
            token = page.next_page_token
            if not token:
                return models

    def _run(self, job: Job, route: Route, deadline: Deadline) -> list[Answer]:
        """Answer the prompts of one job; an error of the whole call is that of each of them."""
        answers: list[Answer] = []
        try:
            if job.rpc == "PredictBatch":
                request = batch_request(job.prompts, route)
                response = self._call(self._stub.PredictBatch, request, deadline)
                answers += _replies.batch_answers(response, job.prompts)
            elif job.rpc == "PredictStream":
                for answer in self._converse(job.prompts, route, deadline):
                    answers.append(answer)
            else:
                answers.append(self._predict(job.prompts[0], route, deadline))
        except SonobaError as error:
            answers += [error] * (len(job.prompts) - len(answers))
        return answers

    def _predict(
        self, prompt: EncodedPrompt, route: Route, deadline: Deadline, request_id: str = ""
    ) -> Prediction:
        request = predict_request(prompt, route, request_id)
        return _replies.prediction(self._call(self._stub.Predict, request, deadline), prompt)

    def _model(self, route: Route, deadline: Deadline) -> Model:
        request = pb.GetModelRequest(model=route.model, model_version=route.model_version)
        response = self._call(self._stub.GetModel, request, deadline)
        return self._models.put(route, _replies.model(response.model))

    def _limits(self, route: Route, deadline: Deadline) -> Model:
        return self._models.get(route) or self._model(route, deadline)

    def _converse(
        self, prompts: Iterable[Encoded], route: Route, limit: Deadline | None
    ) -> Generator[Answer, None, None]:
        remaining = partial(seconds_left, limit)

        def open_call(requests: Iterator[pb.PredictStreamRequest]) -> Call:
            metadata = self._defaults.metadata
            call: Call = self._stub.PredictStream(requests, timeout=remaining(), metadata=metadata)
            return call

        return Conversation(prompts, route, open_call, remaining).answers()
