"""A store published to ConfigMaps over HTTPS: killed, refused, contested, restored."""

import shutil
import time

import pytest

from model.last_evaluation import LastEvaluation
from model.store import Store
from service import configmaps
from service.configmaps import ApiError
from service.flat_store import key_of
from tests.model.versions import ARRAYS, a_draft
from tests.security.certificates import Authority
from tests.service.cluster import INDEX, SLOTS, TOKEN, Gone, nobody
from tests.service.publishing import add, arrived, cluster, files, publisher  # noqa: F401

# ruff: noqa: F811
pytestmark = pytest.mark.slow

TOLD = LastEvaluation(
    **{"evaluation_id": "e-1", "time_seconds": 1.8e9, "verdict": "KEEP", "reason": "NONE"},
    **{"action": "NOTHING", "sentence": {"en": "It is good.", "ja": "良好です。"}},
)


def test_what_is_in_force_arrives_to_the_last_bit_and_is_written_once(cluster, store, tmp_path):
    store.nominate("bikes", add(store, 300))
    store.tell("bikes", TOLD)
    store.save(a_draft("cars"), ARRAYS)
    one = publisher(cluster, store)
    faults, written = one.publish(), list(cluster.writes)
    found = arrived(cluster, tmp_path / "reader")
    again = one.publish()

    assert faults == again == []
    assert written[-1] == INDEX and cluster.writes == written
    assert files(found) == files(store)
    assert [found.current(name) for name in ("bikes", "cars")] == [
        store.current(name) for name in ("bikes", "cars")
    ]
    assert found.told("bikes") == TOLD
    assert all(body["metadata"]["labels"] for body in cluster.objects.values())


def test_a_promotion_and_a_rollback_of_what_is_there_are_one_write_each(cluster, store):
    store.nominate("bikes", add(store, 300))
    one = publisher(cluster, store)
    one.publish()
    store.promote("bikes", store.current("bikes").candidate)
    promoted = len(cluster.writes), one.publish(), len(cluster.writes)
    store.rollback("bikes")
    one.publish()

    assert promoted == (4, [], 5)
    assert cluster.writes[4:] == [INDEX, INDEX]


MOMENTS = [(when, number) for when in ("before", "after") for number in range(1, 4)]


@pytest.mark.parametrize(("when", "number"), MOMENTS)
def test_a_writer_that_ends_at_any_write_leaves_what_was_in_force(
    cluster, store, tmp_path, when, number
):
    publisher(cluster, store).publish()
    before, left = store.current("bikes"), [number]
    store.nominate("bikes", add(store, 300))
    store.promote("bikes", store.current("bikes").candidate)
    store.save(a_draft("cars"), ARRAYS)

    def end(method, name):
        left[0] -= method == "PUT"
        if left[0] <= 0:
            raise Gone

    setattr(cluster, when, end)
    with pytest.raises(ApiError) as fault:
        publisher(cluster, store).publish()
    cluster.before = cluster.after = lambda method, name: None
    between = arrived(cluster, tmp_path / "reader").current("bikes")
    is_done = (when, number) == ("after", 3)
    follower = publisher(cluster, store)

    assert fault.value.reason == "unreachable"
    assert between == (store.current("bikes") if is_done else before)
    assert follower.restore() == follower.publish() == []
    found = arrived(cluster, tmp_path / "reader")
    assert found.current("bikes") == store.current("bikes") and found.names() == ["bikes", "cars"]


def test_an_answer_that_was_lost_is_no_other_writer(cluster, store):
    one = publisher(cluster, store)
    one.publish()
    store.promote("bikes", add(store, 300))

    def lose(method, name):
        if (method, name) == ("PUT", INDEX):
            raise Gone

    cluster.after = lose
    with pytest.raises(ApiError):
        one.publish()
    cluster.after = lambda method, name: None
    store.rollback("bikes")

    assert one.publish() == []


def test_a_lost_volume_is_restored_before_anything_is_published(cluster, store, tmp_path, caplog):
    store.nominate("bikes", add(store, 300))
    store.tell("bikes", TOLD)
    publisher(cluster, store).publish()
    written, empty = len(cluster.writes), Store(tmp_path / "new")
    empty.folder.mkdir()
    one = publisher(cluster, empty)
    faults = one.restore()

    assert faults == one.publish() == []
    assert files(empty) == files(store) and empty.told("bikes") == TOLD
    assert empty.current("bikes") == store.current("bikes")
    assert len(cluster.writes) == written
    assert "bikes restored from the cluster" in caplog.text


def test_a_volume_of_yesterday_takes_what_the_cluster_is_ahead_with(cluster, store, tmp_path):
    publisher(cluster, store).publish()
    shutil.copytree(store.folder, tmp_path / "backup")
    store.promote("bikes", add(store, 300))
    publisher(cluster, store).publish()
    one, old = publisher(cluster, Store(tmp_path / "backup")), Store(tmp_path / "backup")

    assert one.restore() == one.publish() == []
    assert old.current("bikes") == store.current("bikes")


def test_a_folder_that_is_ahead_is_not_restored(cluster, store):
    publisher(cluster, store).publish()
    store.promote("bikes", add(store, 300))
    ahead, one = store.current("bikes"), publisher(cluster, store)

    assert one.restore() == one.publish() == []
    assert store.current("bikes") == ahead


