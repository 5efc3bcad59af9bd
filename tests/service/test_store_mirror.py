"""A store at a URL and its copy, through real fsspec file systems: memory:// and file://."""

import os
import shutil
import signal
import sys
import threading

import fsspec
import pytest

from model.last_evaluation import LastEvaluation
from model.store import Store
from model.version_folder import StoreError, load_version
from service.store_mirror import MirrorError, open_source
from tests.model.dying import status_of
from tests.model.versions import ARRAYS, a_draft

TOLD = LastEvaluation(
    evaluation_id="e-1",
    time_seconds=1.8e9,
    verdict="KEEP",
    reason="NONE",
    action="NOTHING",
    sentence={"en": "It is good.", "ja": "良好です。"},
    report_url="https://reports.example/e-1",
)


class Far:
    """A store that is written on this machine and put at a memory:// URL, file by file."""

    def __init__(self, folder):
        self.store = Store(folder)
        self.url = f"memory://{folder.name}"
        self.files = fsspec.filesystem("memory")
        self.root = f"/{folder.name}"

    def send(self, *paths):
        """Copy some files, by default all that the store consists of."""
        folder = self.store.folder
        paths = paths or [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
        for path in paths:
            self.files.pipe_file(f"{self.root}/{path}", (folder / path).read_bytes())


@pytest.fixture
def far(tmp_path):
    made = Far(tmp_path / f"far-{os.getpid()}-{tmp_path.name}")
    for row_count in (100, 200):
        made.store.save(a_draft(row_count=row_count), ARRAYS)
    made.send()
    yield made
    made.files.store.clear()


def nothing_unfinished(cache):
    return not [path for path in cache.rglob(".*") if path.name != ".lock"]


def test_a_folder_is_read_where_it_is(tmp_path):
    Store(tmp_path / "store").save(a_draft(), ARRAYS)
    source = open_source(str(tmp_path / "store"), tmp_path / "cache")

    assert source.refresh().folder == source.store.folder == tmp_path / "store"
    assert not (tmp_path / "cache").exists()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(MirrorError, match="expected a folder, got none"):
        source.refresh()


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_what_is_at_a_url_is_copied_and_comes_back_to_the_last_bit(far, tmp_path, protocol):
    far.store.tell("bikes", TOLD)
    far.store.nominate("bikes", far.store.add(a_draft(row_count=300), ARRAYS))
    far.store.save(a_draft("cars"), ARRAYS)
    far.send()
    url = far.url if protocol == "memory" else f"file://{far.store.folder}"
    store = open_source(url, tmp_path / "cache").refresh()

    assert store.names() == store.names_in_force() == ["bikes", "cars"]
    assert store.current("bikes") == far.store.current("bikes")
    assert store.told("bikes") == TOLD
    for version in far.store.current("bikes").versions:
        for file in ("manifest.json", "weights.npz"):
            parts = ("bikes", "versions", version, file)
            copied, original = store.folder.joinpath(*parts), far.store.folder.joinpath(*parts)
            assert copied.read_bytes() == original.read_bytes()
    assert nothing_unfinished(store.folder)


def test_what_is_not_named_by_the_pointer_is_not_copied(far, tmp_path):
    added = far.store.add(a_draft(row_count=300), ARRAYS)
    far.send()
    store = open_source(far.url, tmp_path / "cache").refresh()

    assert added not in store.versions("bikes")
    assert len(store.versions("bikes")) == 2


def test_what_is_unchanged_is_not_copied_again(far, tmp_path):
    source = open_source(far.url, tmp_path / "cache")
    store = source.refresh()
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*") if path.is_file()}
    far.files.rm(f"{far.root}/bikes/versions", recursive=True)  # all it would need to copy again
    source.refresh()
    open_source(far.url, tmp_path / "cache").refresh()  # another process, the same cache

    after = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.name != ".lock"} == {
        path: time for path, time in before.items() if path.name != ".lock"
    }


def test_a_promotion_and_a_rollback_arrive(far, tmp_path):
    source = open_source(far.url, tmp_path / "cache")
    source.refresh()
    far.store.save(a_draft(row_count=300), ARRAYS)
    far.send()

    assert source.refresh().current("bikes") == far.store.current("bikes")
    far.store.rollback("bikes")
    far.send()
    assert source.refresh().current("bikes") == far.store.current("bikes")
    assert source.store.load("bikes").manifest.training.row_count == 200


