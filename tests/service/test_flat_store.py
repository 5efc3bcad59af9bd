"""A flat directory as kubelet writes it, and what a reader finds in it at any moment."""

import gzip
import random
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from model.store import Store
from model.store_pointer import CURRENT, Pointer
from service.flat_store import key_of, models_of, packed, version_of
from service.store_mirror import open_source
from sonoba.v1 import predictor_pb2 as pb
from tests.model.versions import ARRAYS, a_draft
from tests.service.cluster import INDEX, NAMES, SLOTS, Kubelet
from tests.service.test_promote_command import paper

pytestmark = pytest.mark.slow  # seconds, all together

NAME = some.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")
VERSION = some.from_regex(r"\A[0-9a-f]{12}\Z")
FILES = some.sampled_from(["manifest.json", "weights.npz"])
PATHS = some.one_of(
    some.builds("{}/current".format, NAME),
    some.builds("{}/last_evaluation.json".format, NAME),
    some.builds("{}/versions/{}/{}".format, NAME, VERSION, FILES),
)


class Shelf:
    """ConfigMaps without an API: a store, laid out flat, one version a slot."""

    def __init__(self, folder):
        self.store, self.objects = Store(folder), dict.fromkeys(NAMES, True)
        self.maps = {name: {} for name in NAMES}

    def files(self, name):
        return self.maps[name]

    def fill(self, slot, version):
        folder = self.store.folder / "bikes/versions" / version
        paths = {f"bikes/versions/{version}/{one.name}": one for one in folder.iterdir()}
        self.maps[slot] = {key_of(path): packed(one.read_bytes()) for path, one in paths.items()}

    def point(self, pointer):
        self.maps[INDEX] = {f"bikes.{CURRENT}": pointer.content}


@pytest.fixture
def shelf(tmp_path):
    """Three versions, of which the first two are in the first two slots and in the index."""
    made = Shelf(tmp_path / "store")
    made.versions = [made.store.add(a_draft(row_count=100 * n), ARRAYS) for n in (1, 2, 3)]
    made.fill(SLOTS[0], made.versions[0])
    made.fill(SLOTS[1], made.versions[1])
    made.point(Pointer(version=made.versions[1], previous=made.versions[0], serial=2))
    return made


def opened(tmp_path):
    return open_source(f"flat://{tmp_path / 'mounted'}", tmp_path / "cache")


@given(some.lists(PATHS, min_size=2, max_size=2, unique=True))
def test_no_two_files_share_a_key_and_every_key_is_one(paths):
    keys = [key_of(path) for path in paths]

    assert keys[0] != keys[1]
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in keys)


@given(NAME, VERSION, FILES)
def test_a_key_tells_what_it_is_of(name, version, file):
    assert version_of(key_of(f"{name}/versions/{version}/{file}")) == (name, version)
    assert version_of(key_of(f"{name}/current")) is None
    assert models_of([key_of(f"{name}/current"), f"{name}.{version}.{file}.gz", "..data"]) == [name]


def test_a_directory_that_is_not_there_or_empty_is_a_store_without_models(tmp_path, shelf):
    source = opened(tmp_path)
    missing = source.refresh().names_in_force()
    kubelet = Kubelet(shelf, tmp_path / "mounted")
    kubelet.sync()
    empty = source.refresh().names_in_force()
    kubelet.hear()

    assert missing == empty == []
    assert source.refresh().current("bikes").versions == shelf.versions[1::-1]


@pytest.mark.parametrize("seed", range(10))
def test_in_whatever_order_configmaps_arrive_a_reader_has_a_whole_version(tmp_path, shelf, seed):
    chance, kubelet, source = random.Random(seed), Kubelet(shelf, tmp_path / "mounted"), None
    first, second, third = shelf.versions
    kubelet.hear()
    source = opened(tmp_path)
    source.refresh()
    shelf.fill(SLOTS[2], third)
    shelf.point(Pointer(version=third, previous=second, serial=3))
    shelf.fill(SLOTS[0], first)
    order, seen = chance.sample(NAMES, len(NAMES)), []
    for name in order:
        kubelet.hear(name)
        store = source.refresh()
        seen.append(store.current("bikes").version)
        assert store.load("bikes").version == seen[-1]

    both = max(order.index(INDEX), order.index(SLOTS[2]))
    assert seen == [second] * both + [third] * (len(NAMES) - both)


