"""Sixty-four callers at once, every prompt distinct: each gets its own answer, however it asks."""

import threading

import grpc
import numpy as np
import pytest

from bench.hostility.open_inference import Schema
from model.checkpoint import FOUNDATION_FILE, load
from model.prompt import Block, Examples
from service.oip_messages import SERVICE
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc

pytestmark = pytest.mark.slow  # seconds, all together

CALLERS, PROMPTS, M, D = 64, 100_000, 8, 2
SHARES = {"unary": 0.1, "stream": 0.13, "batch": 0.72, "open inference": 0.05}
BATCH = 40
MODEL, PUBLIC = load(FOUNDATION_FILE).model, Schema()


def prompts_of(caller, count):
    """Return x, y, queries of one caller's prompts; the task differs from prompt to prompt."""
    rng = np.random.default_rng(caller)
    x = rng.normal(size=(count, M + 1, D))
    weights = rng.normal(size=(count, D, 1)) * 100
    y = (x @ weights)[..., 0] + rng.normal(size=(count, 1)) * 1000
    return x[:, :M].copy(), y[:, :M].copy(), x[:, M:].copy()


def request(name, x, y, query):
    return pb.PredictRequest(
        examples=pb.ExampleSet(
            features=pb.Matrix(row_count=M, column_count=D, raw=x.tobytes()),
            labels=pb.Vector(raw=y.tobytes()),
        ),
        queries=pb.Matrix(row_count=1, column_count=D, raw=query.tobytes()),
        request_id=name,
    )


def unary(stub, name, prompts):
    for i, prompt in enumerate(zip(*prompts, strict=True)):
        response = stub.Predict(request(f"{name}-{i}", *prompt), timeout=60)
        yield response.request_id, response.predictions[0]


def stream(stub, name, prompts):
    for start in range(0, len(prompts[0]), BATCH):
        part = [array[start : start + BATCH] for array in prompts]
        messages = (
            pb.PredictStreamRequest(sequence=i, request=request(f"{name}-{start + i}", *prompt))
            for i, prompt in enumerate(zip(*part, strict=True))
        )
        for told in stub.PredictStream(messages, timeout=60):
            yield f"{name}-{start + told.sequence}", told.response.predictions[0]


def batch(stub, name, prompts):
    for start in range(0, len(prompts[0]), BATCH):
        x, y, queries = (array[start : start + BATCH] for array in prompts)
        response = stub.PredictBatch(
            pb.PredictBatchRequest(
                prompt_count=len(x),
                example_count=M,
                feature_count=D,
                query_count=1,
                features=x.tobytes(),
                labels=y.tobytes(),
                queries=queries.tobytes(),
                request_id=f"{name}-{start}",
            ),
            timeout=60,
        )
        first = int(response.request_id.rpartition("-")[2])
        for i, value in enumerate(np.frombuffer(response.predictions)):
            yield f"{name}-{first + i}", value


def open_inference(stub, name, prompts):
    for i, (x, y, query) in enumerate(zip(*prompts, strict=True)):
        tensors = {"x": x, "y": y, "query": query}
        request = PUBLIC.made(
            "ModelInferRequest",
            id=f"{name}-{i}",
            inputs=[
                {"name": key, "datatype": "FP64", "shape": array.shape}
                for key, array in tensors.items()
            ],
            raw_input_contents=[array.tobytes() for array in tensors.values()],
        )
        answer = stub.ModelInfer(request.SerializeToString(), timeout=60)
        response = PUBLIC.made("ModelInferResponse")
        response.ParseFromString(answer)
        yield response.id, np.frombuffer(response.raw_output_contents[0])[0]


WAYS = {"unary": unary, "stream": stream, "batch": batch, "open inference": open_inference}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_sixty_four_callers_of_a_hundred_thousand_prompts_each_get_their_own(process, way):
    count = round(PROMPTS * SHARES[way] / CALLERS)
    server = process("--max-streams", str(CALLERS))
    wrong, answered = [], []

    def call_all(caller):
        prompts = prompts_of(caller, count)
        expected = MODEL.answer(Block(Examples(*prompts[:2]), prompts[2])).predictions[:, 0]
        address = f"127.0.0.1:{server.grpc_port}"
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
        with grpc.insecure_channel(address, options) as channel:
            stub = predictor_pb2_grpc.PredictorStub(channel)
            stub.ModelInfer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            got = list(WAYS[way](stub, str(caller), prompts))
        for i, (name, value) in enumerate(got):
            if name != f"{caller}-{i}" or not np.isclose(value, expected[i], rtol=1e-7):
                wrong.append((caller, i))
        answered.append(len(got))

    callers = [threading.Thread(target=call_all, args=(n,)) for n in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert sum(answered) == count * CALLERS
    assert wrong == []