def refreshed(source, caplog):
    """Refresh, and return what was logged."""
    caplog.clear()
    source.refresh()
    return caplog.messages


def test_a_pointer_that_arrives_before_its_version_waits_for_it(far, tmp_path, caplog):
    source = open_source(far.url, tmp_path / "cache")
    before = source.refresh().current("bikes")
    version = far.store.save(a_draft(row_count=300), ARRAYS)
    far.send("bikes/current")

    sentence = f"store: bikes/{version}: manifest.json: not there yet; what was there before stays"
    assert refreshed(source, caplog) == [sentence]
    assert refreshed(source, caplog) == []  # said once
    assert source.store.current("bikes") == before
    far.send(f"bikes/versions/{version}/manifest.json")
    assert [message[:40] for message in refreshed(source, caplog)] == [
        f"store: bikes/{version}: weights.npz: not there yet"[:40]
    ]
    assert source.store.current("bikes") == before
    assert nothing_unfinished(source.store.folder)

    far.send(f"bikes/versions/{version}/weights.npz")
    assert source.refresh().current("bikes").version == version


@pytest.mark.parametrize("damage", ["cut", "one byte", "other bytes", "too large"])
def test_a_version_that_is_not_what_its_name_says_never_comes_in(
    far, tmp_path, damage, monkeypatch, caplog
):
    source = open_source(far.url, tmp_path / "cache")
    before = source.refresh().current("bikes")
    version = far.store.save(a_draft(row_count=300), ARRAYS)
    far.send()
    path = f"{far.root}/bikes/versions/{version}/weights.npz"
    raw = far.files.cat_file(path)
    if damage == "too large":
        monkeypatch.setitem(sys.modules["service.store_mirror"].FILES, "weights.npz", 100)
    else:
        spoilt = {"cut": raw[:-7], "one byte": raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]}
        far.files.pipe_file(path, spoilt.get(damage, b"x" * len(raw)))

    (message,) = refreshed(source, caplog)
    assert version in message and "weights.npz: " in message
    assert source.store.current("bikes") == before
    assert source.store.versions("bikes") == sorted(
        before.versions, key=source.store.versions("bikes").index
    )
    assert nothing_unfinished(source.store.folder)


def test_a_candidate_that_is_damaged_holds_nothing_else_up(far, tmp_path, caplog):
    source = open_source(far.url, tmp_path / "cache")
    source.refresh()
    version = far.store.save(a_draft(row_count=300), ARRAYS)
    candidate = far.store.add(a_draft(row_count=400), ARRAYS)
    far.store.nominate("bikes", candidate)
    far.store.save(a_draft("cars"), ARRAYS)
    far.send()
    weights = f"{far.root}/bikes/versions/{candidate}/weights.npz"
    whole = far.files.cat_file(weights)
    far.files.pipe_file(weights, b"PK")

    (message,) = refreshed(source, caplog)
    assert message.startswith("store: candidate: bikes: ") and candidate in message
    assert source.store.current("bikes").version == version
    assert source.store.current("bikes").candidate == ""
    assert source.store.names_in_force() == ["bikes", "cars"]

    far.files.pipe_file(weights, whole)
    assert source.refresh().current("bikes") == far.store.current("bikes")


@pytest.mark.parametrize("file", ["current", "last_evaluation.json"])
def test_a_damaged_pointer_keeps_what_was_there(far, tmp_path, file, caplog):
    far.store.tell("bikes", TOLD)
    far.send()
    source = open_source(far.url, tmp_path / "cache")
    before = source.refresh().current("bikes")
    far.store.rollback("bikes")
    far.send()
    far.files.pipe_file(f"{far.root}/bikes/{file}", b'{"version"')

    (message,) = refreshed(source, caplog)
    assert message.startswith(f"store: bikes/{file}: expected JSON, got")
    assert source.store.current("bikes") == before
    assert source.store.told("bikes") == TOLD


def test_a_url_that_is_gone_keeps_the_last_copy_and_says_so(tmp_path):
    Store(tmp_path / "far").save(a_draft(), ARRAYS)
    source = open_source(f"file://{tmp_path}/far", tmp_path / "cache")
    source.refresh()
    (tmp_path / "far").rename(tmp_path / "away")

    for again in (source, open_source(f"file://{tmp_path}/far", tmp_path / "cache")):
        with pytest.raises(MirrorError, match=r"^file:.*/far: there is nothing there$"):
            again.refresh()
        assert again.store.load("bikes").manifest.training.row_count == 100
    (tmp_path / "away").rename(tmp_path / "far")
    assert source.refresh().names() == ["bikes"]


