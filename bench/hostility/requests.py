"""Requests of every method that a caller could mean, built of drawn prompts."""

from typing import NamedTuple

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from bench.hostility.open_inference import Schema
from bench.hostility.values import Generator, Prompt, prompt
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import replica_pb2 as replica

Array = NDArray[np.float64]

COUNTS = np.array([2, 4, 6, 8, 12, 16])  # of examples: some models want 6
ODD = np.array([1, 3, 5, 33])
LEVELS = [[], [0.95], [0.8, 0.9, 0.95], [0.9], [0.95, 0.95], [0.5], [float("nan")]]
REASONS = ["a look", "", "\n", "x" * 300]


class Served(NamedTuple):
    """What a request needs to know of a model; no names where it takes any features."""

    name: str
    version: str
    names: tuple[str, ...]
    schema_hash: str


class Request(NamedTuple):
    """One request and the method that it is for."""

    method: str
    message: Message


class Requests:
    """Draws requests for some models."""

    def __init__(self, models: list[Served], rng: Generator) -> None:
        self._models, self._rng, self._schema = models, rng, Schema()

    @np.errstate(all="ignore")  # sums that overflow are sent too
    def draw(self) -> Request:
        """Return the next request."""
        kinds = [self.predict, self.predict, self.predict, self.summary, self.batch]
        kinds += [self.batch, self.stream, self.summarize, self.describe, self.page, self.replica]
        kinds += [self.infer, self.infer, self.open_inference]
        return kinds[self._rng.integers(len(kinds))]()

    def predict(self) -> Request:
        """Return a prompt of examples."""
        return Request("Predict", self._predict())

    def stream(self) -> Request:
        """Return a message of a stream."""
        sequence = int(self._rng.choice([0, 1, -1, 2**40]))
        message = pb.PredictStreamRequest(sequence=sequence, request=self._predict())
        return Request("PredictStream", message)

    def summary(self) -> Request:
        """Return a prompt of sums, most of them of real examples."""
        rng, model = self._rng, self._model()
        one = self._prompt(model)
        message = pb.PredictRequest(
            model=model.name,
            summary=self._sums(one),
            queries=self._matrix(one.queries),
            columns=self._columns(model, one.x.shape[1]),
            options=self._options(),
        )
        if not message.columns and model.names and rng.random() < 0.9:
            message.schema_hash = model.schema_hash
        return Request("Predict", message)

    def batch(self) -> Request:
        """Return up to four prompts of one shape."""
        rng, model = self._rng, self._model()
        n, first = int(rng.integers(1, 5)), self._prompt(model)
        M, d, Q = *first.x.shape, len(first.queries)
        prompts = [first, *(prompt(rng, M, d, Q) for _ in range(n - 1))]
        is_single = rng.random() < 0.3
        stacked = (np.stack(parts) for parts in zip(*prompts, strict=True))
        features, labels, queries = (_bytes(array, is_single) for array in stacked)
        message = pb.PredictBatchRequest(
            model=model.name,
            prompt_count=n,
            example_count=M,
            feature_count=d,
            query_count=Q,
            data_type=pb.DATA_TYPE_FLOAT32 if is_single else pb.DATA_TYPE_FLOAT64,
            features=features,
            labels=labels,
            queries=queries,
            columns=self._columns(model, d),
            options=self._options(is_batch=True),
        )
        if not message.columns:
            message.schema_hash = model.schema_hash
        if rng.random() < 0.2:
            message.group_ids.extend(["shop"] * n)
        return Request("PredictBatch", message)

    def summarize(self) -> Request:
        """Return examples to sum, at times with sums to merge them into."""
        rng, model = self._rng, self._model()
        one = self._prompt(model)
        message = pb.SummarizeExamplesRequest(
            model=model.name,
            examples=self._examples(one),
            columns=self._columns(model, one.x.shape[1]),
            schema_hash=model.schema_hash if rng.random() < 0.5 else "",
            origin=self._vector(one.x.mean(0)) if rng.random() < 0.5 else None,
            label_origin=float(one.y[0]) if rng.random() < 0.3 else 0.0,
        )
        if rng.random() < 0.3:
            message.merge_with.CopyFrom(self._sums(one))
        return Request("SummarizeExamples", message)

    def infer(self) -> Request:
        """Return one prompt, or several, in the words of the Open Inference Protocol."""
        rng, model = self._rng, self._model()
        first = self._prompt(model)
        M, d, Q = *first.x.shape, len(first.queries)
        more = [prompt(rng, M, d, Q) for _ in range(int(rng.choice([0, 0, 0, 1, 3])))]
        columns = model.names or tuple(self._columns(model, d))
        return Request("ModelInfer", self._schema.infer(rng, model.name, columns, [first, *more]))

    def open_inference(self) -> Request:
        """Return another question of the Open Inference Protocol."""
        model = self._model()
        return Request(*self._schema.other(self._rng, model.name, model.version))

    def describe(self) -> Request:
        """Return a question about one model."""
        model = self._model()
        version = [model.version, "", "v0"][self._rng.integers(3)]
        return Request("GetModel", pb.GetModelRequest(model=model.name, model_version=version))

    def page(self) -> Request:
        """Return a question about all models."""
        size = int(self._rng.choice([0, 1, 2, 100, 101, -1]))
        token = [self._model().name, "", "nobody"][self._rng.integers(3)]
        return Request("ListModels", pb.ListModelsRequest(page_size=size, page_token=token))

    def replica(self) -> Request:
        """Return what a re-evaluator asks of a replica."""
        rng, model = self._rng, self._model()
        count, age = int(rng.choice([0, 1, 50, 2001, -1])), float(rng.choice([0.0, 60.0, -1.0]))
        reason = REASONS[rng.integers(len(REASONS))]
        match rng.integers(3):
            case 0:
                state = replica.GetMonitorStateRequest(
                    model=model.name, prompt_count=count, age_seconds=age
                )
                return Request("GetMonitorState", state)
            case 1:
                collect = replica.CollectPromptsRequest(
                    model=model.name, prompt_count=count, age_seconds=age, reason=reason
                )
                return Request("CollectPrompts", collect)
        tenant = ["shop-7", "", "an\x00y", "*"][rng.integers(4)]
        delete = replica.DeletePromptsRequest(tenant=tenant, reason=reason)
        return Request("DeletePrompts", delete)

    def _predict(self) -> pb.PredictRequest:
        rng, model = self._rng, self._model()
        one = self._prompt(model)
        message = pb.PredictRequest(
            model=model.name,
            examples=self._examples(one),
            queries=self._matrix(one.queries),
            columns=self._columns(model, one.x.shape[1]),
            options=self._options(),
        )
        if not message.columns:
            message.schema_hash = model.schema_hash
        if rng.random() < 0.3:
            message.group_id, message.request_id = "shop-7", f"order-{rng.integers(10)}"
        if rng.random() < 0.1:
            message.model_version = model.version
        return message

    def _model(self) -> Served:
        return self._models[self._rng.integers(len(self._models))]

    def _prompt(self, model: Served) -> Prompt:
        rng = self._rng
        is_usual = rng.random() < 0.95
        M = int(rng.choice(COUNTS if is_usual else ODD))
        own = len(model.names)
        d = own if own and is_usual else int(rng.choice([1, 2, 3, 5, 12]))
        return prompt(rng, M, d, int(rng.choice([1, 1, 2, 5])))

    def _columns(self, model: Served, d: int) -> list[str]:
        """Return the model's names in some order, none, or names that are not its own."""
        rng, names = self._rng, model.names
        match rng.integers(8):
            case 0 | 1 if len(names) == d:
                return [names[i] for i in rng.permutation(d)]
            case 2 if rng.random() < 0.3:
                return [f"c{i // 2}" for i in range(d)]
            case 3 if not names:
                return [f"c{i}" for i in range(d)]
        return []

    def _options(self, is_batch: bool = False) -> pb.PredictOptions | None:
        rng = self._rng
        if rng.random() < 0.5:
            return None
        has_levels = bool(rng.random() < 0.6)
        levels = LEVELS[rng.integers(len(LEVELS))] if has_levels and rng.random() < 0.6 else []
        return pb.PredictOptions(
            include_uncertainty=has_levels,
            confidence_levels=levels[:1] if is_batch else levels,
            include_attributions=bool(rng.random() < (0.05 if is_batch else 0.4)),
            include_shift_score=bool(rng.random() < (0.05 if is_batch else 0.3)),
            fallback_policy="FALLBACK_POLICY_FORBID" if rng.random() < 0.2 else None,
            missing_value_policy="MISSING_VALUE_POLICY_IMPUTE" if rng.random() < 0.15 else None,
        )

    def _examples(self, one: Prompt) -> pb.ExampleSet:
        return pb.ExampleSet(features=self._matrix(one.x), labels=self._vector(one.y))

    def _matrix(self, values: Array) -> pb.Matrix:
        rows, columns = values.shape
        vector = self._vector(values.ravel())
        return pb.Matrix(
            row_count=rows,
            column_count=columns,
            values=vector.values,
            raw=vector.raw,
            data_type=vector.data_type,
        )

    def _vector(self, values: Array) -> pb.Vector:
        match self._rng.integers(4):
            case 0:
                return pb.Vector(values=values)
            case 1:
                return pb.Vector(raw=_bytes(values, True), data_type=pb.DATA_TYPE_FLOAT32)
        return pb.Vector(raw=_bytes(values, False), data_type=pb.DATA_TYPE_FLOAT64)

    def _sums(self, one: Prompt) -> pb.ExampleSummary:
        rng, d = self._rng, one.x.shape[1]
        origin = one.x.mean(0) if rng.random() < 0.5 else np.zeros(d)
        x, y = one.x - origin, one.y
        square = (x.T @ x)[np.triu_indices(d)]
        if rng.random() < 0.1:
            square = rng.normal(size=square.shape)
        return pb.ExampleSummary(
            example_count=int(rng.choice([len(y)] * 9 + [2**53, -1])),
            origin=self._vector(origin) if origin.any() else None,
            feature_sums=self._vector(x.sum(0)),
            second_moments=None if rng.random() < 0.1 else self._vector(square),
            label_products=self._vector(x.T @ y),
            label_sum=float(y.sum()),
            label_square_sum=float(y @ y),
        )


def _bytes(values: Array, is_single: bool) -> bytes:
    return values.astype("<f4" if is_single else "<f8").tobytes()
