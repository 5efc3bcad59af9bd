"""Versions that change under load: no call fails, and every answer is the named version's."""

import threading
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.layer_draft import layer_draft
from model.schema import Column, Schema
from model.store import Store
from sonoba.v1 import predictor_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import COLUMNS
from tests.service.test_batch import batch, predictions
from tests.service.test_operation import scrape
from tests.service.watched import NAME, request, stub_of, wait

pytestmark = pytest.mark.slow  # seconds, all together

SWAPS, SETTLED, POLLED = 1000, 100, 60
PROMPTS = 24
PAUSE_SECONDS = 0.02  # between two calls of a client: most of the interpreter is for swaps
ANSWERS_A_SWAP = 2
FOUNDATION = load(FOUNDATION_FILE).model
SCORED = pb.PredictOptions(include_shift_score=True)


class Versions:
    """Three versions of one model in a store: two profiles with their references, and layers."""

    def __init__(self, folder):
        self.store = Store(folder)
        columns = Schema(tuple(Column(name, "") for name in COLUMNS))
        layers = layer_draft(NAME, FOUNDATION, columns, datetime(2026, 1, 2, tzinfo=UTC))
        self.names = [
            self.store.save(*watched.drafted(found=watched.fitted())),
            self.store.add(*watched.drafted(found=watched.fitted(1))),
            self.store.add(*layers),
        ]
        references = [watched.fitted().reference.id, watched.fitted(1).reference.id, ""]
        self.references = dict(zip(self.names, references, strict=True))
        self.block = asked(5, PROMPTS)[0]
        self.expected = {
            name: load_stored(folder, NAME, name, FOUNDATION).model.answer(self.block)
            for name in self.names
        }

    def next(self, place):
        """Return the versions in turns: some from memory, where they were before, some read."""
        return self.names[(0, 1, 0, 1, 2)[place % 5]]


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return Versions(tmp_path_factory.mktemp("store"))


class Load:
    """Client threads that call until they are told to stop, and what was wrong with the answers."""

    def __init__(self, served, versions):
        self.versions, self._served = versions, served
        self.wrong, self.seen, self.series = [], Counter(), 0
        self._stopping = threading.Event()
        kinds = (self._unary, self._unary, self._batch, self._stream, self._scrapes)
        self._threads = [threading.Thread(target=self._until, args=(one,)) for one in kinds]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _until(self, call):
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self._served.server.grpc_port}") as channel:
                call(stub_of(channel))
        except Exception as error:
            self.wrong.append(repr(error))

    def check(self, version, reference, place, numbers, mode):
        """Note an answer that is not the version's that it names, or names another's reference."""
        expected = self.versions.expected.get(version)
        self.seen[version] += 1
        if expected is None or mode != expected.modes[0]:
            self.wrong.append(f"{version}: mode {mode}")
        elif self.versions.references[version] != reference:
            self.wrong.append(f"{version}: reference {reference}")
        elif not np.allclose(numbers, expected.predictions[place], rtol=1e-9, atol=0.0):
            self.wrong.append(f"{version}: another version's answer")

    def _one(self, response, place):
        found = response.model_version, response.reference, place
        self.check(*found, response.predictions, response.mode)
        if response.HasField("shift_score") != bool(response.reference):
            self.wrong.append(f"{response.model_version}: a score without its reference")

    def _unary(self, stub):
        place = 0
        while not self._stopping.wait(PAUSE_SECONDS):
            place = (place + 1) % PROMPTS
            asking = request(self.versions.block, place, options=SCORED)
            self._one(stub.Predict(asking, timeout=30.0), place)

    def _batch(self, stub):
        block = self.versions.block
        whole = batch(*block.context, block.queries, model=NAME)
        while not self._stopping.wait(PAUSE_SECONDS):
            response = stub.PredictBatch(whole, timeout=30.0)
            named = response.model_version, response.reference
            self.check(*named, slice(None), predictions(response, PROMPTS), response.modes[0])

    def _stream(self, stub):
        free = threading.Semaphore(4)  # under way: else what waits in the transport is memory too

        def messages():
            place = 0
            while free.acquire() and not self._stopping.is_set():
                place = (place + 1) % PROMPTS
                asking = request(self.versions.block, place, options=SCORED)
                yield pb.PredictStreamRequest(sequence=place, request=asking)

        for answer in stub.PredictStream(messages()):
            self._stopping.wait(PAUSE_SECONDS)
            free.release()
            self._one(answer.response, answer.sequence)

    def _scrapes(self, _):
        """Read metrics and page as they are read in operation; count what stands for references."""
        server = self._served.server
        page = f"http://127.0.0.1:{server.metrics_port}/status.json"
        while not self._stopping.wait(0.25):
            lines = [line for line in scrape(server).splitlines() if f'model="{NAME}"' in line]
            told = [line for line in lines if line.startswith("sonoba_drift_prompts_total{")]
            if not 1 <= len(told) <= 2:
                self.wrong.append(f"expected one or two references, got {told}")
            self.series = max(self.series, len(lines))
            urllib.request.urlopen(page, timeout=10).read()


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_thousand_swaps_under_load_fail_no_call_mix_no_answers_and_leak_nothing(
    serving, versions
):
    served = serving(store=versions.store.folder, store_poll_seconds=3600.0)
    follow, memory, threads = served.server.installed.follow, [], []
    version = served.server.installed.told(NAME).model_version
    with Load(served, versions) as load:
        for place in range(1, SWAPS + 1):
            versions.store.promote(NAME, version := versions.next(place))
            follow(versions.store)
            assert served.server.installed.told(NAME).model_version == version
            wait(lambda: load.seen.total() > ANSWERS_A_SWAP * place)  # noqa: B023
            if place >= SETTLED and not place % 50:
                memory.append(resident_bytes())
                threads.append(threading.active_count())

    assert load.wrong == []
    assert load.seen.total() > ANSWERS_A_SWAP * SWAPS
    assert min(load.seen[name] for name in versions.names) > 100
    swaps = served.server.registry.get_sample_value
    assert swaps("sonoba_swaps_total", {"model": NAME, "outcome": "ok"}) == SWAPS
    assert swaps("sonoba_swaps_total", {"model": NAME, "outcome": "refused"}) == 0.0
    assert min(threads[-5:]) <= threads[0]  # a thread that answers a scrape comes and goes
    assert max(memory) < 1.05 * memory[0]
    print(f"\n{load.seen.total()} answers, {memory[0] / 2**20:.1f} MiB, then at most "
          f"{max(memory) / 2**20:.1f}, {max(threads)} threads, {load.series} series")  # fmt: skip


def test_the_server_follows_the_pointer_by_itself(serving, versions):
    served = serving(store=versions.store.folder, store_poll_seconds=0.01)
    began = time.monotonic()
    with Load(served, versions) as load:
        for place in range(1, POLLED + 1):
            version = versions.next(place)
            versions.store.promote(NAME, version)
            wait(lambda: served.server.installed.told(NAME).model_version == version)  # noqa: B023

    assert load.wrong == []
    assert set(load.seen) == set(versions.names)
    assert time.monotonic() - began < 60.0
