"""What a request claims of its prompts, for those who write about calls: a model and counts."""

from functools import cache

from google.protobuf.message import DecodeError

from model.refusal import Refusal
from service.oip_messages import InferRequest, Messages
from sonoba.v1 import predictor_pb2 as pb

Shape = dict[str, int]
"""`example_count`, `feature_count`, `query_count`, and of a batch `prompt_count`."""
BATCH = ("prompt_count", "example_count", "feature_count", "query_count")


def claimed(method: str, wire: bytes) -> tuple[str | None, Shape]:
    """Return the model (empty: the default) and the shape that a request to a method claims.

    No model of a method that is not of predictions, or where the bytes are no request.
    """
    try:
        match method.rpartition("/")[2]:
            case "Predict":
                return _prompt(pb.PredictRequest.FromString(wire))
            case "PredictStream":
                return _prompt(pb.PredictStreamRequest.FromString(wire).request)
            case "PredictBatch":
                batch = pb.PredictBatchRequest.FromString(wire)
                return batch.model, {name: getattr(batch, name) for name in BATCH}
            case "SummarizeExamples":
                request = pb.SummarizeExamplesRequest.FromString(wire)
                return request.model, _examples(request.examples)
            case "GetModel":
                return pb.GetModelRequest.FromString(wire).model, {}
            case "ModelInfer":
                return _tensors(_messages().infer_request(wire))
            case "ModelReady" | "ModelMetadata" as kind:
                return _messages().model_request(f"{kind}Request", wire).name, {}
    except (DecodeError, Refusal):
        pass
    return None, {}


def _prompt(request: pb.PredictRequest) -> tuple[str, Shape]:
    shape = {"example_count": request.summary.example_count}
    if request.HasField("examples"):
        shape = _examples(request.examples)
    queries = request.queries
    more = {"feature_count": queries.column_count, "query_count": queries.row_count}
    return request.model, {**shape, **more}


def _examples(examples: pb.ExampleSet) -> Shape:
    rows, columns = examples.features.row_count, examples.features.column_count
    return {"example_count": rows, "feature_count": columns}


def _tensors(request: InferRequest) -> tuple[str, Shape]:
    """Return what x claims, and the query's rows; nothing of tensors with other axes."""
    axes = {tensor.name: tuple(tensor.shape) for tensor in request.inputs}
    shape: Shape = {}
    if 2 <= len(x := axes.get("x", ())) <= 3:
        shape = dict(zip(BATCH[3 - len(x) :], x, strict=False))
    if 2 <= len(query := axes.get("query", ())) <= 3:
        shape["query_count"] = query[-2]
    return request.model_name, shape


@cache
def _messages() -> Messages:
    return Messages()
