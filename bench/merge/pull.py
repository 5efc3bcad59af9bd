"""The re-evaluator's own client against a thousand admin ports: how long a look takes.

All ports are of one server process on this machine, which hands out states made before; so what is
measured is the side that asks, with connections that are made and kept as in use.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent import futures
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import grpc

from bench import machine
from bench.merge.process import VERSION
from service.connections import raise_file_limit
from service.gather import joined
from service.replica import SERVICE
from service.replicas import Replicas, Told
from sonoba.v1 import replica_pb2 as pb

LOOKS = 5
START_SECONDS = 60.0


class Look(NamedTuple):
    """One round of questions to all replicas."""

    seconds: float
    cpu_seconds: float  # of the side that asks
    told_count: int  # of replicas that answered within the deadline


class Pulled(NamedTuple):
    """Looks one after another: the first makes the connections."""

    replica_count: int
    looks: list[Look]
    memory_mb: list[float]  # resident: before, after the first look, after all
    is_enough: bool


def pull(answers: Sequence[bytes], replica_count: int, looks: int = LOOKS) -> Pulled:
    """Ask replica_count ports that answer `GetMonitorState` with these bytes in turn."""
    raise_file_limit()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, list(answers), replica_count))
    process.start()
    try:
        if not ours.poll(START_SECONDS):
            raise TimeoutError(f"pull: expected ports within {START_SECONDS:g} s, got none")
        return _looked(ours.recv(), looks)
    finally:
        process.terminate()
        process.join(START_SECONDS)


def serve(pipe: Connection, answers: list[bytes], count: int) -> None:
    """Listen on `count` ports, tell which, and answer until ended."""
    raise_file_limit()
    following = cycle(answers)
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        return next(following)

    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    handler = grpc.method_handlers_generic_handler(SERVICE, {"GetMonitorState": method})
    server.add_generic_rpc_handlers((handler,))
    ports = [server.add_insecure_port("127.0.0.1:0") for _ in range(count)]
    server.start()
    pipe.send(ports)
    server.wait_for_termination()


def _looked(ports: list[int], looks: int) -> Pulled:
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text("a-token-that-nobody-asks-for-here\n")
        token.chmod(0o600)
        replicas = Replicas([f"127.0.0.1:{port}" for port in ports], token)
        memory = [_memory()]
        found = []
        is_enough = False
        for number in range(looks):
            look, is_enough = _look(replicas)
            found.append(look)
            if number in (0, looks - 1):
                memory.append(_memory())
        replicas.close()
    return Pulled(len(ports), found, memory, is_enough)


def _look(replicas: Replicas) -> tuple[Look, bool]:
    """Ask all, join what they tell, and time both."""
    began, used = time.perf_counter(), time.process_time()
    told = replicas.told("bikes")
    gathered = joined(told, VERSION)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    count = sum(isinstance(one, Told) for one in told)
    return Look(seconds, cpu, count), gathered.is_enough


def answer_of(told: Told) -> bytes:
    """Return what a replica would send."""
    state = b"" if told.state is None else told.state.to_bytes()
    return pb.GetMonitorStateResponse(
        model_version=told.model_version, reference=told.reference, state=state
    ).SerializeToString()


def _memory() -> float:
    return machine.memory_mb(os.getpid())
