"""From replies to monitors: what is answered is watched or counted, and no reply waits for it."""

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from model.answer import Answer, Mode
from model.checkpoint import Artifact
from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.monitor import Monitor
from service.line import NUMBERS_MAX as LOOK_NUMBERS
from service.line import Budget, Line
from service.slot import Served
from service.watching import NUMBERS_MAX, Watching
from sonoba.v1 import predictor_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import examples, matrix
from tests.service.test_batch import batch
from tests.service.test_stream import numbered
from tests.service.watched import NAME, request, wait

pytestmark = pytest.mark.slow  # seconds, all together

PAPER = PaperModel(np.eye(2), noise_variance=0.5, centred=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return watched.save(tmp_path_factory.mktemp("store"))


class Counts:
    """The monitor's metrics of one model of a server."""

    def __init__(self, server, model=NAME):
        self._registry, self.model = server.registry, model
        monitor = server._monitors.by_model[model]
        self.reference = monitor.watch.reference.id if monitor.watch else "warming"

    def __call__(self, name, **labels):
        own = {"model": self.model, "reference": self.reference}
        return self._registry.get_sample_value(f"sonoba_drift_{name}", {**own, **labels})

    def skipped(self, reason):
        return self("skipped_prompts_total", reason=reason)


def test_prompts_of_every_call_arrive_in_the_metrics(serving, store):
    served = serving(store=store)
    counts, block = Counts(served.server), asked(3, B=60)[0]
    x, y = block.context

    for place in range(20):
        served.stub.Predict(request(block, place))
    wait(lambda: counts("prompts_total") == 20.0)
    served.stub.PredictBatch(batch(x[20:40], y[20:40], block.queries[20:40], model=NAME))
    wait(lambda: counts("prompts_total") == 40.0)
    list(served.stub.PredictStream(numbered(request(block, place) for place in range(40, 60))))
    wait(lambda: counts("prompts_total") == 60.0)

    assert counts("rows_total") == 60.0 * 16
    registry, of = served.server.registry, {"model": NAME}
    assert registry.get_sample_value("sonoba_queries_total", of) == 60.0 * block.queries.shape[1]
    assert registry.get_sample_value("sonoba_prompts_total", {**of, "mode": "profile"}) == 60.0
    for channel in ("h", "loo"):
        assert counts("channel_prompts_total", channel=channel) == 60.0
    assert 0.5 < counts("inflation_total", channel="h") / 60.0 < 2.0
    assert counts("inflation_ratio_count") == 60.0


def test_prompts_that_come_as_sums_are_watched_by_h_alone(serving, store):
    served = serving(store=store)
    counts, block = Counts(served.server), asked(4, B=20)[0]
    for x, y, queries in zip(*block.context, block.queries, strict=True):
        found = served.stub.SummarizeExamples(
            pb.SummarizeExamplesRequest(examples=examples(x, y), model=NAME)
        )
        asking = pb.PredictRequest(model=NAME, summary=found.summary, queries=matrix(queries))
        assert served.stub.Predict(asking).mode == pb.MODE_PROFILE
    wait(lambda: counts("prompts_total") == 20.0)

    assert counts("channel_prompts_total", channel="h") == 20.0
    assert counts("channel_prompts_total", channel="loo") == 0.0


def test_what_another_model_answered_is_counted_and_not_watched(serving, store):
    served = serving(store=store)
    counts, block = Counts(served.server), asked(5, B=30)[0]
    x, y, queries = block.context.x.copy(), block.context.y, block.queries.copy()
    x[:7, :, 2] *= 1000.0
    queries[:7, :, 2] *= 1000.0
    strange = Block(Examples(x, y), queries)
    modes = served.stub.PredictBatch(batch(x, y, queries, model=NAME)).modes
    assert served.stub.Predict(request(strange)).mode == pb.MODE_FOUNDATION
    wait(lambda: counts("prompts_total") == 23.0)

    assert list(modes).count(pb.MODE_FOUNDATION) == 7
    assert counts.skipped("other_mode") == 8.0


def test_the_same_prompt_again_is_a_duplicate(serving, store):
    served = serving(store=store)
    counts, block = Counts(served.server), asked(6, B=20)[0]
    for place in [*range(20), 3, 3]:
        served.stub.Predict(request(block, place))
    wait(lambda: counts.skipped("duplicate") == 2.0 and counts("prompts_total") == 20.0)

    again = serving(store=store, monitor_repeat_seconds=0.0)
    counts = Counts(again.server)
    for _ in range(20):
        again.stub.Predict(request(block))
    wait(lambda: counts("prompts_total") == 20.0)
    assert counts.skipped("duplicate") == 0.0


def test_beyond_the_budget_a_sample_is_watched_and_the_rest_is_counted(serving, store):
    served = serving(store=store, monitor_prompts_per_second=60)
    counts, block = Counts(served.server), asked(7, B=2000)[0]
    served.stub.PredictBatch(batch(*block.context, block.queries, model=NAME))
    monitor = served.server._monitors.by_model[NAME]
    wait(lambda: monitor.snapshot().prompt_count + counts.skipped("over_budget") == 2000)

    assert 30 <= monitor.snapshot().prompt_count <= 60  # one look, or two if it came between


def test_nothing_is_watched_where_settings_forbid_it(serving, store):
    served = serving(store=store, monitor_prompts_per_second=0)
    served.stub.Predict(request(asked(8)[0]))

    assert served.server._monitors.by_model == {}
    names = {family.name for family in served.server.registry.collect() if family.samples}
    assert not any(name.startswith("sonoba_drift") for name in names)
    assert served.stub.GetModel(pb.GetModelRequest(model=NAME)).model.reference == ""


def test_no_reply_waits_for_the_monitor(serving, store):
    served = serving(store=store)
    counts, block = Counts(served.server), asked(9, B=60)[0]
    x, queries = block.context.x.copy(), block.queries.copy()
    x[..., 2], queries[..., 2] = 1000.0 * x[..., 2], 1000.0 * queries[..., 2]
    strange = Block(Examples(x, block.context.y), queries)

    with served.server._monitors.by_model[NAME].lock:
        served.stub.Predict(request(block, 0))
        wait(lambda: served.server._monitors.watching.queued(NAME) == 0)  # the thread waits too
        modes = [served.stub.Predict(request(one, place), timeout=20.0).mode
                 for place in range(1, 40) for one in (block, strange)]  # fmt: skip
    wait(lambda: counts("prompts_total") == 40.0)

    assert modes == [pb.MODE_PROFILE, pb.MODE_FOUNDATION] * 39
    assert counts.skipped("other_mode") == 39.0


def prompts(count, seed=0, M=8):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(count, M + 1, 2)), rng.normal(size=(count, 2, 1))
    y = (x @ w)[..., 0] + rng.normal(size=(count, M + 1))
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


