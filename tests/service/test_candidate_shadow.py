"""A candidate beside the version in force: both errors against refits without each row."""

import logging
import shutil
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, Artifact, load, load_stored
from model.document import changed
from model.history import Group, History
from model.layer_draft import layer_draft
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_fit import fit
from model.prompt import Block, Examples
from model.schema import Column, Schema
from model.store import Store
from monitoring.levels import CLIP
from monitoring.monitor import Monitor
from service.candidate_shadow import Beside, natural, natural_errors
from service.line import Budget, Line
from service.slot import Served
from service.watching import Watching
from sonoba.v1 import predictor_pb2 as pb
from tests.model import profiles
from tests.model.profiles import asked, summarised
from tests.monitoring.refits import refitted, refitted_at
from tests.service import watched
from tests.service.asking import COLUMNS
from tests.service.test_batch import batch
from tests.service.watched import NAME, drafted, request, wait

pytestmark = pytest.mark.slow  # seconds, all together

FOUNDATION = load(FOUNDATION_FILE).model
SCHEMA = Schema(tuple(Column(name, "") for name in COLUMNS))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
M = 40
LAW = PaperModel(np.diag(profiles.SPREAD**2), noise_variance=12.0, task_variance=2.0)


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "store")
    found.save(*drafted())
    return found


def candidates():
    """Return one of every kind, each in units of its own."""
    return {
        "profile": drafted(found=watched.fitted(1)),
        "foundation": layer_draft(NAME, FOUNDATION, SCHEMA, NOON),
        "paper": layer_draft(NAME, LAW, SCHEMA, NOON),
    }


def send(served, block):
    served.stub.PredictBatch(batch(*block.context, block.queries, model=NAME))


def follow(served, store):
    served.server.installed.follow(store)
    return served.server.installed.told(NAME)


def shown(served, outcome):
    labels = {"model": NAME, "outcome": outcome}
    return served.server.registry.get_sample_value("sonoba_candidate_prompts_total", labels)


def normal(reference, made, length):
    """Return what is normal for prompts of a length, label units², by the formula."""
    base = reference.baselines
    place = int(np.abs(np.log(length / base.lengths)).argmin())
    moved = np.interp(np.log(length), np.log(base.lengths), np.log(base.natural))
    loo = base.loo[place] * np.exp(moved) / base.natural[place]
    return loo * made.smoother.label_unit**2


def by_rows(made):
    """Return mean e² (B,) in label units², row by row: e = (r - uᵀŵ)/(1 - uᵀPu - c/M)."""
    s, errors = made.smoother, []
    for b, w in enumerate(s.coefficients):
        own = []
        for u, r in zip(s.rows[b], s.labels[b], strict=True):
            leverage = u @ s.inverse[b] @ u + s.centred / s.count
            assert leverage < 0.5  # above it, rows are refitted
            own.append((r - u @ w) / (1.0 - leverage))
        errors.append(np.mean(np.square(own)) * s.label_unit[b] ** 2)
    return np.array(errors)


def mean_square(errors):
    return (errors**2).mean(axis=1)


REFITS = {
    "profile": lambda model, block: mean_square(refitted(model, block)),
    "foundation": lambda model, block: (
        mean_square(refitted_at(model, model.estimator(block)))
        * model.estimator(block).smoother.label_unit ** 2
    ),
    "paper": lambda model, block: mean_square(refitted(model, block)),
}


def paired_of(served):
    return served.server.installed.told(NAME).paired


@pytest.mark.parametrize("kind", REFITS)
def test_paired_sums_are_those_of_refits_without_each_row(serving, store, kind):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    first, other = store.current(NAME).version, store.add(*candidates()[kind])
    store.nominate(NAME, other)
    follow(served, store)
    block = asked(11, 60, M)[0]
    send(served, block)
    wait(lambda: paired_of(served) is not None and paired_of(served).prompt_count == 60)
    paired = paired_of(served)

    model, new = (
        load_stored(store.folder, NAME, version, FOUNDATION).model for version in (first, other)
    )
    made = model.estimator(block)
    over = normal(watched.fitted().reference, made, M)
    exact = np.minimum(by_rows(made) / over, CLIP)
    np.testing.assert_allclose(paired.served().mean, exact.mean(), rtol=1e-9)
    refits = np.minimum(mean_square(refitted(model, block)) / over, CLIP)
    np.testing.assert_allclose(paired.served().mean, refits.mean(), rtol=0.01)
    theirs = np.minimum(REFITS[kind](new, block) / over, CLIP)
    np.testing.assert_allclose(paired.candidate().mean, theirs.mean(), rtol=0.01)
    if kind != "paper":
        own = np.minimum(by_rows(new.estimator(block)) / over, CLIP)
        np.testing.assert_allclose(paired.candidate().mean, own.mean(), rtol=1e-9)
    assert 0.5 < theirs.mean() < 0.9 * CLIP  # the clip says nothing of units
    assert paired.gain().mean == pytest.approx(1.0 - paired.candidate().mean / exact.mean())


