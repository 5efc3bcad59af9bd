"""Where the threads of a running server are: together on one core, or where they are told."""

import contextlib
import os
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from sonoba.v1 import predictor_pb2_grpc
from tests.e2e.workers import until
from tests.service.asking import asking

EVERYWHERE = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

pytestmark = [
    pytest.mark.slow,  # seconds, all together
    pytest.mark.skipif(len(EVERYWHERE) < 2, reason="wants two cores, and Linux"),
]

X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])


def threads(server):
    """Return the name of every thread and where it may be."""
    found = []
    for task in Path(f"/proc/{server.child.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found.append(
                ((task / "comm").read_text().strip(), os.sched_getaffinity(int(task.name)))
            )
    return found


def is_grpcs(name):
    return name.startswith(("event_engine", "grpc_", "lifeguard"))


def answer(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        return predictor_pb2_grpc.PredictorStub(channel).Predict(REQUEST, timeout=10)


def test_a_server_keeps_to_one_core_and_leaves_grpcs_threads_free(process):
    server = process()

    def settled():
        found = threads(server)
        ours = [where for name, where in found if not is_grpcs(name)]
        free = [where for name, where in found if is_grpcs(name)]
        core = os.sched_getaffinity(server.child.pid)  # of the first thread
        together = [where for where in ours if where == core]
        is_so = len(core) == 1 and len(together) == len(ours) - 1  # one looks at all cores
        return found if is_so and free == [EVERYWHERE] * len(free) else None

    until(settled)
    answer(server)
    found = until(settled)  # a thread just born is placed at the next look

    assert len(found) > 12
    assert any(is_grpcs(name) for name, _ in found)


def test_off_leaves_all_to_the_system(process):
    server = process("--pin", "off")
    time.sleep(2.5)  # in which it would have settled

    answer(server)

    assert all(where == EVERYWHERE for _, where in threads(server))


def test_on_keeps_the_whole_of_one_process_to_the_first_core(process):
    server = process("--pin", "on")

    answer(server)

    assert all(where == {min(EVERYWHERE)} for _, where in threads(server))
