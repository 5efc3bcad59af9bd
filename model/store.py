"""Versions of models in a folder, written whole or not at all, and checked whenever they are read.

    STORE/bikes/current                     JSON: the versions in force, before and under judgement
    STORE/bikes/last_evaluation.json        what the last re-evaluation concluded
    STORE/bikes/versions/3fa9c1d2e4b5/      manifest.json, weights.npz

A version is named by the hash of its manifest, which holds the hash of the weights: who trusts the
name trusts every byte. A folder takes its name only when it is complete and on disk, and `current`
is replaced in one step, so that whoever reads at any time finds a whole version (docs/adr/0009).
Who changes anything holds the model's lock; readers need none (docs/store.md).
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.document import DocumentError, text_of
from model.document import read as read_document
from model.last_evaluation import LastEvaluation
from model.layer_manifest import AnyDraft
from model.store_pointer import CURRENT, Conflict, Pointer, is_version, locked, read, replace
from model.version_folder import (
    Leaf,
    Stored,
    StoreError,
    load_version,
    remove_version,
    sweep,
    sync_folder,
    write_version,
)

VERSIONS, TOLD = "versions", "last_evaluation.json"


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of models; it is made with the first version."""

    folder: Path

    def names(self) -> list[str]:
        """Return the models that have a version."""
        found = (path.parent.name for path in self.folder.glob(f"*/{VERSIONS}"))
        return sorted(name for name in found if not name.startswith("."))

    def names_in_force(self) -> list[str]:
        """Return the models of which a version is in force, or should be."""
        return [name for name in self.names() if (self._model(name) / CURRENT).exists()]

    def versions(self, name: str) -> list[str]:
        """Return a model's versions, the oldest first."""
        folders = (self._model(name) / VERSIONS).glob("[0-9a-f]*")
        dated = [(_time(path), path.name) for path in folders if path.is_dir()]
        return [version for _, version in sorted(dated)]

    def current(self, name: str) -> Pointer:
        """Return which version of a model is in force."""
        try:
            pointer = read(self._model(name) / CURRENT)
        except (OSError, ValueError):
            raise StoreError(f"{name}: {CURRENT}: expected the version in force") from None
        if pointer is None:
            raise StoreError(f"{name}: {self._nothing(name)}")
        return pointer

    def load(self, name: str, version: str = "") -> Stored:
        """Return a version, by default the one in force; nothing is returned unchecked."""
        version = version or self.current(name).version
        stored = load_version(self._there(name, version))
        if stored.manifest.name != name:
            raise StoreError(f"{name}/{version}: expected its name, got {stored.manifest.name!r}")
        return stored

    def add(self, draft: AnyDraft, arrays: Mapping[str, Leaf]) -> str:
        """Write a version and return it; what is in force stays.

        Raises `StoreError` where the folder cannot be written.
        """
        with self._changing(draft.name, is_new=True) as folder:
            return _write(folder, draft, arrays)

    def save(self, draft: AnyDraft, arrays: Mapping[str, Leaf]) -> str:
        """Write a version, put it in force and return it.

        Interrupted at any point, the version before stays in force. Raises `StoreError` where the
        folder cannot be written.
        """
        with self._changing(draft.name, is_new=True) as folder:
            version = _write(folder, draft, arrays)
            self._move(draft.name, None, lambda pointer: pointer.promoted(version), version)
        return version

    def nominate(self, name: str, version: str, etag: str | None = None) -> Pointer:
        """Make a version the candidate that servers let answer beside; "" withdraws it.

        `Conflict` where the pointer's etag is another; without one the change is unconditional.
        """
        with self._changing(name):
            if version:
                self._there(name, version)
            if version and version == self.current(name).version:
                raise StoreError(f"{name}: version {version} is in force: it is no candidate")
            return self._move(name, etag, lambda pointer: pointer.nominated(version))

    def promote(self, name: str, version: str, etag: str | None = None) -> Pointer:
        """Put a version in force; the one before stays known, and no candidate is left.

        `Conflict` where the pointer's etag is another; without one even a damaged pointer is
        replaced. That the version is there is checked, not that it answers: load it first.
        """
        with self._changing(name):
            self._there(name, version)
            return self._move(name, etag, lambda pointer: pointer.promoted(version), version)

    def rollback(self, name: str, etag: str | None = None) -> Pointer:
        """Put the version before in force, which makes the one in force the one before.

        `Conflict` where the pointer's etag is another; `StoreError` where there is none before.
        """
        with self._changing(name):
            previous = self.current(name).previous
            if not previous:
                raise StoreError(f"{name}: there is no version before the one in force")
            self._there(name, previous)
            return self._move(name, etag, Pointer.rolled_back)

    def tell(self, name: str, last: LastEvaluation) -> None:
        """Keep what the last re-evaluation of a model concluded."""
        with self._changing(name) as folder:
            replace(folder / TOLD, text_of(last).encode())

    def told(self, name: str) -> LastEvaluation | None:
        """Return what the last re-evaluation concluded; None before the first."""
        try:
            return read_document(LastEvaluation, (self._model(name) / TOLD).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, DocumentError):
            raise StoreError(f"{name}: {TOLD}: expected the last evaluation") from None

    def prune(self, name: str, keep_count: int) -> list[str]:
        """Remove all but the newest versions and those the pointer names; return what went."""
        if keep_count < 0:
            raise StoreError(f"keep_count: expected 0 or more, got {keep_count}")
        with self._changing(name) as folder:
            known = self.versions(name)
            kept = {*known[max(0, len(known) - keep_count) :], *self.current(name).versions}
            gone = [version for version in known if version not in kept]
            for version in gone:
                remove_version(folder / VERSIONS / version)
            return gone

    @contextmanager
    def _changing(self, name: str, is_new: bool = False) -> Iterator[Path]:
        """Hold the lock of a model's folder; what the disk refuses is a `StoreError`."""
        folder = self._model(name)
        try:
            if is_new:
                _make(folder / VERSIONS)
            elif not folder.is_dir():
                raise StoreError(f"{name}: {self._nothing(name)}")
            with locked(folder):
                yield folder
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"{name}: the store cannot be written: {reason}") from None

    def _move(
        self, name: str, etag: str | None, change: Callable[[Pointer], Pointer], first: str = ""
    ) -> Pointer:
        """Replace the pointer; `first` is put in force where there is no sound one yet."""
        path = self._model(name) / CURRENT
        try:
            before = read(path) if first else self.current(name)
        except ValueError:
            if etag is not None:
                raise StoreError(f"{name}: {CURRENT}: expected the version in force") from None
            before = None
        if etag is not None and etag != (found := before.etag if before else ""):
            sentence = f"expected etag {found or 'none'}, got {etag:.64}"
            raise Conflict(f"{name}: {sentence}: somebody changed the pointer in between")
        after = Pointer(version=first, serial=1) if before is None else change(before)
        if after is not before:
            replace(path, after.content)
        return after

    def _there(self, name: str, version: str) -> Path:
        """Return the folder of a version; refuse one that is not there."""
        folder = self._model(name) / VERSIONS / version
        if not is_version(version) or not folder.is_dir():
            has = ", ".join(self.versions(name)) or "none"
            raise StoreError(f"{name}: there is no version {version:.64}; versions: {has}")
        return folder

    def _model(self, name: str) -> Path:
        if name.startswith(".") or Path(name).name != name:
            raise StoreError(f"expected a model's name, got {name[:64]!r}")
        return self.folder / name

    def _nothing(self, name: str) -> str:
        if self.versions(name):
            return "no version is in force yet"
        has = ", ".join(self.names()) or "none yet"
        return f"there is no such model in {self.folder}; models: {has}"


def _write(folder: Path, draft: AnyDraft, arrays: Mapping[str, Leaf]) -> str:
    sweep(folder / VERSIONS)
    return write_version(folder / VERSIONS, draft, arrays)


def _make(folder: Path) -> None:
    """Make a folder and those above it, and wait until their names are on disk."""
    if not folder.is_dir():
        if folder.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _time(path: Path) -> int:
    """Return when a version was written, in ns; 0 of one that is just being removed."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
