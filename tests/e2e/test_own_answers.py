"""Sixty-four callers at once, every prompt distinct: each gets its own answer."""

import threading

import grpc
import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load
from model.prompt import Block, Examples
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc

CALLERS, PROMPTS, M, D = 64, 100_000, 8, 2


def prompts_of(caller):
    """Return x, y, queries of one caller's prompts; the task differs from prompt to prompt."""
    rng = np.random.default_rng(caller)
    count = PROMPTS // CALLERS + (caller < PROMPTS % CALLERS)
    x = rng.normal(size=(count, M + 1, D))
    weights = rng.normal(size=(count, D, 1)) * 100
    y = (x @ weights)[..., 0] + rng.normal(size=(count, 1)) * 1000
    return x[:, :M].copy(), y[:, :M].copy(), x[:, M:].copy()


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_sixty_four_callers_of_a_hundred_thousand_prompts_each_get_their_own(process):
    server = process()
    model = load(FOUNDATION_FILE).model
    wrong, answered = [], []

    def call_all(caller):
        x, y, queries = prompts_of(caller)
        expected = model.answer(Block(Examples(x, y), queries)).predictions[:, 0]
        address = f"127.0.0.1:{server.grpc_port}"
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
        with grpc.insecure_channel(address, options) as channel:
            predict = predictor_pb2_grpc.PredictorStub(channel).Predict
            for i in range(len(x)):
                response = predict(
                    pb.PredictRequest(
                        examples=pb.ExampleSet(
                            features=pb.Matrix(row_count=M, column_count=D, raw=x[i].tobytes()),
                            labels=pb.Vector(raw=y[i].tobytes()),
                        ),
                        queries=pb.Matrix(row_count=1, column_count=D, raw=queries[i].tobytes()),
                        request_id=f"{caller}-{i}",
                    ),
                    timeout=60,
                )
                is_own = np.isclose(response.predictions[0], expected[i], rtol=1e-7)
                if not is_own or response.request_id != f"{caller}-{i}":
                    wrong.append((caller, i))
        answered.append(len(x))

    callers = [threading.Thread(target=call_all, args=(n,)) for n in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert sum(answered) == PROMPTS
    assert wrong == []
