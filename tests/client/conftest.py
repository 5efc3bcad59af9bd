"""A reference server over real gRPC: least squares, and any failure a test asks for."""

import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

import sonoba
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc

FORMATS = {pb.DATA_TYPE_FLOAT64: "<f8", pb.DATA_TYPE_FLOAT32: "<f4"}


def numbers(message):
    return np.frombuffer(message.raw, FORMATS[message.data_type]).astype(float)


def matrix(message):
    return numbers(message).reshape(message.row_count, message.column_count)


def answer(x, y, queries):
    """Least squares without an intercept, at most one way to get it right."""
    return queries @ np.linalg.lstsq(x, y, rcond=None)[0]


def answer_summary(summary, queries):
    b = numbers(summary.label_products)
    gram = np.zeros((len(b), len(b)))
    gram[np.triu_indices(len(b))] = numbers(summary.second_moments)
    gram = gram + np.triu(gram, 1).T
    return queries @ np.linalg.solve(gram, b)


def status(code, sentence, *details):
    message = status_pb2.Status(code=code_pb2.Code.Value(code), message=sentence)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        message.details.append(packed)
    return rpc_status.to_status(message)


def error_info(reason, request_id="r-1"):
    metadata = {"request_id": request_id}
    return error_details_pb2.ErrorInfo(reason=reason, domain="sonoba", metadata=metadata)


def retry_info(seconds):
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(round(seconds * 1e9))
    return info


class Reference(predictor_pb2_grpc.PredictorServicer):
    """Answers with least squares; keeps what it was asked; fails when `failures` says so."""

    def __init__(self):
        self.requests = []
        self.attempts = Counter()
        self.tenants = Counter()  # calls by the tenant they name
        self.failures = deque()  # one status for each of the next calls
        self.seconds = 0.0  # spent on every call
        self.stream_answers = None  # after which a stream's call ends with OK
        self.stream_statuses = deque()  # with which it ends instead, one a call
        self.forgets_bounds = False  # in a batch
        self.knows_normal = True  # else there is no reference yet
        self.sequence_shift = 0  # of every answer in a stream
        self.in_flight = self.most_in_flight = 0
        self.model = pb.Model(
            name="foundation",
            kind=pb.MODEL_KIND_FOUNDATION,
            version="v1",
            versions=["v1", "v0"],
            columns=[pb.Column(name="a", unit="celsius")],
            batch_prompt_count_max=4096,
            message_bytes_max=64 * 2**20,
            element_count_max=8_388_608,
            state=pb.MODEL_STATE_WARMING,
        )
        self._lock = threading.Lock()

    def asked(self, kind):
        return [request for request in self.requests if isinstance(request, kind)]

    def _begin(self, rpc, request, context):
        with self._lock:
            self.attempts[rpc] += 1
            self.tenants[dict(context.invocation_metadata()).get("x-sonoba-tenant")] += 1
            self.requests.append(request)
            failure = self.failures.popleft() if self.failures else None
        time.sleep(self.seconds)
        if failure is not None:
            context.abort_with_status(failure)

    def Predict(self, request, context):
        self._begin("Predict", request, context)
        response = self.response(request)
        if isinstance(response, pb.PromptError):
            violation = {"field": response.field, "description": response.message}
            bad = error_details_pb2.BadRequest(field_violations=[violation])
            info = error_info(response.reason)
            context.abort_with_status(status("INVALID_ARGUMENT", response.message, info, bad))
        return response

    def PredictBatch(self, request, context):
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._begin("PredictBatch", request, context)
        n, M, d = request.prompt_count, request.example_count, request.feature_count
        kind = FORMATS[request.data_type]
        x = np.frombuffer(request.features, kind).reshape(n, M, d)
        y = np.frombuffer(request.labels, kind).reshape(n, M)
        queries = np.frombuffer(request.queries, kind).reshape(n, request.query_count, d)
        response = pb.PredictBatchResponse(
            model="foundation", model_version="v1", modes=bytes([2] * n), solvers=bytes([4] * n)
        )
        response.reference = "0a1b2c3d" if self.knows_normal else ""
        predictions = np.full(queries.shape[:2], np.nan)
        for i in range(n):
            if np.isfinite(x[i]).all():
                predictions[i] = answer(x[i], y[i], queries[i])
                response.warnings.add(index=i, code=pb.WARNING_CODE_FEW_EXAMPLES)
            else:
                response.errors.append(not_finite("features"))
                response.errors[-1].index = i
        response.predictions = predictions.tobytes()
        if request.options.include_uncertainty and not self.forgets_bounds:
            response.standard_errors = np.full(predictions.shape, 0.5).tobytes()
            response.lower_bounds = (predictions - 1.0).tobytes()
            response.upper_bounds = (predictions + 1.0).tobytes()
        with self._lock:
            self.in_flight -= 1
        return response

    def PredictStream(self, requests, context):
        self._begin("PredictStream", None, context)
        for answered, message in enumerate(requests, start=1):
            self.requests.append(message)
            reply = pb.PredictStreamResponse(sequence=message.sequence + self.sequence_shift)
            result = self.response(message.request)
            one = reply.error if isinstance(result, pb.PromptError) else reply.response
            one.CopyFrom(result)
            yield reply
            if answered == self.stream_answers:
                if self.stream_statuses:
                    context.abort_with_status(self.stream_statuses.popleft())
                return

    def response(self, request):
        queries = matrix(request.queries)
        if request.WhichOneof("context") == "summary":
            values, evidence = answer_summary(request.summary, queries), pb.EVIDENCE_SUMMARY
        else:
            x, y = matrix(request.examples.features), numbers(request.examples.labels)
            if not np.isfinite(x).all():
                return not_finite("examples.features")
            values, evidence = answer(x, y, queries), pb.EVIDENCE_EXAMPLES
        beside = {}
        if request.options.include_uncertainty:
            beside["uncertainty"] = uncertainty(values, request.options.confidence_levels)
        if request.options.include_attributions:
            beside["attributions"] = attributions(request, len(values))
        if request.options.include_shift_score and self.knows_normal:
            beside["shift_score"] = shift_score(request)
        few = pb.Warning(code=pb.WARNING_CODE_FEW_EXAMPLES, message="few", field="x", index=-1)
        return pb.PredictResponse(
            predictions=values,
            model=request.model or "foundation",
            model_version=request.model_version or "v1",
            mode=pb.MODE_FOUNDATION,
            solver=pb.SOLVER_EXACT,
            evidence=evidence,
            warnings=[few],
            request_id=request.request_id or "generated",
            reference="0a1b2c3d" if self.knows_normal else "",
            **beside,
        )

    def SummarizeExamples(self, request, context):
        self._begin("SummarizeExamples", request, context)
        x, y = matrix(request.examples.features), numbers(request.examples.labels)
        sums = pb.ExampleSummary(
            example_count=len(y),
            feature_sums=pb.Vector(raw=x.sum(axis=0).tobytes()),
            label_products=pb.Vector(values=y @ x),
            second_moments=pb.Vector(raw=(x.T @ x)[np.triu_indices(x.shape[1])].tobytes()),
            label_sum=y.sum(),
            label_square_sum=y @ y,
            schema_hash="abc",
        )
        return pb.SummarizeExamplesResponse(summary=sums, model_version="v1")

    def GetModel(self, request, context):
        self._begin("GetModel", request, context)
        return pb.GetModelResponse(model=self.model)

    def ListModels(self, request, context):
        self._begin("ListModels", request, context)
        names = ["foundation", "paper", "profile"]
        at = int(request.page_token or 0)
        following = str(at + 1) if at < 2 else ""
        models = [pb.Model(name=names[at])]
        return pb.ListModelsResponse(models=models, next_page_token=following)


