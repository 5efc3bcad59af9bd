"""The exact solves beside the replies, mostly on a real server that samples every prompt."""

import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.document import changed
from model.features import Number
from model.manifest import Feature, FeatureSchema, Label
from model.packing import pack
from model.prompt import Block, Examples
from model.schema import Column, Schema
from model.store import Store
from model.support import Wanted
from service import shadow as shadow_module
from service.shadow import NUMBERS_MAX, QUEUE_PROMPTS, Shadow
from sonoba.v1 import predictor_pb2 as pb
from tests.model import profiles, versions
from tests.service.asking import COLUMNS, asking

FOUNDATION = load(FOUNDATION_FILE)
RATIO = "sonoba_shadow_disagreement_ratio"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the profile `tasks` of three features."""
    listed = tuple(Column(name, "") for name in COLUMNS)
    schema = FeatureSchema(
        features=tuple(Feature(name=n, unit="", mean=0.0, deviation=1.0) for n in COLUMNS),
        label=Label(name="y", unit="", mean=0.0, deviation=1.0),
        sources=tuple(Number(name=name) for name in COLUMNS),
        hash=Schema(listed).hash,
    )
    update = {"feature_schema": schema, "feature_count": len(COLUMNS)}
    folder = tmp_path_factory.mktemp("store")
    Store(folder).save(
        changed(versions.a_draft("tasks"), **update), pack(profiles.learnt(), "profile")
    )
    return folder


def counted(server, model, outcome):
    labels = {"model": model, "outcome": outcome}
    return server.registry.get_sample_value("sonoba_shadow_prompts_total", labels)


def sampled(server, name, **labels):
    return server.registry.get_sample_value(name, labels)


def wait(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.005)


def request(block, **fields):
    return asking(block.context.x[0], block.context.y[0], block.queries[0], **fields)


def naive_foundation(block):
    """Return exact ridge at the λ that leave-one-out by refitting chooses, (Q,)."""
    x, y, v = block.context.x[0], block.context.y[0], block.queries[0]
    unit, label_unit = x.std(0, ddof=1), y.std(ddof=1)
    u, r = (x - x.mean(0)) / unit, (y - y.mean()) / label_unit
    M, d = x.shape

    def score(penalty):
        hat = u @ np.linalg.solve(u.T @ u + penalty * np.eye(d), u.T)
        left = 1.0 - np.minimum(np.diag(hat) + 1.0 / M, 0.98)
        loss = (((r - hat @ r) / left) ** 2).mean()
        return 0.5 * M * np.log(loss) + np.log(penalty / d) ** 2

    chosen = min(FOUNDATION.model.lambda_grid, key=score)
    w = np.linalg.solve(u.T @ u + chosen * np.eye(d), u.T @ r)
    return y.mean() + label_unit * ((v - x.mean(0)) / unit) @ w


def naive_profile(block):
    """Return the posterior mean under the learnt prior, (Q,)."""
    bucket = profiles.learnt().bucket(block.example_count)
    X, r, v, origin, unit = profiles.working(block, bucket)
    m, psi, noise = bucket.prior.mean, bucket.prior.covariance, bucket.prior.noise_variance
    w = m + np.linalg.solve(X.T @ X / noise + np.linalg.inv(psi), X.T @ (r - X @ m) / noise)
    return origin + unit * v @ w


NAIVE = {"foundation": naive_foundation, "tasks": naive_profile}


@pytest.mark.parametrize("model", ["foundation", "tasks"])
def test_every_prompt_is_counted_with_its_distance_from_the_naive_exact_solve(
    serving, store, model
):
    one = serving(shadow_share=1.0, store=store)
    served = FOUNDATION if model == "foundation" else load_stored(store, model)
    expected = []
    for seed in range(6):
        block, _ = profiles.asked(seed, M=16)
        answered = np.array(one.stub.Predict(request(block, model=model)).predictions)
        errors = served.model.support(block, Wanted((0.95,))).intervals.standard_errors[0]
        expected.append((np.abs(answered - NAIVE[model](block)) / errors).max())
    wait(lambda: counted(one.server, model, "solved") == 6)

    assert sampled(one.server, f"{RATIO}_count", model=model) == 6
    assert sampled(one.server, f"{RATIO}_sum", model=model) == pytest.approx(sum(expected), 1e-6)
    own = {"model": model, "reference": "warming"}  # neither has a reference here
    distance = sampled(one.server, "sonoba_drift_shadow_disagreement_total", **own)
    assert distance == sampled(one.server, f"{RATIO}_sum", model=model)
    assert sampled(one.server, "sonoba_drift_shadow_prompts_total", **own) == 6
    under = sum(ratio <= 0.05 for ratio in expected)
    assert sampled(one.server, f"{RATIO}_bucket", model=model, le="0.05") == under
    assert counted(one.server, model, "failed") == counted(one.server, model, "dropped") == 0
    assert sum(expected) > 1e-6  # the layers are not exact: there was something to measure


def test_what_has_no_exact_twin_is_not_counted(serving, paper_file, prompt):
    one = serving(shadow_share=1.0, model_files=(paper_file,))
    x, y, queries = prompt

    one.stub.Predict(asking(x, y, queries, model="weather"))
    one.stub.Predict(asking(x, np.ones(16), queries))  # the mean of the labels answers
    one.stub.Predict(asking(x, y, queries))
    wait(lambda: counted(one.server, "foundation", "solved") == 1)

    assert counted(one.server, "weather", "solved") is None
    assert sampled(one.server, f"{RATIO}_count", model="foundation") == 1


def test_a_prompt_with_gaps_is_solved_as_it_was_filled(serving, store):
    one = serving(shadow_share=1.0, store=store)
    block, _ = profiles.asked(0, M=16)
    block.context.x[0, 3, 1] = np.nan
    options = pb.PredictOptions(missing_value_policy=pb.MISSING_VALUE_POLICY_IMPUTE)

    one.stub.Predict(request(block, model="tasks", options=options))
    wait(lambda: sum(counted(one.server, "tasks", o) for o in ("solved", "failed")) == 1)

    assert counted(one.server, "tasks", "solved") == 1
    assert sampled(one.server, f"{RATIO}_sum", model="tasks") < 0.5


def test_a_failing_solve_is_counted_and_the_server_lives_on(serving, monkeypatch, prompt):
    one = serving(shadow_share=1.0)
    with monkeypatch.context() as patched:
        patched.setattr(
            type(FOUNDATION.model), "exact", lambda self, block: np.full((1, 2), np.nan)
        )
        first = one.stub.Predict(asking(*prompt))
        wait(lambda: counted(one.server, "foundation", "failed") == 1)

    second = one.stub.Predict(asking(*prompt))
    wait(lambda: counted(one.server, "foundation", "solved") == 1)

    assert first.predictions == second.predictions


def offered(shadow, prompt, count=1):
    x, y, queries = prompt
    block = Block(Examples(x[None], y[None]), queries[None])
    answer = FOUNDATION.model.answer(block)
    for _ in range(count):
        shadow.offer(FOUNDATION, block, answer)
    return SimpleNamespace(x=weakref.ref(block.context.x), y=weakref.ref(block.context.y))


def test_a_full_queue_drops_and_counts(prompt):
    shadow = Shadow([FOUNDATION], 1.0)  # nobody solves yet
    outcomes = shadow.tallies["foundation"].outcomes

    offered(shadow, prompt, QUEUE_PROMPTS + 3)

    assert outcomes == {"solved": 0, "dropped": 3, "failed": 0}
    shadow.start()
    wait(lambda: outcomes["solved"] == QUEUE_PROMPTS)
    shadow.stop()
    assert not shadow._thread.is_alive()


def test_a_prompt_too_large_to_keep_is_dropped():
    shadow = Shadow([FOUNDATION], 1.0)
    x = np.random.default_rng(0).normal(size=(NUMBERS_MAX // 4 + 1, 4))

    offered(shadow, (x, x[:, 0], x[:1]))

    assert shadow.tallies["foundation"].outcomes["dropped"] == 1
    assert shadow._queue.empty()


def test_nothing_of_a_prompt_outlives_its_solve(prompt):
    shadow = Shadow([FOUNDATION], 1.0)
    kept = offered(shadow, tuple(part.copy() for part in prompt))
    assert kept.x() is not None

    shadow.start()
    wait(lambda: kept.x() is None and kept.y() is None)

    assert shadow.tallies["foundation"].outcomes["solved"] == 1
    shadow.stop()


def test_the_thread_ends_with_the_server(serving):
    one = serving(shadow_share=1.0)
    thread = one.server._shadow._thread
    assert thread.is_alive()

    one.server.stop(0.0)

    assert not thread.is_alive()


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (0.1, 140)])
def test_the_share_of_prompts_is_that_of_the_settings(prompt, share, most):
    shadow = Shadow([FOUNDATION], share)
    outcomes = shadow.tallies["foundation"].outcomes

    offered(shadow, prompt, 1000)

    seen = shadow._queue.qsize() + outcomes["dropped"]
    assert seen <= most  # 100 by chance, standard error 9.5
    assert (seen > 60) == (share > 0.0)


@pytest.mark.slow
def test_exact_solves_take_no_more_than_their_share_for_long(prompt, monkeypatch):
    monkeypatch.setattr(shadow_module, "BURST_SECONDS", 0.02)
    monkeypatch.setattr(shadow_module, "PROCESSOR_SHARE", 0.05)
    spent = []

    def busy(*_):
        began = time.thread_time()
        while time.thread_time() < began + 0.005:
            pass
        spent.append(time.thread_time() - began)
        return 0.5

    monkeypatch.setattr(shadow_module, "disagreement", busy)
    shadow = Shadow([FOUNDATION], 1.0)
    shadow.start()
    began = time.monotonic()
    while time.monotonic() < began + 1.0:
        offered(shadow, prompt, 1)
        time.sleep(0.002)
    shadow.stop()

    outcomes = shadow.tallies["foundation"].outcomes
    assert outcomes["dropped"] > 0
    assert 0.03 < sum(spent) < 0.02 + 0.05 * (time.monotonic() - began) + 0.02