def artifact(name="m", model=PAPER, **budget):
    line = Line(model, Monitor(name, "v", "paper"), Budget(**budget))
    return Served.of(Artifact(name, "v", SimpleNamespace(hash=""), None, model), line)


def watching(*served):
    """Return what watches some models, by hand, and their monitors."""
    return Watching(served, Budget()), {one.name: one.monitor for one in served}


def test_all_that_waits_is_watched_when_it_stops():
    own = artifact()
    found, monitors = watching(own)
    found.start()
    block = prompts(200)
    found.offer(own, block, PAPER.answer(block))
    found.stop()

    assert found.queued("m") == 0
    assert monitors["m"].snapshot().prompt_count == 200


class Slow(PaperModel):
    """Holds whoever asks for its estimator until it is let go."""

    reached, go_on = threading.Event(), threading.Event()

    def estimator(self, block):
        self.reached.set()
        assert self.go_on.wait(30.0)
        return super().estimator(block)


def test_what_came_while_it_looked_is_watched_when_it_stops():
    own = artifact(model=Slow(np.eye(2), 0.5, centred=False))
    found, monitors = watching(own)
    found.start()
    found.offer(own, prompts(3), PAPER.answer(prompts(3)))
    assert own.model.reached.wait(30.0)
    found.offer(own, prompts(5, seed=1), PAPER.answer(prompts(5)))
    stopper = threading.Thread(target=found.stop)
    stopper.start()
    wait(found._stopping.is_set)
    own.model.go_on.set()
    stopper.join()

    assert monitors["m"].snapshot().prompt_count == 8


