"""A real server on loopback."""

import json
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from model.store import Store
from service import arrivals, bodies
from service.server import Server
from service.settings import Settings
from sonoba.v1 import predictor_pb2_grpc
from tests.model.versions import ARRAYS, a_draft
from tests.service.asking import COLUMNS
from tests.service.porting import Port


@pytest.fixture(scope="session")
def paper_file(tmp_path_factory):
    """A paper model with three named columns."""
    path = tmp_path_factory.mktemp("models") / "paper.json"
    covariance = [[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]]
    units = ["celsius", "percent", "m/s"]
    columns = [{"name": n, "unit": u} for n, u in zip(COLUMNS, units, strict=True)]
    entry = {"kind": "paper", "name": "weather", "covariance": covariance, "noise_variance": 0.5}
    path.write_text(json.dumps({**entry, "columns": columns, "label_unit": "kW"}))
    return path


@pytest.fixture
def store(tmp_path):
    """Return a store of one model: a version in force and one before it."""
    made = Store(tmp_path / "store")
    for row_count in (100, 200):
        made.save(a_draft(row_count=row_count), ARRAYS)
    return made


@pytest.fixture
def port():
    """Open ports around handlers of a test's own; close them when the test ends."""
    opened = []

    def start(handlers, **settings):
        opened.append(Port(handlers, **settings))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def unhurried(monkeypatch):
    """Call no request slow: on a busy machine some are, and count no more as pending."""
    for module in (arrivals, bodies):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
        monkeypatch.setattr(module, "PRESSED_SECONDS", 30.0)


@pytest.fixture
def serving():
    """Start servers with the given settings; stop them when the test ends."""
    started = []

    def start(**settings):
        server = Server(Settings(grpc_port=0, metrics_port=0, **settings))
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        stub = predictor_pb2_grpc.PredictorStub(channel)
        started.append((server, channel))
        return SimpleNamespace(server=server, channel=channel, stub=stub)

    yield start
    for server, channel in started:
        channel.close()
        server.stop(0.0)


@pytest.fixture(scope="module")
def served(paper_file):
    """One server with the foundation model and the paper model `weather`."""
    server = Server(Settings(grpc_port=0, metrics_port=0, model_files=(paper_file,)))
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    stub = predictor_pb2_grpc.PredictorStub(channel)
    yield SimpleNamespace(server=server, channel=channel, stub=stub)
    channel.close()
    server.stop(0.0)


@pytest.fixture
def stub(served):
    return served.stub


@pytest.fixture(scope="session")
def prompt():
    """Return x (16, 3), y (16,) and queries (2, 3) of a noisy linear task."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(18, 3)) * [1.0, 10.0, 0.1] + [20.0, 50.0, 3.0]
    y = x @ [2.0, -0.3, 5.0] + rng.normal(size=18)
    return x[:16], y[:16], x[16:]
