import hashlib
import io
import json
import os
import re
import shutil
import signal
import time
import zipfile
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from model import version_folder
from model.packing import pack, unpack
from model.store import Store
from model.version_folder import UNFINISHED, StoreError
from tests.model.dying import status_of
from tests.model.versions import ARRAYS, a_draft


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def folder_of(store, version, name="bikes"):
    return store.folder / name / "versions" / version


def renamed(folder):
    """Name a folder after its manifest again, as a forger would."""
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()[:12]
    return folder.rename(folder.with_name(digest))


def test_what_is_stored_comes_back_to_the_last_bit(store):
    arrays = {**ARRAYS, "small": np.array(5e-324), "many": np.arange(12.0).reshape(3, 2, 2)}
    version = store.save(a_draft(), arrays)
    stored = store.load("bikes")

    assert stored.version == version
    assert stored.manifest.feature_schema.features[0].unit == "celsius"
    assert {name: leaf.tolist() for name, leaf in stored.arrays.items()} == {
        name: leaf.tolist() for name, leaf in arrays.items()
    }
    assert stored.arrays["small"].shape == ()


def test_equal_content_is_one_version_and_equal_bytes(store, tmp_path):
    first = store.save(a_draft(), ARRAYS)
    time.sleep(0.01)
    other = Store(tmp_path / "other")
    second = other.save(a_draft(), ARRAYS)

    assert first == second
    for name in ("weights.npz", "manifest.json"):
        ours, theirs = folder_of(store, first) / name, folder_of(other, second) / name
        assert ours.read_bytes() == theirs.read_bytes()
    assert store.save(a_draft(), ARRAYS) == first
    assert store.versions("bikes") == [first]


def test_a_new_version_is_in_force_and_remembers_the_one_before(store):
    first = store.save(a_draft(row_count=100), ARRAYS)
    second = store.save(a_draft(row_count=200), ARRAYS)

    assert store.versions("bikes") == [first, second]
    assert store.current("bikes").version == second
    assert store.current("bikes").previous == first
    assert store.load("bikes", first).manifest.training.row_count == 100
    assert store.names() == ["bikes"]