class Broken(PaperModel):
    def estimator(self, block):
        raise RuntimeError("no estimator")


def test_a_monitor_that_fails_is_logged_and_the_others_go_on(caplog):
    broken, own = artifact("broken", Broken(np.eye(2), 0.5)), artifact()
    found, monitors = watching(broken, own)
    for one in (broken, own):
        found.offer(one, prompts(10), PAPER.answer(prompts(10)))
    with caplog.at_level(logging.ERROR, "sonoba"):
        found.look()
        found.offer(own, prompts(4, seed=1), PAPER.answer(prompts(4)))
        found.look()

    assert caplog.messages == ["the monitor of model broken failed"]
    assert monitors["broken"].snapshot().prompt_count == 0
    assert monitors["m"].snapshot().prompt_count == 14


def test_modes_of_a_batch_are_told_apart_and_refused_prompts_are_no_prompts():
    own = artifact()
    found, monitors = watching(own)
    modes = bytes([Mode.PAPER, Mode.FOUNDATION, 0, Mode.PAPER, Mode.FOUNDATION])
    found.offer(own, prompts(5), Answer(np.zeros((5, 1)), modes, bytes(5), [], []))
    found.look()

    assert monitors["m"].snapshot().prompt_count == 2
    assert monitors["m"].snapshot().skipped["other_mode"] == 2


def test_a_prompt_too_large_to_keep_is_counted_once():
    own = artifact()
    found, monitors = watching(own)
    large = prompts(1, M=NUMBERS_MAX // 2)
    found.offer(own, large, PAPER.answer(large))
    found.look()

    skipped = {k: v for k, v in monitors["m"].snapshot().skipped.items() if v}
    assert skipped == {"queue_full": 1}


def test_the_first_look_knows_no_cost_and_takes_few_numbers():
    own = artifact()
    found, monitors = watching(own)
    M = LOOK_NUMBERS // 13  # of two features: six such prompts fit
    for seed in range(9):
        found.offer(own, (one := prompts(1, seed, M)), PAPER.answer(one))
    assert found.queued("m") == 6
    found.look()
    assert monitors["m"].snapshot().prompt_count == 6
    assert monitors["m"].snapshot().skipped["over_budget"] == 3

    for seed in range(9, 18):  # what they cost is known: a sample of all that come
        found.offer(own, (one := prompts(1, seed, M)), PAPER.answer(one))
    assert found.queued("m") == 9
    found.look()
    assert monitors["m"].snapshot().prompt_count == 12
    assert monitors["m"].snapshot().skipped["over_budget"] == 6


def test_a_prompt_larger_than_a_first_look_is_watched_by_itself():
    own = artifact()
    found, monitors = watching(own)
    for seed in range(2):
        found.offer(own, (one := prompts(1, seed, LOOK_NUMBERS // 2)), PAPER.answer(one))
    found.look()

    assert monitors["m"].snapshot().prompt_count == 1
    assert monitors["m"].snapshot().skipped["over_budget"] == 1


def test_a_model_nobody_watches_is_left_alone():
    found, _ = watching(artifact())

    found.offer(artifact("other"), prompts(1), PAPER.answer(prompts(1)))
    assert found.queued("m") == 0