def test_a_candidate_is_told_and_counted_and_never_a_reply(serving, store):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    first, other = store.current(NAME).version, store.add(*candidates()["profile"])
    store.nominate(NAME, other)
    told = follow(served, store)
    assert (told.model_version, told.candidate_version, told.paired) == (first, other, None)
    send(served, asked(11, 60, M)[0])
    wait(lambda: shown(served, "paired") == 60.0)

    assert shown(served, "left_out") == shown(served, "failed") == 0.0
    assert served.stub.Predict(request(asked(11, 1, M)[0])).model_version == first
    labels = {"model": NAME, "outcome": "ok"}
    assert served.server.registry.get_sample_value("sonoba_swaps_total", labels) == 0.0


def beside_in(served):
    return served.server._slots.get(NAME).line.beside


def test_sums_begin_again_with_another_candidate_and_with_another_version(serving, store):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    one, two = (store.add(*candidates()[kind]) for kind in ("profile", "foundation"))
    store.nominate(NAME, one)
    follow(served, store)
    send(served, asked(12, 25, M)[0])
    wait(lambda: beside_in(served).paired.prompt_count == 25)
    store.nominate(NAME, two)
    assert follow(served, store).paired is None
    send(served, asked(13, 30, M)[0])
    wait(lambda: beside_in(served).paired.prompt_count == 30)
    kept = beside_in(served)
    store.promote(NAME, one)
    store.nominate(NAME, two)

    told = follow(served, store)
    assert (told.model_version, told.candidate_version, told.paired) == (one, two, None)
    assert beside_in(served) is not kept


def test_sums_go_on_while_neither_of_the_two_changes_and_end_with_the_candidate(serving, store):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    pointer = store.nominate(NAME, store.add(*candidates()["profile"]))
    follow(served, store)
    kept = beside_in(served)
    again = changed(pointer, serial=pointer.serial + 1)
    (store.folder / NAME / "current").write_bytes(again.content)
    follow(served, store)

    assert beside_in(served) is kept
    store.nominate(NAME, "")
    assert follow(served, store).candidate_version == ""
    assert beside_in(served) is None


def test_a_candidate_is_put_in_force_from_memory(serving, store):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    other = store.add(*candidates()["paper"])
    pointer = store.nominate(NAME, other)
    follow(served, store)
    shutil.rmtree(store.folder / NAME / "versions" / other)
    path = store.folder / NAME / "current"
    path.write_bytes(pointer.promoted(other).content)  # the store would miss the version

    told = follow(served, store)
    assert (told.model_version, told.candidate_version, told.refusal) == (other, "", "")


def test_a_damaged_candidate_is_refused_and_what_is_in_force_stays(serving, store):
    served = serving(store=store.folder, store_poll_seconds=3600.0)
    first, bad = store.current(NAME).version, store.add(*drafted(found=watched.fitted(1)))
    (store.folder / NAME / "versions" / bad / "weights.npz").write_bytes(b"none")
    store.nominate(NAME, bad)
    told = follow(served, store)

    assert (told.model_version, told.candidate_version, told.refused_version) == (first, "", bad)
    assert "weights.npz" in told.refusal
    labels = {"model": NAME, "outcome": "refused"}
    assert served.server.registry.get_sample_value("sonoba_swaps_total", labels) == 1.0
    store.nominate(NAME, "")
    assert follow(served, store).refused_version == ""


def test_while_there_is_no_normal_nothing_is_paired(serving, tmp_path):
    store = Store(watched.save(tmp_path / "store", found=watched.unwatched()))
    served = serving(
        store=store.folder,
        store_poll_seconds=3600.0,
        monitor_baseline_prompts=50,
        monitor_window_prompts=20,
    )
    store.nominate(NAME, store.add(*drafted(found=watched.fitted(1))))
    assert follow(served, store).candidate_version
    send(served, asked(14, 30, M)[0])
    monitor = served.server.installed.told(NAME).monitor
    wait(lambda: monitor.snapshot().prompt_count == 30)
    assert served.server._slots.get(NAME).line.beside.paired.prompt_count == 0
    send(served, asked(15, 30, M)[0])
    wait(lambda: served.server.installed.told(NAME).reference)
    send(served, asked(16, 30, M)[0])

    wait(lambda: served.server.installed.told(NAME).paired is not None)


def a_candidate(model):
    return Artifact(NAME, "0" * 12, SCHEMA, NOON, model)


def beside(model, fallback=FOUNDATION):
    counts = Counter()

    def count(outcome, prompts):
        counts[outcome] += prompts

    return Beside(a_candidate(model), fallback, count), counts


