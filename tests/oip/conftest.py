"""A real server that speaks both contracts, and the public client in an environment of its own."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from service.server import Server
from service.settings import Settings
from sonoba.v1 import predictor_pb2_grpc
from tests.oip.public import Stub
from tests.service.asking import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-triton/bin/python"
WEATHER = {
    "kind": "paper",
    "name": "weather",
    "covariance": [[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]],
    "noise_variance": 0.5,
    "columns": [{"name": name} for name in COLUMNS],
    "label_unit": "kW",
}


@pytest.fixture
def speaking():
    """Start servers with the given settings; stop them when the test ends."""
    started = []

    def start(**settings):
        server = Server(Settings(grpc_port=0, metrics_port=0, **settings))
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        started.append((server, channel))
        return connected(server, channel)

    yield start
    for server, channel in started:
        channel.close()
        server.stop(0.0)


def connected(server, channel):
    address = f"127.0.0.1:{server.grpc_port}"
    ours, theirs = predictor_pb2_grpc.PredictorStub(channel), Stub(channel)
    return SimpleNamespace(
        server=server, channel=channel, address=address, ours=ours, theirs=theirs
    )


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """One server with the foundation model and a paper model of three named columns."""
    path = tmp_path_factory.mktemp("models") / "weather.json"
    path.write_text(json.dumps(WEATHER))
    server = Server(Settings(grpc_port=0, metrics_port=0, model_files=(path,)))
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    yield connected(server, channel)
    channel.close()
    server.stop(0.0)


@pytest.fixture
def ours(served):
    return served.ours


@pytest.fixture
def theirs(served):
    return served.theirs


def task(seed=0, M=16, d=3, Q=2, n=0):
    """Return x, y and query of a noisy linear task, or of n stacked ones."""
    rng = np.random.default_rng(seed)
    many = (n,) if n else ()
    x = rng.normal(size=(*many, M + Q, d))
    y = x @ rng.normal(size=d) + 0.1 * rng.normal(size=(*many, M + Q))
    return x[..., :M, :].copy(), y[..., :M].copy(), x[..., M:, :].copy()


class Public:
    """The public client in a process of its own, told what to do line by line."""

    def __init__(self, process):
        self._process = process

    def __call__(self, address, call, *arguments, **named):
        """Return what a method of the client returns; what it raises is returned as its status."""
        line = {"address": address, "call": call, "arguments": arguments, "named": named}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the public client ended"
        return json.loads(answer)["answer"]


@pytest.fixture(scope="session")
def public():
    """The public Triton client; `make triton` installs it."""
    if not (PYTHON.parents[1] / "done").exists():
        pytest.skip("the public Triton client is not installed: make triton")
    script = Path(__file__).with_name("triton")  # its __main__.py
    with subprocess.Popen(
        [PYTHON, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Public(process)
        process.stdin.close()
