"""Other servers of the same model: KServe's SDK, and a plain grpc.aio server, by OIP v2.

Runs in the environment of `make .venv-peers/done`. Both run our model's code and answer the Open
Inference Protocol v2 on gRPC; inputs x (M, d), y (M,), query (Q, d) and the output prediction (Q,)
are raw FP64. KServe is set as kindly as its options allow: no line is logged for a call.
`python -m bench.serving.peer_server serve` prints its ports; `write` writes a request.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import click
import grpc
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.protocol.grpc import grpc_predict_v2_pb2 as oip
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as oip_grpc
from numpy.typing import NDArray
from prometheus_client import Counter, start_http_server

from bench.serving import prompts
from bench.serving.prompts import Shape
from model.checkpoint import load
from model.prompt import Block, Examples

Array = NDArray[np.float64]
Answer = Callable[[Array, Array, Array], Array]
NAMES = ("x", "y", "query")
MESSAGE_BYTES = 64 * 2**20


def answering(model_file: Path) -> tuple[str, Answer]:
    """Return the name of a model and its answer to x (M, d), y (M,), query (Q, d), counted."""
    artifact = load(model_file)
    answered = Counter("bench_answers", "Prompts answered.")

    def answer(x: Array, y: Array, query: Array) -> Array:
        block = Block(Examples(x[None], y[None]), query[None])
        predictions: Array = artifact.model.answer(block).predictions[0]  # (Q,)
        answered.inc()
        return predictions

    return artifact.name, answer


class KServeModel(Model):  # type: ignore[misc]  # the library is not in the environment of checks
    """Our model as KServe wants it."""

    def __init__(self, name: str, answer: Answer) -> None:
        super().__init__(name)
        self._answer = answer
        self.ready = True

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        """Answer one request."""
        x, y, query = (tensor.as_numpy() for tensor in payload.inputs)
        predictions = self._answer(x, y, query)
        output = InferOutput("prediction", list(predictions.shape), "FP64")
        output.set_data_from_numpy(predictions, binary_data=True)
        return InferResponse(payload.id, self.name, [output])


class PlainServicer(oip_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """The least an OIP server of ours could do."""

    def __init__(self, name: str, answer: Answer) -> None:
        self._name, self._answer = name, answer

    async def ModelInfer(
        self, request: oip.ModelInferRequest, context: object
    ) -> oip.ModelInferResponse:
        """Answer one request."""
        raw = zip(request.inputs, request.raw_input_contents, strict=True)
        x, y, query = (np.frombuffer(data).reshape(tensor.shape) for tensor, data in raw)
        predictions = self._answer(x, y, query)
        response = oip.ModelInferResponse(model_name=self._name, id=request.id)
        response.outputs.add(name="prediction", datatype="FP64", shape=predictions.shape)
        response.raw_output_contents.append(predictions.tobytes())
        return response


async def serve_plain(port: int, name: str, answer: Answer) -> None:
    """Serve from one event loop until a signal."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.aio.server(options=options)
    oip_grpc.add_GRPCInferenceServiceServicer_to_server(PlainServicer(name, answer), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()
    await server.stop(0)


def request(name: str, shape: Shape) -> bytes:
    """Return the prompt of a shape as a ModelInferRequest."""
    block = prompts.block(shape)
    assert isinstance(block.context, Examples)
    made = oip.ModelInferRequest(model_name=name)
    arrays = (block.context.x[0], block.context.y[0], block.queries[0])
    for tensor, array in zip(NAMES, arrays, strict=True):
        made.inputs.add(name=tensor, datatype="FP64", shape=array.shape)
        made.raw_input_contents.append(array.tobytes())
    return bytes(made.SerializeToString())


@click.group()
def main() -> None:
    """Serve as others do, or write what they are asked."""


@main.command()
@click.argument("kind", type=click.Choice(["kserve", "plain"]))
@click.argument("model_file", type=click.Path(path_type=Path))
def serve(kind: str, model_file: Path) -> None:
    """Serve a model until SIGINT; print the ports of calls and of metrics."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name, answer = answering(model_file)
    port, http_port, metrics_port = (_free_port() for _ in range(3))
    start_http_server(metrics_port, "127.0.0.1")
    click.echo(f"{port} {metrics_port}")
    if kind == "plain":
        asyncio.run(serve_plain(port, name, answer))
        return
    server = ModelServer(http_port=http_port, grpc_port=port, enable_latency_logging=False)
    logging.disable(logging.WARNING)
    server.start([KServeModel(name, answer)])


@main.command()
@click.argument("name")
@click.argument("shape", nargs=2, type=int)
@click.argument("file", type=click.Path(path_type=Path))
def write(name: str, shape: tuple[int, int], file: Path) -> None:
    """Write the request of a prompt of M examples and d features."""
    file.write_bytes(request(name, Shape(*shape)))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