def test_another_url_has_a_copy_of_its_own(far, tmp_path):
    open_source(far.url, tmp_path / "cache").refresh()

    with pytest.raises(MirrorError, match="there is nothing there"):
        open_source("memory://elsewhere", tmp_path / "cache").refresh()
    assert open_source("memory://elsewhere", tmp_path / "cache").store.names() == []


def test_a_copy_that_was_damaged_here_is_copied_again(far, tmp_path):
    store = open_source(far.url, tmp_path / "cache").refresh()
    weights = store.folder / "bikes" / "versions" / store.current("bikes").version / "weights.npz"
    weights.write_bytes(b"")

    again = open_source(far.url, tmp_path / "cache").refresh()
    assert again.load("bikes").manifest.training.row_count == 200


def test_the_copy_does_not_grow_for_ever(far, tmp_path):
    source = open_source(far.url, tmp_path / "cache")
    for row_count in range(300, 310):
        far.store.save(a_draft(row_count=row_count), ARRAYS)
        far.send()
        store = source.refresh()

    assert len(store.versions("bikes")) == 4
    assert set(store.current("bikes").versions) <= set(store.versions("bikes"))


def test_a_cache_that_cannot_be_written_is_a_sentence(far, tmp_path, caplog):
    (tmp_path / "cache").write_text("")

    (message,) = refreshed(open_source(far.url, tmp_path / "cache"), caplog)
    assert message.startswith("store: bikes: the cache cannot be written: not a directory")


@pytest.mark.parametrize("url", ["gopher://x/y", "hdfs://namenode/store"])
def test_a_url_without_a_driver_is_refused_without_its_credentials(tmp_path, url):
    url = url.replace("//", "//user:s3cret@")
    with pytest.raises(MirrorError, match=r"^\w+://\w+/\w+: cannot be read: ") as caught:
        open_source(url, tmp_path / "cache")

    assert "s3cret" not in str(caught.value)


def test_without_fsspec_the_extra_is_named(tmp_path, monkeypatch):
    for name in [one for one in sys.modules if one.partition(".")[0] == "fsspec"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)  # as if it were not installed

    with pytest.raises(MirrorError, match=r"pip install 'sonoba-server\[stores\]'"):
        open_source("memory://x", tmp_path)
    assert open_source(str(tmp_path), tmp_path).refresh().folder == tmp_path


@pytest.mark.slow
def test_a_reader_of_the_copy_never_finds_less_than_a_whole_version(far, tmp_path):
    source = open_source(far.url, tmp_path / "cache")
    store, faults, seen, over = source.refresh(), [], set(), threading.Event()

    def read():
        while not over.is_set():
            try:
                seen.add(store.load("bikes").manifest.training.row_count)
            except StoreError as error:
                faults.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for row_count in range(300, 330):
        far.store.save(a_draft(row_count=row_count), ARRAYS)
        far.send()
        source.refresh()
    over.set()
    reader.join()

    assert faults == []
    assert len(seen) > 3


@pytest.mark.slow
def test_a_mirror_killed_at_any_step_leaves_a_whole_version_in_force(tmp_path):
    far, cache = Store(tmp_path / "far"), tmp_path / "cache"
    far.save(a_draft(row_count=100), ARRAYS)
    url = f"file://{far.folder}"
    first = open_source(url, cache).refresh().current("bikes")
    far.save(a_draft(row_count=200), ARRAYS)
    far.nominate("bikes", far.add(a_draft(row_count=300), ARRAYS))
    deaths = 0
    for nth in range(1, 60):
        copy = tmp_path / f"cache-{nth}"
        shutil.copytree(cache, copy)
        dying = lambda copy=copy: open_source(url, copy).refresh()  # noqa: E731
        status = status_of(dying, nth, "before", ("fsync", "rename", "replace", "mkdir"))
        store = open_source(url, copy).store
        assert store.current("bikes") in (first, far.current("bikes"))
        for version in store.current("bikes").versions:
            load_version(store.folder / "bikes" / "versions" / version)
        assert open_source(url, copy).refresh().current("bikes") == far.current("bikes")
        if status == 0:
            break
        assert status == -signal.SIGKILL
        deaths += 1

    assert status == 0
    assert deaths >= 15
