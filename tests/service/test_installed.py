"""A server and its store: what is put in force, what is refused, what stays."""

import logging
import shutil
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, ArtifactError, load, load_stored
from model.last_evaluation import LastEvaluation
from model.layer_draft import layer_draft
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store
from service.server import Server
from service.settings import Settings
from service.slot import Slots
from service.start_error import StartError
from sonoba.v1 import predictor_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import COLUMNS
from tests.service.test_batch import batch
from tests.service.watched import NAME, drafted, request, wait

pytestmark = pytest.mark.slow  # seconds, all together

FOUNDATION = load(FOUNDATION_FILE).model
SCHEMA = Schema(tuple(Column(name, "") for name in COLUMNS))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BLOCK = asked(5, 60)[0]


def layers(name=NAME, model=FOUNDATION, schema=SCHEMA):
    return layer_draft(name, model, schema, NOON)


@pytest.fixture
def store(tmp_path):
    """A store with one profile in force; others are put beside it by the tests."""
    found = Store(tmp_path / "store")
    found.save(*drafted())
    return found


@pytest.fixture
def started(serving, store):
    """A server that looks at the store when a test says so."""
    return serving(store=store.folder, store_poll_seconds=3600.0)


def follow(started, store):
    started.server.installed.follow(store)
    return started.server.installed.told(NAME)


def swaps(started, outcome, name=NAME):
    labels = {"model": name, "outcome": outcome}
    return started.server.registry.get_sample_value("sonoba_swaps_total", labels)


def answers(store, version):
    return load_stored(store.folder, NAME, version, FOUNDATION).model.answer(BLOCK).predictions


def is_answered_by(started, store, version):
    response = started.stub.Predict(request(BLOCK))
    assert response.model_version == version
    np.testing.assert_allclose(response.predictions, answers(store, version)[0], rtol=1e-9)
    return True


def damage(store, version, file="weights.npz"):
    path = store.folder / NAME / "versions" / version / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_promoted_version_answers_and_brings_its_reference_and_its_monitor(started, store):
    first, second = store.current(NAME).version, store.add(*drafted(found=watched.fitted(1)))
    before = started.server.installed.told(NAME)
    store.promote(NAME, second)
    after = follow(started, store)

    assert is_answered_by(started, store, second)
    assert (before.model_version, after.model_version) == (first, second)
    assert after.reference == watched.fitted(1).reference.id != before.reference
    assert after.monitor.version == second and after.monitor is not before.monitor
    model = started.stub.GetModel(pb.GetModelRequest(model=NAME)).model
    assert (model.version, model.reference) == (second, after.reference)
    value = started.server.registry.get_sample_value
    kind = {"model": NAME, "kind": "profile"}
    assert value("sonoba_model_info", {**kind, "version": second}) == 1.0
    assert value("sonoba_model_info", {**kind, "version": first}) is None
    assert (swaps(started, "ok"), swaps(started, "refused")) == (1.0, 0.0)
    assert swaps(started, "ok", "foundation") == 0.0


def test_the_monitor_follows_and_what_the_version_before_answered_never_reaches_it(started, store):
    old = started.server.installed.told(NAME).monitor
    watching = started.server._monitors.watching
    with old.lock:  # its thread waits here, so the others wait in the queue
        started.stub.Predict(request(BLOCK, 0))
        wait(lambda: watching.queued(NAME) == 0)
        x, y = (part[:30] for part in BLOCK.context)
        started.stub.PredictBatch(batch(x, y, BLOCK.queries[:30], model=NAME))
        assert watching.queued(NAME) == 30
        store.promote(NAME, store.add(*drafted(found=watched.fitted(1))))
        new = follow(started, store).monitor
        assert watching.queued(NAME) == 0
    x, y = (part[30:] for part in BLOCK.context)
    started.stub.PredictBatch(batch(x, y, BLOCK.queries[30:], model=NAME))
    wait(lambda: new.snapshot().prompt_count == 30)

    assert old.snapshot().prompt_count == 1
    assert old.snapshot().skipped["over_budget"] == 30
    assert (new.snapshot().version, new.snapshot().reference) == (
        store.current(NAME).version,
        watched.fitted(1).reference.id,
    )
    value = started.server.registry.get_sample_value
    told = {
        one.reference_id: value(
            "sonoba_drift_prompts_total", {"model": NAME, "reference": one.reference_id}
        )
        for one in (old, new)
    }
    assert told == {old.reference_id: 0.0, new.reference_id: 30.0}  # blocks of 20 are public


