"""What is in force, before it and under judgement: moves, conflicts, crashes and full disks."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from model.document import changed
from model.last_evaluation import LastEvaluation
from model.store import Store
from model.store_pointer import Conflict, Pointer
from model.version_folder import UNFINISHED, StoreError, load_version
from tests.model.dying import status_of
from tests.model.versions import ARRAYS, a_draft

ROOT = Path(__file__).parents[2]
TOLD = LastEvaluation(
    evaluation_id="e-1",
    time_seconds=1.8e9,
    verdict="RECALIBRATE",
    reason="COVARIATE",
    action="SHADOW",
    sentence={"en": "It errs more than it must.", "ja": "誤差が必要以上に大きい。"},
    report_url="https://reports.example/e-1",
)


def filled(folder):
    """Return a store of one model: two versions that were in force, and one just added."""
    made = Store(folder)
    for row_count in (100, 200):
        made.save(a_draft(row_count=row_count), ARRAYS)
    made.add(a_draft(row_count=300), ARRAYS)
    return made


@pytest.fixture
def store(tmp_path):
    return filled(tmp_path / "store")


def added(store):
    return store.versions("bikes")[-1]


def test_a_version_is_added_without_being_in_force(store):
    before = store.current("bikes")
    version = store.add(a_draft(row_count=400), ARRAYS)

    assert store.current("bikes") == before
    assert store.load("bikes", version).manifest.training.row_count == 400


def test_a_candidate_is_named_promoted_and_forgotten(store):
    start = store.current("bikes")
    nominated = store.nominate("bikes", added(store), start.etag)
    promoted = store.promote("bikes", added(store), nominated.etag)

    assert nominated == changed(start, candidate=added(store), serial=start.serial + 1)
    assert promoted == Pointer(
        version=added(store), previous=start.version, candidate="", serial=start.serial + 2
    )
    assert store.current("bikes") == promoted


def test_a_candidate_can_be_withdrawn(store):
    start = store.current("bikes")
    nominated = store.nominate("bikes", added(store))
    withdrawn = store.nominate("bikes", "", nominated.etag)

    assert withdrawn == changed(start, serial=start.serial + 2)


def test_rolled_back_twice_the_first_is_in_force_again(store):
    start = store.nominate("bikes", added(store))
    once = store.rollback("bikes", start.etag)
    twice = store.rollback("bikes", once.etag)

    assert (once.version, once.previous, once.candidate) == (start.previous, start.version, "")
    assert (twice.version, twice.previous) == (start.version, start.previous)
    assert (once.serial, twice.serial) == (start.serial + 1, start.serial + 2)


def test_what_changes_nothing_keeps_serial_and_etag(store):
    start = store.current("bikes")

    assert store.promote("bikes", start.version) == start
    assert store.nominate("bikes", "") == start
    assert store.current("bikes").etag == start.etag


def test_the_etag_stands_for_the_whole_pointer():
    version, other = "0" * 12, "1" * 12
    pointers = [
        Pointer(version=version),
        Pointer(version=other),
        Pointer(version=version, previous=other),
        Pointer(version=version, candidate=other),
        Pointer(version=version, serial=1),
    ]

    assert len({pointer.etag for pointer in pointers}) == 5
    assert all(len(pointer.etag) == 12 for pointer in pointers)
    assert Pointer(version=version).etag == pointers[0].etag


MOVES = {
    "nominate": lambda store, etag: store.nominate("bikes", added(store), etag),
    "withdraw": lambda store, etag: store.nominate("bikes", "", etag),
    "promote": lambda store, etag: store.promote("bikes", added(store), etag),
    "rollback": lambda store, etag: store.rollback("bikes", etag),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_move_that_was_decided_on_another_pointer_is_a_conflict(store, move):
    stale = store.current("bikes").etag
    store.nominate("bikes", store.add(a_draft(row_count=400), ARRAYS))
    now = store.current("bikes")

    with pytest.raises(Conflict, match=f"bikes: expected etag {now.etag}, got {stale}: somebody"):
        move(store, stale)
    assert store.current("bikes") == now


REFUSED = {
    "nominate what is not there": lambda s: s.nominate("bikes", "0" * 12),
    "promote what is not there": lambda s: s.promote("bikes", "0" * 12),
    "promote a path": lambda s: s.promote("bikes", "../../bikes"),
    "load a path": lambda s: s.load("bikes", "../versions"),
    "nominate what is in force": lambda s: s.nominate("bikes", s.current("bikes").version),
    "an unknown model": lambda s: s.promote("cars", "0" * 12),
    "roll an unknown model back": lambda s: s.rollback("cars"),
    "tell of an unknown model": lambda s: s.tell("cars", TOLD),
    "prune to fewer than none": lambda s: s.prune("bikes", -1),
}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(store, act):
    before = store.current("bikes"), store.versions("bikes"), store.names()

    with pytest.raises(StoreError, match=r"^(bikes|cars|keep_count): "):
        act(store)
    assert (store.current("bikes"), store.versions("bikes"), store.names()) == before


def test_without_a_version_before_there_is_no_rollback(tmp_path):
    store = Store(tmp_path)
    store.save(a_draft(), ARRAYS)

    with pytest.raises(StoreError, match="there is no version before the one in force"):
        store.rollback("bikes")


def test_a_rollback_never_names_what_was_removed(store):
    start = store.current("bikes")
    shutil.rmtree(store.folder / "bikes" / "versions" / start.previous)

    with pytest.raises(StoreError, match=f"there is no version {start.previous}"):
        store.rollback("bikes")
    assert store.current("bikes") == start


def test_a_model_of_which_nothing_is_in_force_says_so_until_it_is(tmp_path):
    store = Store(tmp_path)
    version = store.add(a_draft(), ARRAYS)

    assert store.names() == ["bikes"]
    assert store.names_in_force() == []
    with pytest.raises(StoreError, match="bikes: no version is in force yet"):
        store.nominate("bikes", version)
    with pytest.raises(Conflict, match=f"expected etag none, got {'0' * 12}"):
        store.promote("bikes", version, "0" * 12)
    assert store.promote("bikes", version, "") == Pointer(version=version, serial=1)
    assert store.names_in_force() == ["bikes"]


def test_a_pointer_of_an_earlier_release_is_read_and_goes_on(store):
    start = store.current("bikes")
    old = {"version": start.version, "previous": start.previous}
    (store.folder / "bikes" / "current").write_text(json.dumps(old))

    found = store.current("bikes")
    assert found == Pointer(version=start.version, previous=start.previous)
    assert store.promote("bikes", added(store), found.etag).serial == 1


def test_the_name_of_equal_content_is_that_of_earlier_releases(store):
    assert store.versions("bikes")[0] == "8ca1dfcbc2fa"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "x"}', '{"version": "../../etc"}'])
def test_a_damaged_pointer_is_told_and_an_unconditional_promotion_mends_it(store, content):
    etag = store.current("bikes").etag
    (store.folder / "bikes" / "current").write_text(content)

    for act in (store.current, store.rollback, lambda name: store.promote(name, "0" * 12)):
        with pytest.raises(StoreError):
            act("bikes")
    with pytest.raises(StoreError, match="current: expected the version in force"):
        store.promote("bikes", added(store), etag)
    with pytest.raises(StoreError, match="current: expected the version in force"):
        store.prune("bikes", 0)
    assert store.promote("bikes", added(store)).version == added(store)


def test_a_version_that_was_damaged_is_written_anew(store):
    version = store.current("bikes").version
    weights = store.folder / "bikes" / "versions" / version / "weights.npz"
    weights.write_bytes(b"")

    assert store.add(a_draft(row_count=200), ARRAYS) == version
    assert store.load("bikes").manifest.training.row_count == 200


def test_what_was_concluded_is_kept_whole(store):
    assert store.told("bikes") is None
    store.tell("bikes", TOLD)
    assert store.told("bikes") == TOLD
    assert store.told("cars") is None

    (store.folder / "bikes" / "last_evaluation.json").write_text('{"verdict"')
    with pytest.raises(StoreError, match=r"last_evaluation\.json: expected the last evaluation"):
        store.told("bikes")


def test_pruned_away_is_what_neither_is_new_nor_named(store):
    for row_count in (400, 500, 600):
        store.add(a_draft(row_count=row_count), ARRAYS)
    versions = store.versions("bikes")
    store.nominate("bikes", versions[3])  # in force 1, before 0, candidate 3

    assert store.prune("bikes", 1) == [versions[2], versions[4]]
    assert store.versions("bikes") == [versions[i] for i in (0, 1, 3, 5)]
    assert store.prune("bikes", 0) == [versions[5]]
    assert store.prune("bikes", 0) == []
    assert [p.name for p in (store.folder / "bikes" / "versions").glob(f"{UNFINISHED}*")] == []
    for version in store.versions("bikes"):
        store.load("bikes", version)


def test_a_version_that_is_added_again_is_no_longer_the_oldest(store):
    first = store.versions("bikes")[0]
    time.sleep(0.01)
    store.add(a_draft(row_count=100), ARRAYS)

    assert store.versions("bikes")[-1] == first


def promote_once(folder, etag, version, start, won):
    start.wait()
    try:
        Store(folder).promote("bikes", version, etag)
        won.put(version)
    except Conflict:
        won.put("")


@pytest.mark.slow
def test_of_twenty_processes_that_promote_on_one_etag_exactly_one_wins(tmp_path):
    store = Store(tmp_path)
    store.save(a_draft(), ARRAYS)
    versions = [store.add(a_draft(row_count=200 + i), ARRAYS) for i in range(20)]
    etag = store.current("bikes").etag
    fork = multiprocessing.get_context("fork")
    start, won = fork.Barrier(20), fork.Queue()
    processes = [
        fork.Process(target=promote_once, args=(tmp_path, etag, version, start, won))
        for version in versions
    ]
    for process in processes:
        process.start()
    outcomes = [won.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()

    winners = [version for version in outcomes if version]
    assert len(winners) == 1
    assert store.current("bikes").version == winners[0]
    assert store.current("bikes").serial == 2


def test_of_many_writers_every_version_is_kept_and_every_move_counted(tmp_path):
    store, readings, over = Store(tmp_path), [], threading.Event()
    store.save(a_draft(), ARRAYS)

    def write(place):
        for i in range(5):
            store.save(a_draft(row_count=1000 * place + i), ARRAYS)

    def read():
        while not over.is_set():
            readings.append(store.load("bikes").version)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(place,)) for place in range(1, 5)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()

    assert len(store.versions("bikes")) == 21
    assert store.current("bikes").serial == 21
    assert len(set(readings)) > 1


ACTS = {
    "add": lambda store: store.add(a_draft(row_count=400), ARRAYS),
    "save": lambda store: store.save(a_draft(row_count=400), ARRAYS),
    "nominate": lambda store: store.nominate("bikes", added(store)),
    "promote": lambda store: store.promote("bikes", added(store)),
    "rollback": lambda store: store.rollback("bikes"),
    "tell": lambda store: store.tell("bikes", TOLD),
    "prune": lambda store: store.prune("bikes", 0),
}


def check_whole(store, before, after):
    """Check that readers find the pointer before or after, and every version whole."""
    assert store.current("bikes") in (before, after)
    for version in store.versions("bikes"):
        load_version(store.folder / "bikes" / "versions" / version)
    for version in store.current("bikes").versions:
        assert version in store.versions("bikes")
    assert store.told("bikes") in (None, TOLD)


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_killed_at_any_step_it_is_as_before_or_as_after_and_can_be_done_again(store, act):
    before = store.current("bikes")
    done = shutil.copytree(store.folder, store.folder.with_name("done"), symlinks=True)
    ACTS[act](Store(done))
    after = Store(done).current("bikes")
    deaths, nth, when, status = 0, 1, "before", None
    while status != 0:
        copy = shutil.copytree(store.folder, store.folder.with_name(f"{nth}-{when}"))
        status = status_of(partial(ACTS[act], Store(copy)), nth, when)
        assert status in (0, -signal.SIGKILL)
        check_whole(Store(copy), before, after)
        deaths += status != 0
        if Store(copy).current("bikes") == before and act != "rollback":
            ACTS[act](Store(copy))  # the dead writer's lock is free
            assert Store(copy).current("bikes") == after
        assert [p for p in (copy / "bikes").glob(".*.unfinished")] == [] or status
        nth, when = (nth, "after") if when == "before" else (nth + 1, "before")

    assert deaths >= 6


def as_nobody(act):
    """Run something in a child without rights, and return the sentence it was refused with."""
    fork = multiprocessing.get_context("fork")
    told = fork.Queue()

    def child():
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        try:
            act()
            told.put("")
        except StoreError as error:
            told.put(str(error))

    process = fork.Process(target=child)
    process.start()
    sentence = told.get(timeout=60)
    process.join()
    return sentence


@pytest.fixture
def open_store():
    """Return a store that everybody may look at and its owner alone may change."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    store = filled(folder / "store")
    for path in [store.folder, *store.folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield store
    for path in [store.folder, *store.folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(folder)


@pytest.mark.parametrize("act", ACTS)
def test_a_folder_that_may_not_be_changed_is_a_sentence(open_store, act):
    before = open_store.current("bikes")
    sentence = as_nobody(lambda: ACTS[act](open_store))

    assert sentence == "bikes: the store cannot be written: permission denied"
    assert open_store.current("bikes") == before
    assert len(open_store.versions("bikes")) == 3


def limited(act, most_bytes):
    """Run something while no file may grow beyond some bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        with pytest.raises(StoreError) as caught:
            act()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return str(caught.value)


@pytest.mark.parametrize("act", sorted(set(ACTS) - {"prune"}))
@pytest.mark.parametrize("most_bytes", [0, 64])
def test_a_disk_without_room_is_a_sentence_and_the_pointer_stays(store, act, most_bytes):
    before, versions = store.current("bikes"), store.versions("bikes")
    sentence = limited(lambda: ACTS[act](store), most_bytes)

    assert sentence == "bikes: the store cannot be written: file too large"
    assert (store.current("bikes"), store.versions("bikes")) == (before, versions)
    assert store.told("bikes") is None
    assert [p for p in (store.folder / "bikes").rglob(".*") if p.name != ".lock"] == []
    ACTS[act](store)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 256 KiB; where that is forbidden, RLIMIT_FSIZE above must do."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting is not allowed here; the same is tested by a limit on files")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("act", sorted(set(ACTS) - {"prune"}))
def test_a_full_disk_is_a_sentence_and_room_mends_it(small_disk, act):
    store = filled(small_disk / "store")
    before, versions = store.current("bikes"), store.versions("bikes")
    with pytest.raises(OSError, match="No space left"), (small_disk / "ballast").open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()

    with pytest.raises(StoreError, match="bikes: the store cannot be written: no space left"):
        ACTS[act](store)
    assert (store.current("bikes"), store.versions("bikes")) == (before, versions)
    store.load("bikes")

    (small_disk / "ballast").unlink()
    ACTS[act](store)


@pytest.mark.slow
def test_a_lock_is_waited_for_and_freed_by_the_kernel(store):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(store.folder / "bikes")], stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    waiting = threading.Thread(target=store.promote, args=("bikes", added(store)))
    waiting.start()
    time.sleep(0.2)
    is_waiting, before = waiting.is_alive(), store.current("bikes").version  # readers need none
    holder.kill()
    holder.wait()
    holder.stdout.close()
    waiting.join(30)

    assert is_waiting and before != added(store)
    assert store.current("bikes").version == added(store)


HOLDS = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from model.store_pointer import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
