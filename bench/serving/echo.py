"""The floor: a bare grpcio server that answers with as many bytes as ours, and nothing else.

`python -m bench.serving.echo` prints its port and serves until it is told to stop. With
`--model-files` it runs the core of the service instead of the echo, on either kind of server: that
is how the kinds are compared. `/bench.Echo/Count` tells how many calls it has answered.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeAlias

import click
import grpc

Handler = Callable[[bytes], bytes]
Method: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"  # generic for type checkers only

# The options of the service, held equal by tests/bench.
OPTIONS: list[tuple[str, int]] = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class Counted:
    """A handler, and how often it has answered."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._count = 0

    def answer(self, wire: bytes) -> bytes:
        """Answer one call."""
        response = self._handler(wire)
        with self._lock:
            self._count += 1
        return response

    def count(self) -> bytes:
        """Return the number of answers in digits."""
        return str(self._count).encode()


def core(model_files: str) -> Handler:
    """Return the service's own `Predict`, from bytes to bytes."""
    from pathlib import Path

    from model.checkpoint import FOUNDATION_FILE, load
    from service.call import Call
    from service.core import Predictor
    from service.server import limits_of
    from service.settings import Settings
    from service.slot import Slots

    files = (FOUNDATION_FILE, *map(Path, model_files.split(",")))
    slots = Slots([load(path) for path in files], "foundation")
    predictor = Predictor(slots, limits_of(Settings()), lambda *_: None)
    return lambda wire: predictor.predict(wire, Call(30.0))


def serve_sync(counted: Counted, threads: int) -> None:
    """Serve from a pool of threads."""
    server = grpc.server(futures.ThreadPoolExecutor(threads), options=OPTIONS)
    answer: Method = grpc.unary_unary_rpc_method_handler(lambda wire, _: counted.answer(wire))
    count: Method = grpc.unary_unary_rpc_method_handler(lambda _, __: counted.count())
    server.add_generic_rpc_handlers(_handlers(answer, count))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    click.echo(port)  # not before: who connects too early waits 20 s for a handshake
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    server.stop(0).wait()


async def serve_asyncio(counted: Counted) -> None:
    """Serve from one event loop."""

    async def answered(wire: bytes, _: object) -> bytes:
        return counted.answer(wire)

    async def counts(_: bytes, __: object) -> bytes:
        return counted.count()

    server = grpc.aio.server(options=OPTIONS)
    answer: Method = grpc.unary_unary_rpc_method_handler(answered)
    count: Method = grpc.unary_unary_rpc_method_handler(counts)
    server.add_generic_rpc_handlers(_handlers(answer, count))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    click.echo(port)
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()
    await server.stop(0)


def _handlers(answer: Method, count: Method) -> tuple[grpc.GenericRpcHandler, ...]:
    served = {"sonoba.v1.Predictor": {"Predict": answer}, "bench.Echo": {"Count": count}}
    return tuple(grpc.method_handlers_generic_handler(*entry) for entry in served.items())


@click.command()
@click.option("--kind", type=click.Choice(["sync", "asyncio"]), default="sync")
@click.option("--threads", default=8)
@click.option("--answer-bytes", default=64, help="Size of every answer.")
@click.option("--model-files", default="", help="Run the service's core with these models.")
def main(kind: str, threads: int, answer_bytes: int, model_files: str) -> None:
    """Serve an echo of fixed size, or the service's core, until SIGINT."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    answer = bytes(answer_bytes)
    counted = Counted(core(model_files) if model_files else lambda _: answer)
    if kind == "sync":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        serve_sync(counted, threads)
    else:
        asyncio.run(serve_asyncio(counted))


if __name__ == "__main__":
    main()