def test_an_answer_under_way_names_the_reference_it_was_made_with(started, store):
    """Held between finding its version and answering, a call keeps what it found."""
    first = started.server.installed.told(NAME)
    found = started.server._slots.find(NAME, "")
    store.promote(NAME, store.add(*drafted(found=watched.fitted(1))))
    second = follow(started, store)
    third = store.add(*layers())
    store.promote(NAME, third)
    follow(started, store)

    assert (found.version, found.reference_id) == (first.model_version, first.reference)
    assert found.monitor is first.monitor and found.monitor is not second.monitor
    assert started.server._slots.find(NAME, "").version == third


@pytest.mark.parametrize("file", ["weights.npz", "manifest.json"])
def test_a_damaged_version_is_refused_once_and_the_one_before_serves_on(
    started, store, caplog, file
):
    first, bad = store.current(NAME).version, store.add(*drafted(found=watched.fitted(1)))
    damage(store, bad, file)
    store.promote(NAME, bad)
    with caplog.at_level(logging.INFO, "sonoba"):
        for _ in range(3):
            told = follow(started, store)

    assert is_answered_by(started, store, first)
    assert (told.model_version, told.refused_version) == (first, bad)
    assert f"{NAME}/{bad}: {file}" in told.refusal
    assert (swaps(started, "ok"), swaps(started, "refused")) == (0.0, 1.0)
    refusals = [one for one in caplog.messages if "is refused" in one]
    assert refusals == [f"model {NAME}: version {bad} is refused: {told.refusal}"]

    store.rollback(NAME)  # to what is served already
    told = follow(started, store)
    assert (told.model_version, told.refused_version, told.refusal) == (first, "", "")
    assert swaps(started, "refused") == 1.0


def test_a_rollback_needs_no_disk(started, store):
    first, second = store.current(NAME).version, store.add(*drafted(found=watched.fitted(1)))
    expected = answers(store, first)
    store.promote(NAME, second)
    follow(started, store)
    shutil.rmtree(store.folder / NAME / "versions" / first)
    pointer = store.current(NAME)
    path = store.folder / NAME / "current"
    path.write_bytes(pointer.rolled_back().content)  # the store would miss the version
    told = follow(started, store)

    response = started.stub.Predict(request(BLOCK))
    assert (told.model_version, response.model_version) == (first, first)
    np.testing.assert_allclose(response.predictions, expected[0], rtol=1e-9)
    assert told.reference == response.reference == watched.fitted().reference.id


OTHERS = {
    "names": (
        lambda: drafted(columns=("temp", "humidity", "rain")),
        "columns: expected those of version",
    ),
    "order": (
        lambda: drafted(columns=("humidity", "temp", "wind")),
        "columns: expected those of version",
    ),
    "units": (lambda: drafted(unit="celsius"), "in the same units"),
    "label unit": (lambda: drafted(label_unit="kW"), "label: expected the unit of version"),
    "width": (
        lambda: layers(model=PaperModel(np.eye(2), 0.5), schema=Schema()),
        "columns: expected those of version",
    ),
}


@pytest.mark.parametrize(("draw", "sentence"), OTHERS.values(), ids=OTHERS)
def test_other_columns_are_refused_for_callers_would_be(started, store, draw, sentence):
    first, other = store.current(NAME).version, store.add(*draw())
    store.promote(NAME, other)
    told = follow(started, store)

    assert (told.model_version, told.refused_version) == (first, other)
    assert sentence in told.refusal and first in told.refusal
    assert is_answered_by(started, store, first)


def test_a_version_that_fails_its_self_test_is_refused(started, store, monkeypatch):
    first, other = store.current(NAME).version, store.add(*layers())
    monkeypatch.setattr(
        type(FOUNDATION), "answer", lambda self, block: 1 / 0  # a bug of that kind of model
    )  # fmt: skip
    store.promote(NAME, other)
    told = follow(started, store)

    assert (told.model_version, told.refused_version) == (first, other)
    assert "ZeroDivisionError" in told.refusal
    assert is_answered_by_version(started, first)


