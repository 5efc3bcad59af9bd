"""A server whose callers all send the largest messages at once stays within what it is given."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sonoba
from deploy.checks.probes import MIB, needed_bytes, quantity
from service.settings import Settings
from tests.deploy import units
from tests.e2e.conftest import process  # noqa: F401

FEATURES, CALLERS = 64, 24
SETTINGS = Settings(threads=2, max_message_bytes=8 * MIB)


def peak_bytes(child):
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.slow
def test_the_largest_messages_of_many_callers_fit_in_the_bound(process):  # noqa: F811
    """Without the bound's second term they would not: the peak is far above what one call takes."""
    names = ("threads", "max_message_bytes")
    served = process(**{f"SONOBA_{name.upper()}": str(getattr(SETTINGS, name)) for name in names})
    row_count = int(0.95 * SETTINGS.max_message_bytes / 8 / (FEATURES + 1))
    features = np.random.default_rng(1).standard_normal((row_count, FEATURES))
    labels = features[:, 0]

    def call(_):
        with sonoba.Client(f"127.0.0.1:{served.grpc_port}") as client:
            return client.predict(features, labels, features[:1], timeout=120).model

    before = peak_bytes(served.child)
    with ThreadPoolExecutor(CALLERS) as callers:
        answered = list(callers.map(call, range(CALLERS)))
    peak = peak_bytes(served.child)

    assert answered == ["foundation"] * CALLERS
    assert before + 6 * SETTINGS.max_message_bytes < peak < needed_bytes(SETTINGS)


def test_the_unit_of_one_machine_has_the_memory_it_may_need(tmp_path):
    names = ("SONOBA_MAX_MESSAGE_BYTES", "SONOBA_THREADS")
    given = units.environment("sonoba", tmp_path)
    settings = Settings.from_environ({name: given[name] for name in names if name in given})
    (limit,) = units.read("sonoba")["MemoryMax"]

    assert quantity(f"{limit}i") >= needed_bytes(settings)
    assert quantity(f"{limit}i") < needed_bytes(
        Settings()
    )  # the size of messages is bound for this