def uncertainty(values, levels):
    """Return intervals as wide as twice their level."""
    return pb.Uncertainty(
        standard_errors=[0.5] * len(values),
        intervals=[
            pb.Interval(level=level, lower=values - level, upper=values + level) for level in levels
        ],
        method=pb.INTERVAL_METHOD_UNCALIBRATED,
    )


def attributions(request, Q):
    """Return coefficients 2, 3, … and weights that count up; none for a summary."""
    d = request.queries.column_count
    message = pb.Attributions(
        intercept=1.5,
        coefficients=pb.Vector(raw=np.arange(2.0, 2.0 + d).tobytes()),
        profile_shares=pb.Vector(values=[0.0] * Q),
    )
    if request.WhichOneof("context") == "examples":
        M = request.examples.features.row_count
        raw = np.arange(float(Q * M)).tobytes()
        weights = pb.Matrix(row_count=Q, column_count=M, raw=raw, data_type=pb.DATA_TYPE_FLOAT64)
        message.example_weights.CopyFrom(weights)
    return message


def shift_score(request):
    loo = 0.75 if request.WhichOneof("context") == "examples" else None
    features = [pb.FeatureShift(name="b", score=-2.5), pb.FeatureShift(name="a", score=0.5)]
    return pb.ShiftScore(
        expected_error_ratio=1.25, leave_one_out_ratio=loo, feature_shifts=features
    )


def not_finite(field):
    sentence = f"{field}: expected finite numbers, got nan at row 0, column 0"
    return pb.PromptError(code=3, reason="NOT_FINITE", message=sentence, field=field)


def serve_health(server, state):
    servicer = health.HealthServicer()
    servicer.set("sonoba.v1.Predictor", state)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


@pytest.fixture
def reference():
    return Reference()


@pytest.fixture
def target(reference):
    """Serve the reference on loopback and return where."""
    options = [("grpc.max_receive_message_length", 64 * 2**20)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    predictor_pb2_grpc.add_PredictorServicer_to_server(reference, server)
    serve_health(server, health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def client(target):
    with sonoba.Client(target) as client:
        yield client


@pytest.fixture
def make_prompt():
    """Return a maker of prompts of a shape, each another one."""
    rng = np.random.default_rng(0)

    def make(M=6, d=2, Q=1, **settings):
        x, queries = rng.normal(size=(M, d)), rng.normal(size=(Q, d))
        return sonoba.Prompt(x, x @ np.arange(1, d + 1) + rng.normal(size=M), queries, **settings)

    return make


@pytest.fixture
def expected():
    """Return the reference's answer to a prompt, computed here."""
    return lambda prompt: answer(prompt.examples, prompt.labels, prompt.queries)
