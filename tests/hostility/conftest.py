"""The service without a port, with a model of every kind: what all tests here attack."""

import json

import pytest

from bench.hostility.target import Target
from tests.service import watched
from tests.service.asking import COLUMNS


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A paper model of three columns."""
    path = tmp_path_factory.mktemp("models") / "paper.json"
    covariance = [[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]]
    columns = [{"name": name, "unit": "m"} for name in COLUMNS]
    entry = {"kind": "paper", "name": "weather", "covariance": covariance, "noise_variance": 0.5}
    path.write_text(json.dumps({**entry, "columns": columns}))
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of a profile with its reference."""
    return watched.save(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def target(model_file, store):
    """Everything that reads a request, in this process."""
    return Target((model_file,), store)
