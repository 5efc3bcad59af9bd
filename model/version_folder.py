"""One version as a folder: manifest.json and weights.npz, written once and checked on every read.

The folder is named by the hash of the manifest, which holds the hash of the weights: whoever trusts
the name trusts every byte. It gets its name when it is complete and on disk (docs/adr/0009).
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from model.document import DocumentError, read, remade
from model.document import text_of as text_of_document
from model.layer_manifest import AnyDraft, AnyManifest, LayerDraft, LayerKind, LayerManifest
from model.manifest import FORMAT, Array, Manifest, Weights

Leaf = NDArray[np.generic]

MANIFEST, WEIGHTS = "manifest.json", "weights.npz"
LARGEST_MANIFEST_BYTES, LARGEST_WEIGHTS_BYTES = 4 * 2**20, 64 * 2**20
UNFINISHED = ".unfinished-"
UNFINISHED_SECONDS = 3600.0  # after which what a killed writer left is swept away


class StoreError(Exception):
    """A version or a store that cannot be used, in one sentence."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One version, read and checked."""

    version: str
    manifest: AnyManifest
    arrays: Mapping[str, Leaf]


def write_version(versions: Path, draft: AnyDraft, arrays: Mapping[str, Leaf]) -> str:
    """Write a folder named by its content and return that name; interrupted, it has no name yet."""
    weights = _archive(arrays)
    raw = _content(draft, weights, arrays)
    version = _version(raw)
    _check_size(draft.name, WEIGHTS, len(weights), LARGEST_WEIGHTS_BYTES)
    _check_size(draft.name, MANIFEST, len(raw), LARGEST_MANIFEST_BYTES)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=versions))
    try:
        write_through(unfinished / WEIGHTS, weights)
        write_through(unfinished / MANIFEST, raw)
        unfinished.chmod(0o755)  # a temporary folder is its owner's alone
        sync_folder(unfinished)
        if is_intact(versions / version):
            os.utime(versions / version)  # written again: no longer the oldest
        else:
            remove_version(versions / version)
            os.rename(unfinished, versions / version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync_folder(versions)
    return version


def _content(draft: AnyDraft, weights: bytes, arrays: Mapping[str, Leaf]) -> bytes:
    """Return the manifest's bytes; refuse one that could not be read again."""
    told = {name: Array(shape=leaf.shape, dtype=leaf.dtype.str) for name, leaf in arrays.items()}
    digest = hashlib.sha256(weights).hexdigest()
    kept = Weights(bytes=len(weights), sha256=digest, arrays=told)
    manifest: AnyManifest = (
        remade(LayerManifest, draft, weights=kept)
        if isinstance(draft, LayerDraft)
        else remade(Manifest, draft, weights=kept)
    )
    try:
        return text_of(manifest).encode()
    except DocumentError as error:
        raise StoreError(f"{draft.name}: {MANIFEST}: {error}") from None


def text_of(manifest: AnyManifest) -> str:
    """Return a manifest's JSON; without an origin there is no trace of one, as ever before."""
    return text_of_document(manifest, without="" if manifest.origin else "origin")


def is_intact(folder: Path) -> bool:
    """Return whether a folder holds the version it is named after."""
    try:
        load_version(folder)
    except StoreError:
        return False
    return True


def remove_version(folder: Path) -> None:
    """Take a version away whole: interrupted, what is left of it has no name."""
    if folder.exists():
        aside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
        os.rename(folder, aside / folder.name)
        sync_folder(folder.parent)
        shutil.rmtree(aside)


def _check_size(place: str, name: str, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise StoreError(f"{place}: {name}: expected at most {most_bytes} bytes, got {size}")


def sweep(versions: Path) -> None:
    """Remove what writers that were killed long ago have left."""
    for left in versions.glob(f"{UNFINISHED}*"):
        if time.time() - left.stat().st_mtime > UNFINISHED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _archive(arrays: Mapping[str, Leaf]) -> bytes:
    """Return the arrays as npz; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, leaf in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(leaf, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()


def load_version(folder: Path) -> Stored:
    """Return the version in a folder; raise `StoreError` with the first fault."""
    place = f"{folder.parent.parent.name}/{folder.name}"
    raw = _read(folder / MANIFEST, LARGEST_MANIFEST_BYTES, place)
    if (version := _version(raw)) != folder.name:
        changed = "the manifest was changed or is incomplete"
        raise StoreError(f"{place}: {MANIFEST}: {changed}: its hash is {version}")
    manifest = _manifest(raw, place)
    _check_size(place, WEIGHTS, manifest.weights.bytes, LARGEST_WEIGHTS_BYTES)
    weights = _read(folder / WEIGHTS, LARGEST_WEIGHTS_BYTES, place)
    if len(weights) != manifest.weights.bytes:
        size = f"expected {manifest.weights.bytes} bytes, got {len(weights)}"
        raise StoreError(f"{place}: {WEIGHTS}: {size}: the file is incomplete or another one")
    if hashlib.sha256(weights).hexdigest() != manifest.weights.sha256:
        raise StoreError(
            f"{place}: {WEIGHTS}: the file was changed: its hash is not the manifest's"
        )
    return Stored(version, manifest, _arrays(weights, manifest.weights.arrays, place))


def _read(path: Path, most_bytes: int, place: str) -> bytes:
    """Return a file's bytes; refuse one that is missing or too large before reading it."""
    try:
        _check_size(place, path.name, path.stat().st_size, most_bytes)
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise StoreError(f"{place}: {path.name}: {reason}") from None


def _version(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:12]


def _manifest(raw: bytes, place: str) -> AnyManifest:
    try:
        content = json.loads(raw)
        given = content.get("format") if isinstance(content, dict) else None
        if given != FORMAT:
            wanted = f"expected format {FORMAT}, got {given!r:.20}: another release wrote it"
            raise StoreError(f"{place}: {MANIFEST}: {wanted}")
        is_layer = content.get("kind") in get_args(LayerKind)
        return read(LayerManifest, raw) if is_layer else read(Manifest, raw)
    except DocumentError as error:
        raise StoreError(f"{place}: {MANIFEST}: {error}") from None
    except ValueError:
        raise StoreError(f"{place}: {MANIFEST}: expected JSON") from None


def _arrays(raw: bytes, wanted: Mapping[str, Array], place: str) -> dict[str, Leaf]:
    """Return the weights; refuse other names, shapes or types, and numbers that are not finite."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_WEIGHTS_BYTES:
                raise ValueError("expected arrays that fit")
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, MemoryError, KeyError, zipfile.BadZipFile):
        raise StoreError(f"{place}: {WEIGHTS}: expected an archive of arrays") from None
    if set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted))[0]
        raise StoreError(f"{place}: {WEIGHTS}: expected the manifest's arrays; {odd!r} differs")
    for name, array in arrays.items():
        told = wanted[name]
        if array.shape != told.shape or array.dtype.str != told.dtype:
            got = f"{array.dtype.str} of shape {array.shape}"
            raise StoreError(
                f"{place}: {name}: expected {told.dtype} of shape {told.shape}, got {got}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise StoreError(f"{place}: {name}: expected finite numbers, got others")
    return arrays