def test_what_the_cluster_has_only_torn_is_not_restored_and_told(cluster, store, tmp_path):
    publisher(cluster, store).publish()
    for slot in SLOTS:
        cluster.write(
            slot, {key: one for key, one in cluster.files(slot).items() if "npz" not in key}
        )
    empty = Store(tmp_path / "new")
    empty.folder.mkdir()
    (fault,) = publisher(cluster, empty).restore()

    assert fault.reason == "damaged" and "weights.npz: not there yet" in fault.sentence
    assert publisher(cluster, empty).publish() == [] and "bikes.current" in cluster.files(INDEX)
    assert publisher(cluster, store).publish() == []
    assert files(arrived(cluster, tmp_path / "reader")) == files(store)


def test_of_two_writers_the_second_stops_and_says_so(cluster, store, tmp_path):
    first = publisher(cluster, store)
    first.publish()
    shutil.copytree(store.folder, tmp_path / "other")
    other = Store(tmp_path / "other")
    second = publisher(cluster, other)
    second.restore()
    second.publish()
    store.promote("bikes", add(store, 300))
    other.promote("bikes", add(other, 400))
    assert first.publish() == []
    (fault,) = second.publish()
    other.rollback("bikes")
    (still,) = second.publish()

    assert fault.reason == still.reason == "diverged"
    assert "bikes: index: expected a pointer before version" in fault.sentence
    assert arrived(cluster, tmp_path / "reader").current("bikes") == store.current("bikes")
    assert first.publish() == []


def test_who_comes_second_between_reading_and_writing_reads_again(cluster, store, tmp_path):
    shutil.copytree(store.folder, tmp_path / "other")
    other, raced = Store(tmp_path / "other"), []
    other.save(a_draft("cars"), ARRAYS)
    rival = publisher(cluster, other)

    def race(method, name):
        if (method, name) == ("PUT", INDEX) and not raced:
            raced.append(True)
            rival.publish()

    cluster.before = race
    one = publisher(cluster, store)

    assert one.publish() == []
    assert arrived(cluster, tmp_path / "reader").names() == ["bikes", "cars"]


def test_who_is_overtaken_again_and_again_gives_up_for_now(cluster, store):
    def always(method, name):
        if method == "PUT":
            cluster.write(name, {**cluster.files(name), f"note-{len(cluster.history[name])}": b""})

    cluster.before = always
    with pytest.raises(ApiError, match="somebody else wrote 5 times in between") as fault:
        publisher(cluster, store).publish()
    assert fault.value.reason == "conflict"


def test_what_of_the_folder_is_damaged_is_told_and_the_cluster_keeps_its_own(
    cluster, store, tmp_path
):
    one = publisher(cluster, store)
    one.publish()
    before, version = store.current("bikes"), add(store, 300)
    store.promote("bikes", version)
    (store.folder / f"bikes/versions/{version}/weights.npz").write_bytes(b"torn")
    (fault,) = one.publish()

    assert fault.reason == "damaged" and version in fault.sentence
    assert arrived(cluster, tmp_path / "reader").current("bikes") == before


def too_much(cluster):
    cluster.write(INDEX, {**cluster.files(INDEX), "ballast": b" " * (2**20 - 10)})


def drop(method, name):
    raise Gone


FAULTS = [
    ("denied", lambda c: c.tokens.clear(), "GET is answered 401: Unauthorized"),
    ("denied", lambda c: c.denied.add(INDEX), 'answered 403: configmaps "sonoba-models" is'),
    ("missing", lambda c: c.objects.pop(SLOTS[1]), "sonoba-model-b: GET is answered 404"),
    ("too_large", too_much, "sonoba-models: PUT is answered 422"),
    ("refused", lambda c: c.objects[SLOTS[0]].pop("metadata"), "expected an object with its"),
    ("denied", lambda c: (c.account / "token").unlink(), "token: No such file or directory"),
    ("denied", lambda c: (c.account / "token").write_text("a\nb"), "token: expected one line"),
    ("unreachable", lambda c: setattr(c, "before", drop), "127.0.0.1:"),
]


@pytest.mark.parametrize(("reason", "harm", "sentence"), FAULTS)
def test_a_request_that_fails_is_a_sentence_without_the_token(
    cluster, store, reason, harm, sentence
):
    harm(cluster)
    with pytest.raises(ApiError) as fault:
        publisher(cluster, store).publish()

    assert fault.value.reason == reason
    assert sentence in str(fault.value)
    assert TOKEN not in str(fault.value)


def test_an_authority_that_is_not_the_clusters_is_not_trusted(cluster, store):
    shutil.copy(Authority(cluster.account / "other").file, cluster.account / "ca.crt")
    with pytest.raises(ApiError, match="certificate verify failed"):
        publisher(cluster, store).publish()
    assert cluster.writes == []


def test_an_api_that_is_slow_or_not_there_is_waited_for_no_longer_than_said(
    cluster, store, monkeypatch
):
    monkeypatch.setattr(configmaps, "CALL_SECONDS", 0.2)
    with pytest.raises(ApiError, match="Connection refused"):
        publisher(cluster, store, nobody()).publish()
    cluster.before = lambda method, name: time.sleep(0.6)
    with pytest.raises(ApiError, match="timed out"):
        publisher(cluster, store).publish()


def test_keys_of_the_index_that_are_not_ours_stay(cluster, store):
    cluster.write(INDEX, {"note": b"of an operator", key_of("odd/current"): b"{"})
    assert publisher(cluster, store).publish() == []

    assert sorted(cluster.files(INDEX)) == ["bikes.current", "note"]