def is_answered_by_version(started, version):
    return started.stub.Predict(request(BLOCK)).model_version == version


def test_a_name_that_appears_is_served_counted_and_watched(started, store):
    with pytest.raises(KeyError):
        started.server.installed.told("fresh")
    version = store.save(*drafted("fresh", watched.fitted(1)))
    follow(started, store)
    wait(lambda: started.stub.Predict(request(BLOCK, model="fresh")).model_version == version)
    x, y = BLOCK.context
    started.stub.PredictBatch(batch(x, y, BLOCK.queries, model="fresh"))
    told = started.server.installed.told("fresh")
    wait(lambda: told.monitor.snapshot().prompt_count >= 60)

    assert "fresh" in {one.name for one in started.stub.ListModels(pb.ListModelsRequest()).models}
    value = started.server.registry.get_sample_value
    answered = {"model": "fresh", "mode": "profile"}
    assert value("sonoba_prompts_total", answered) == 61.0
    assert value("sonoba_shadow_prompts_total", {"model": "fresh", "outcome": "solved"}) is not None
    assert (swaps(started, "ok", "fresh"), swaps(started, "refused", "fresh")) == (1.0, 0.0)
    assert started.server._status.report("fresh")["version"] == version


def test_a_new_name_that_is_damaged_is_told_and_not_served(started, store):
    version = store.save(*drafted("fresh", watched.fitted(1)))
    (store.folder / "fresh" / "versions" / version / "weights.npz").unlink()
    follow(started, store)
    told = started.server.installed.told("fresh")

    assert (told.model_version, told.refused_version) == ("", version)
    assert "weights.npz" in told.refusal
    with pytest.raises(grpc.RpcError) as error:
        started.stub.Predict(request(BLOCK, model="fresh"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_name_of_a_file_is_not_the_stores_to_change(started, store):
    version = store.save(*layers("foundation"))
    follow(started, store)
    told = started.server.installed.told("foundation")

    assert told.model_version == load(FOUNDATION_FILE).version
    assert (told.refused_version, told.refusal) == (
        version,
        "expected a name of its own, got that of a model file",
    )


def test_a_name_that_vanishes_and_a_damaged_pointer_change_nothing(started, store, caplog):
    first, path = store.current(NAME).version, store.folder / NAME
    follow(started, store)
    with caplog.at_level(logging.WARNING, "sonoba"):
        whole = (path / "current").read_bytes()
        (path / "current").write_bytes(whole[:-9])
        for _ in range(2):
            follow(started, store)
        path.rename(store.folder.with_name("gone"))
        for _ in range(2):
            assert follow(started, store).model_version == first

    assert is_answered_by_version(started, first)
    assert caplog.messages == [
        f"store: {NAME}: current: expected the version in force; what is in force stays",
        f"store: {NAME}: the store does not hold it any more; what is in force stays",
    ]


def test_kinds_may_change_under_one_name(started, store):
    first, other = store.current(NAME).version, store.add(*layers())
    store.promote(NAME, other)
    follow(started, store)
    response = started.stub.Predict(request(BLOCK))

    assert (response.model_version, response.mode) == (other, pb.MODE_FOUNDATION)
    model = started.stub.GetModel(pb.GetModelRequest(model=NAME)).model
    assert (model.kind, model.feature_count) == (pb.MODEL_KIND_FOUNDATION, 3)
    assert [column.name for column in model.columns] == list(COLUMNS)
    assert model.state == pb.MODEL_STATE_WARMING
    x, y = BLOCK.context
    with pytest.raises(grpc.RpcError) as error:
        two = request(BLOCK._replace(context=(x[..., :2], y), queries=BLOCK.queries[..., :2]))
        started.stub.Predict(two)
    assert "expected the 3 features" in error.value.details()

    store.rollback(NAME)
    follow(started, store)
    response = started.stub.Predict(request(BLOCK))
    assert (response.model_version, response.mode) == (first, pb.MODE_PROFILE)


def test_the_exact_solves_are_counted_by_version_and_in_all(serving, store):
    started = serving(store=store.folder, store_poll_seconds=3600.0, shadow_share=1.0)
    value = started.server.registry.get_sample_value

    def solved():
        return value("sonoba_shadow_prompts_total", {"model": NAME, "outcome": "solved"})

    def of_reference(seed):
        own = {"model": NAME, "reference": watched.fitted(seed).reference.id}
        return value("sonoba_drift_shadow_prompts_total", own)

    for place in range(5):
        started.stub.Predict(request(BLOCK, place))
    wait(lambda: solved() == 5.0)
    store.promote(NAME, store.add(*drafted(found=watched.fitted(1))))
    follow(started, store)
    assert (of_reference(0), of_reference(1)) == (None, 0.0)
    for place in range(3):
        started.stub.Predict(request(BLOCK, place))
    wait(lambda: solved() == 8.0)

    assert of_reference(1) == 3.0


def test_layouts_of_the_version_before_are_let_go(started, store):
    for _ in range(3):
        started.stub.Predict(request(BLOCK))
    known = started.server._predictor._layouts.by_length
    assert any(known.values())
    store.promote(NAME, store.add(*drafted(found=watched.fitted(1))))
    follow(started, store)

    assert started.server._predictor._layouts.by_length == {}


def test_a_store_that_cannot_be_read_for_a_while_is_logged_once(serving, store, caplog):
    with caplog.at_level(logging.INFO, "sonoba"):
        started = serving(store=store.folder, store_poll_seconds=0.02)
        away = store.folder.with_name("away")
        store.folder.rename(away)
        wait(lambda: any("expected a folder" in one for one in caplog.messages))
        first = started.server.installed.told(NAME).model_version
        assert is_answered_by_version(started, first)
        second = Store(away).add(*drafted(found=watched.fitted(1)))
        Store(away).promote(NAME, second)
        away.rename(store.folder)
        wait(lambda: started.server.installed.told(NAME).model_version == second)
        wait(lambda: "the store can be read again" in caplog.messages)

    assert sum("expected a folder" in one for one in caplog.messages) == 1
    assert sum("is in force in place of" in one for one in caplog.messages) == 1
    assert is_answered_by(started, store, second)


def test_a_damaged_version_stops_the_start(store):
    damage(store, store.current(NAME).version)

    with pytest.raises(ArtifactError, match=r"weights.npz: the file was changed"):
        Server(Settings(grpc_port=0, metrics_port=0, store=store.folder))


def test_a_store_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(StartError, match=r"store: .*: expected a folder that"):
        Server(Settings(grpc_port=0, metrics_port=0, store=tmp_path / "none"))


def test_a_store_at_a_url_is_followed_and_its_copy_serves_without_it(serving, store, tmp_path):
    url, cache = store.folder.as_uri(), tmp_path / "cache"
    first = store.current(NAME).version
    started = serving(store=url, store_cache=cache, store_poll_seconds=0.02)
    store.promote(NAME, second := store.add(*drafted(found=watched.fitted(1))))
    wait(lambda: started.server.installed.told(NAME).model_version == second)
    store.folder.rename(tmp_path / "away")
    again = serving(store=url, store_cache=cache)

    assert second != first
    assert again.stub.Predict(request(BLOCK)).model_version == second
    with pytest.raises(StartError, match=r"store: .*there is nothing there"):
        Server(Settings(grpc_port=0, metrics_port=0, store=url, store_cache=tmp_path / "other"))


def test_the_last_evaluation_is_told_from_the_store(started, store):
    told = LastEvaluation(
        evaluation_id="e1",
        time_seconds=NOON.timestamp(),
        verdict="KEEP",
        reason="NONE",
        action="NOTHING",
        sentence={"en": "All is well.", "ja": "問題ありません。"},
    )
    wait(lambda: started.server.installed.store is not None)
    assert started.server.installed.last_evaluation(NAME) is None
    store.tell(NAME, told)

    assert started.server.installed.last_evaluation(NAME) == told
    assert started.server.installed.last_evaluation("nobody") is None
    assert started.server._status.report(NAME)["last_evaluation"]["verdict"] == "KEEP"
    (store.folder / NAME / "last_evaluation.json").write_text("{")
    assert started.server.installed.last_evaluation(NAME) is None


def test_one_assignment_changes_all_that_a_call_sees():
    """Between two looks there is the old one or the new one, never a mixture or nothing."""
    one = load(FOUNDATION_FILE)
    slots = Slots([one], "foundation")
    before = list(slots)
    walked = iter(slots)
    slots.install(before[0].of(one))

    assert next(walked) is before[0]
    assert slots.find("", "") is not before[0]
