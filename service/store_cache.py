"""The copy of a remote store on this machine: versions come in checked, pointers after them.

Processes may share one; what a killed one left half-written has no name and is swept away.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model.store import TOLD, VERSIONS, Store
from model.store_pointer import CURRENT, Pointer, locked, replace
from model.version_folder import (
    UNFINISHED,
    StoreError,
    is_intact,
    load_version,
    remove_version,
    sweep,
    sync_folder,
    write_through,
)

KEPT_VERSIONS = 4  # beside those that the pointer names


class StoreCache:
    """Writes what a mirror copied; every method raises `StoreError` where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self._known: set[tuple[str, str]] = set()  # versions that this process found intact

    def has(self, name: str, version: str) -> bool:
        """Return whether a version is there; read and checked once a process."""
        folder = self._folder(name) / VERSIONS / version
        if (name, version) not in self._known and is_intact(folder):
            self._known.add((name, version))
        return (name, version) in self._known and folder.is_dir()

    def add(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """Keep a version, if it is the one that its name says; else refuse it."""
        versions = self._folder(name) / VERSIONS
        with _told(name):
            versions.mkdir(parents=True, exist_ok=True)
            sweep(versions)
            unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=versions))
            try:
                place = unfinished / version
                place.mkdir()
                for file, content in files.items():
                    write_through(place / file, content)
                self._check(name, place)
                sync_folder(place)
                with locked(self._folder(name)):
                    remove_version(versions / version)
                    os.rename(place, versions / version)
                    sync_folder(versions)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        self._known.add((name, version))

    def publish(self, name: str, pointer: Pointer, told: bytes | None) -> None:
        """Let readers find a pointer, whose versions must be there, and the last evaluation."""
        folder = self._folder(name)
        with _told(name), locked(folder):
            for file, content in ((TOLD, told), (CURRENT, pointer.content)):
                if content is not None and _content(folder / file) != content:
                    replace(folder / file, content)
        self.store.prune(name, KEPT_VERSIONS)

    def _check(self, name: str, place: Path) -> None:
        try:
            stored = load_version(place)
        except StoreError as error:
            raise StoreError(f"{name}: {error}") from None
        if stored.manifest.name != name:
            raise StoreError(
                f"{name}/{place.name}: expected its name, got {stored.manifest.name!r}"
            )

    def _folder(self, name: str) -> Path:
        return self.store.folder / name


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"{name}: the cache cannot be written: {reason}") from None