def test_a_reader_that_looks_all_the_time_never_finds_half_of_anything(tmp_path, shelf):
    kubelet, source, ended = Kubelet(shelf, tmp_path / "mounted"), opened(tmp_path), []
    kubelet.hear()
    source.refresh()

    def move():
        _, second, third = shelf.versions
        for serial in range(3, 63):
            new, old = ((third, second), (second, third))[serial % 2]
            shelf.fill(SLOTS[1 + serial % 2], new)
            shelf.point(Pointer(version=new, previous=old, serial=serial))
            kubelet.hear(*random.Random(serial).sample(NAMES, 2))
        kubelet.hear()
        ended.append(True)

    mover = threading.Thread(target=move)
    mover.start()
    looked = 0
    while not ended:
        store = source.refresh()
        assert store.load("bikes").version in shelf.versions
        looked += 1
    mover.join()

    assert looked > 10
    assert source.refresh().current("bikes").serial == 62


SENTENCES = {
    "truncated": "compressed by gzip: the file is incomplete",
    "not compressed": "expected it compressed by gzip, got something else",
    "shorter": "the file is incomplete or another one",
    "changed": "its hash is not the manifest's",
    "another's": "the manifest was changed or is incomplete",
    "a bomb": "expected at most 67108864 bytes, got 67108865",
}


@pytest.mark.parametrize("harm", SENTENCES)
def test_a_version_that_is_not_what_it_says_is_refused_with_a_sentence(
    tmp_path, shelf, harm, caplog
):
    kubelet, source, third = (
        Kubelet(shelf, tmp_path / "mounted"),
        opened(tmp_path),
        shelf.versions[2],
    )
    kubelet.hear()
    source.refresh()
    shelf.fill(SLOTS[2], third)
    key, manifest = f"bikes.{third}.weights.npz.gz", f"bikes.{third}.manifest.json.gz"
    weights = gzip.decompress(shelf.maps[SLOTS[2]][key])
    others = shelf.maps[SLOTS[0]][f"bikes.{shelf.versions[0]}.manifest.json.gz"]
    sound = shelf.maps[SLOTS[2]]
    harmed = {
        "truncated": {**sound, key: sound[key][:-1]},
        "not compressed": {**sound, key: weights},
        "shorter": {**sound, key: packed(weights[:-1])},
        "changed": {**sound, key: packed(weights[:-1] + b"x")},
        "another's": {**sound, manifest: others},
        "a bomb": {**sound, key: packed(bytes(65 * 2**20))},
    }  # fmt: skip
    shelf.maps[SLOTS[2]] = harmed[harm]
    shelf.point(Pointer(version=third, previous=shelf.versions[1], serial=3))
    kubelet.hear()
    stays = source.refresh().current("bikes").version
    shelf.maps[SLOTS[2]] = sound
    kubelet.hear()

    assert stays == shelf.versions[1]
    (told,) = [one.getMessage() for one in caplog.records if "what was there before" in one.msg]
    assert third in told
    assert SENTENCES[harm] in told
    assert source.refresh().current("bikes").version == third


def test_an_index_that_vanishes_or_is_torn_changes_nothing(tmp_path, shelf):
    kubelet, source = Kubelet(shelf, tmp_path / "mounted"), opened(tmp_path)
    kubelet.hear()
    before = source.refresh().current("bikes")
    shelf.maps[INDEX] = {"bikes.current": b'{"version": "', "..odd": b"", "NOT.current": b"{}"}
    kubelet.hear()
    torn = source.refresh().current("bikes")
    shelf.maps = {name: {} for name in NAMES}
    kubelet.hear()
    emptied = source.refresh().current("bikes")
    shutil.rmtree(tmp_path / "mounted")

    assert before == torn == emptied == source.refresh().current("bikes")


def test_a_path_that_is_no_directory_is_a_sentence(tmp_path):
    (tmp_path / "mounted").write_text("")
    with pytest.raises(Exception, match="mounted: not a directory"):
        opened(tmp_path).refresh()


def test_a_server_answers_from_its_first_second_and_follows_what_arrives(tmp_path, serving):
    shelf = Shelf(tmp_path / "store")
    first, second = (shelf.store.add(*paper(scale=scale)) for scale in (1.0, 2.0))
    mounted: Path = tmp_path / "mounted"
    served = serving(store=f"flat://{mounted}", store_cache=tmp_path / "c", store_poll_seconds=0.05)
    asked = [served.stub.GetModel(pb.GetModelRequest()).model.name]

    def version():
        for _ in range(200):
            found = [m for m in served.stub.ListModels(pb.ListModelsRequest()).models]
            yield next((m.version for m in found if m.name == "bikes"), "")
            time.sleep(0.02)

    kubelet = Kubelet(shelf, mounted)
    shelf.fill(SLOTS[0], first)
    shelf.point(Pointer(version=first, serial=1))
    kubelet.hear()
    assert first in version()
    shelf.point(Pointer(version=second, previous=first, serial=2))
    kubelet.hear(INDEX)
    time.sleep(0.2)
    assert next(version()) == first
    shelf.fill(SLOTS[1], second)
    kubelet.hear(SLOTS[1])
    assert second in version()
    assert asked == ["foundation"]