@pytest.mark.parametrize("file", ["weights.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "one byte", "gone", "empty"])
def test_a_damaged_file_is_refused_by_name(store, file, damage):
    path = folder_of(store, store.save(a_draft(), ARRAYS)) / file
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(raw) // 2
        flipped = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
        path.write_bytes({"cut": raw[:-9], "one byte": flipped, "empty": b""}[damage])

    with pytest.raises(StoreError, match=re.escape(file)):
        store.load("bikes")


@pytest.mark.parametrize("file", ["weights.npz", "manifest.json"])
def test_a_file_that_is_too_large_is_refused_unread(store, monkeypatch, file):
    version = store.save(a_draft(), ARRAYS)
    name = "LARGEST_WEIGHTS_BYTES" if file == "weights.npz" else "LARGEST_MANIFEST_BYTES"
    monkeypatch.setattr(version_folder, name, 100)

    with pytest.raises(StoreError, match=f"{file}: expected at most 100 bytes, got"):
        store.load("bikes", version)
    with pytest.raises(StoreError, match=f"{file}: expected at most 100 bytes, got"):
        store.save(a_draft(row_count=7), ARRAYS)


def test_another_format_is_refused_with_both_numbers(store):
    folder = folder_of(store, store.save(a_draft(), ARRAYS))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    version = renamed(folder).name

    with pytest.raises(StoreError, match="expected format 1, got 2: another release wrote it"):
        store.load("bikes", version)


FORGED = {
    "a field no one knows": (lambda m: m | {"extra": 1}, "extra"),
    "a schema that is not its hash": (
        lambda m: m | {"feature_schema": m["feature_schema"] | {"hash": "0" * 32}},
        "feature_schema: .*hash: expected",
    ),
    "a wrong number of features": (lambda m: m | {"feature_count": 2}, "feature_count: expected 1"),
    "an array of another shape": (
        lambda m: (
            m
            | {
                "weights": m["weights"]
                | {"arrays": m["weights"]["arrays"] | {"slopes": {"shape": [4], "dtype": "<f8"}}}
            }
        ),
        r"slopes: expected <f8 of shape \(4,\)",
    ),
    "an array too many": (
        lambda m: (
            m
            | {
                "weights": m["weights"]
                | {"arrays": m["weights"]["arrays"] | {"more": {"shape": [4], "dtype": "<f8"}}}
            }
        ),
        "'more' differs",
    ),
    "another name": (lambda m: m | {"name": "cars"}, "expected its name, got 'cars'"),
}


@pytest.mark.parametrize(("forge", "sentence"), FORGED.values(), ids=FORGED)
def test_a_manifest_that_does_not_hold_together_is_refused(store, forge, sentence):
    folder = folder_of(store, store.save(a_draft(), ARRAYS))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(forge(manifest)))
    version = renamed(folder).name

    with pytest.raises(StoreError, match=sentence):
        store.load("bikes", version)


def reforged(store, weights):
    """Store weights of any bytes under a manifest that vouches for them."""
    folder = folder_of(store, store.save(a_draft(), ARRAYS))
    (folder / "weights.npz").write_bytes(weights)
    manifest = json.loads((folder / "manifest.json").read_text())
    told = {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    manifest["weights"] |= told
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return renamed(folder).name


def pickled():
    buffer = io.BytesIO()
    np.savez(buffer, slopes=np.array([{"run": "me"}], dtype=object), mode=np.array("int"))
    return buffer.getvalue()


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("slopes.npy", b"\0" * (65 * 2**20))
    return buffer.getvalue()


@pytest.mark.parametrize("weights", [b"PK", pickled(), bomb()], ids=["cut", "pickle", "bomb"])
def test_weights_that_are_no_plain_arrays_are_refused(store, weights):
    version = reforged(store, weights)

    with pytest.raises(StoreError, match=r"weights\.npz: expected an archive of arrays"):
        store.load("bikes", version)


def test_numbers_that_are_not_finite_are_refused(store):
    version = store.save(a_draft(), ARRAYS | {"slopes": np.array([1.0, np.nan])})

    with pytest.raises(StoreError, match="slopes: expected finite numbers"):
        store.load("bikes", version)


def test_an_unknown_model_or_version_is_named_with_what_is_there(store):
    version = store.save(a_draft(), ARRAYS)

    with pytest.raises(StoreError, match=r"cars: there is no such model in .*; models: bikes"):
        store.load("cars")
    with pytest.raises(StoreError, match=f"no version 000000000000; versions: {version}"):
        store.load("bikes", "000000000000")


@pytest.mark.parametrize("name", ["../bikes", "a/b", ".bikes"])
def test_a_name_never_leaves_the_store(store, name):
    with pytest.raises(StoreError, match="expected a model's name"):
        store.load(name)
    with pytest.raises(StoreError, match=r"expected a model's name|name: expected str matching"):
        store.save(a_draft(name=name), ARRAYS)


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="the store cannot be written: not a directory"):
        Store(tmp_path / "file").save(a_draft(), ARRAYS)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_killed_at_any_step_leaves_a_whole_version_in_force(store, when):
    first = store.save(a_draft(row_count=100), ARRAYS)
    kept = 0
    for nth in range(1, 30):
        write = partial(store.save, a_draft(row_count=200), ARRAYS)
        status = status_of(write, nth, when, ("fsync", "rename", "replace", "mkdir"))
        stored = store.load("bikes")
        for version in store.versions("bikes"):
            store.load("bikes", version)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        if stored.version == first:
            kept += 1
        else:
            assert stored.manifest.training.row_count == 200
            shutil.rmtree(store.folder)
            store.save(a_draft(row_count=100), ARRAYS)

    assert status == 0
    assert nth >= 7  # 2 files, folder, rename, folder, pointer, replace, folder
    assert kept >= 5
    assert store.load("bikes").manifest.training.row_count == 200


def test_what_a_killed_writer_left_is_swept_away_after_an_hour(store):
    store.save(a_draft(), ARRAYS)
    versions = store.folder / "bikes" / "versions"
    for name, age in (("old", 7200.0), ("new", 60.0)):
        left = versions / f"{UNFINISHED}{name}"
        left.mkdir()
        os.utime(left, (time.time() - age,) * 2)
    store.save(a_draft(row_count=200), ARRAYS)

    assert [path.name for path in versions.glob(f"{UNFINISHED}*")] == [f"{UNFINISHED}new"]
    assert len(store.versions("bikes")) == 2


@dataclass(frozen=True, slots=True)
class Bucket:
    mean: np.ndarray
    noise: float


@dataclass(frozen=True, slots=True)
class Parameters:
    buckets: tuple[Bucket, ...]
    mode: str
    is_ordered: bool
    by_length: dict[int, Bucket]
    threshold: float | None = None
    other: np.ndarray | None = None


def test_parameters_survive_packing_and_the_store(store):
    buckets = tuple(Bucket(np.arange(float(i)), 0.1 * i) for i in range(12))
    given = Parameters(buckets, "int", True, {8: buckets[3]}, other=np.eye(2))
    store.save(a_draft(), pack(given))
    found = unpack(Parameters, store.load("bikes").arrays)

    assert [(b.mean.tolist(), b.noise) for b in found.buckets] == [
        (b.mean.tolist(), b.noise) for b in buckets
    ]
    assert (found.mode, found.is_ordered, found.threshold) == ("int", True, None)
    assert found.by_length[8].mean.tolist() == [0.0, 1.0, 2.0]
    assert found.other.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_missing_array_is_named():
    with pytest.raises(ValueError, match="expected an array 'noise', got none"):
        unpack(Bucket, {"mean": np.zeros(1)})