def elsewhere():
    """Return what a profile learns from rows far from those of the others."""
    groups = profiles.history().groups
    moved = tuple(replace(one, x=one.x + 60.0 * profiles.SPREAD) for one in groups)
    assert isinstance(groups[0], Group)
    return fit(History(moved, is_ordered=False))


@cache
def profile():
    """Return a profile as served; it is not learnt while files are collected."""
    return ProfileModel(profiles.learnt(), fallback=FOUNDATION)


def test_where_the_candidate_would_hand_a_prompt_on_what_answers_is_judged():
    block = asked(17, 12, M)[0]
    model = ProfileModel(elsewhere(), fallback=FOUNDATION)
    assert set(model.answer(block).modes) == {pb.MODE_FOUNDATION}
    found, counts = beside(model)
    found.look(block, profile().estimator(block), watched.fitted().reference)

    errors, is_answered = natural_errors(a_candidate(model), FOUNDATION, block)
    np.testing.assert_allclose(errors, natural(FOUNDATION.estimator(block)))
    assert is_answered.all()
    assert (found.paired.prompt_count, counts["paired"], counts["left_out"]) == (12, 12, 0)


def test_a_prompt_that_the_candidate_would_refuse_is_left_out_and_counted():
    here, there = asked(17, 7, M)[0], asked(18, 5, M)[0]
    far = 60.0 * profiles.SPREAD
    x = np.concatenate([here.context.x + far, there.context.x])
    y = np.concatenate([here.context.y, there.context.y])
    block = Block(Examples(x, y), np.concatenate([here.queries + far, there.queries]))
    model = ProfileModel(elsewhere())  # without a fallback
    assert list(model.answer(block).modes) == [pb.MODE_PROFILE] * 7 + [0] * 5
    found, counts = beside(model)
    found.look(block, profile().estimator(block), watched.fitted().reference)

    assert (found.paired.prompt_count, counts["paired"], counts["left_out"]) == (7, 7, 5)


def test_where_the_mean_of_the_labels_answers_its_error_is_judged():
    block = asked(19, 4, M)[0]
    x, y = block.context.x.copy(), block.context.y.copy()
    x[:2] = x[:2, :1]  # no feature of these varies
    y[3] = y[3, 0]
    block = Block(Examples(x, y), np.concatenate([x[:2, :1], block.queries[2:, :1]]))
    errors, is_answered = natural_errors(a_candidate(FOUNDATION), None, block)
    others = [[np.delete(y[b], i).mean() for i in range(M)] for b in range(4)]
    expected = ((y - np.array(others)) ** 2).mean(axis=1)

    np.testing.assert_allclose(errors[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-9, atol=1e-20)
    assert errors[2] == pytest.approx(natural(FOUNDATION.estimator(block))[2])
    assert is_answered.all()


def test_prompts_that_come_as_sums_have_nothing_to_pair():
    block = asked(20, 3, M)[0]
    found, counts = beside(FOUNDATION)
    found.look(
        summarised(block), profile().estimator(summarised(block)), watched.fitted().reference
    )

    assert found.paired.prompt_count == 0
    assert not counts


class Broken(PaperModel):
    def answer(self, block):
        raise RuntimeError("no answer")


class Slow(PaperModel):
    """Takes ten milliseconds of a processor for every prompt."""

    def answer(self, block):
        until = time.thread_time() + 0.01 * len(block.queries)
        while time.thread_time() < until:
            pass
        return super().answer(block)


def watching(candidate):
    """Return a line with a candidate, and what watches it by hand."""
    line = Line(profile(), Monitor(NAME, "v", "profile", watched.fitted().reference), Budget())
    line.beside, counts = beside(candidate)
    served = Served.of(Artifact(NAME, "v", SCHEMA, NOON, profile()), line)
    return line, Watching([served], Budget()), served, counts


def test_a_candidate_that_breaks_costs_its_sums_only_and_is_logged_once(caplog):
    line, found, served, counts = watching(Broken(np.eye(3), 0.5))
    with caplog.at_level(logging.ERROR, "sonoba"):
        for seed in range(3):
            block = asked(seed, 5, M)[0]
            found.offer(served, block, profile().answer(block))
            found.look()

    assert caplog.messages == [f"candidate {'0' * 12} of model {NAME} failed beside it"]
    assert line.monitor.snapshot().prompt_count == 15
    assert (line.beside.paired.prompt_count, counts["failed"]) == (0, 5)


def test_what_a_candidate_costs_counts_within_the_share_of_the_monitor():
    line, found, served, _ = watching(Slow(np.eye(3), 0.5))
    block = asked(1, 20, M)[0]
    found.offer(served, block, profile().answer(block))
    found.look()

    assert line.beside.paired.prompt_count == 20
    assert 0.01 < line.prompt_seconds < 0.1
    allowance = Budget().processor_share * 0.5
    assert line.prompt_seconds * 20 > allowance  # so the next looks wait for it to be paid
