"""Versions of models in a folder, written whole or not at all, and checked whenever they are read.

    STORE/bikes/current                     JSON: the version in force, and the one before
    STORE/bikes/versions/3fa9c1d2e4b5/      manifest.json, weights.npz

A version is named by the hash of its manifest, which holds the hash of the weights: who trusts the
name trusts every byte. A folder takes its name only when it is complete and on disk, and `current`
is replaced in one step, so that whoever reads at any time finds a whole version (docs/adr/0009).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.manifest import Draft
from model.version_folder import (
    Leaf,
    Stored,
    StoreError,
    load_version,
    sweep,
    sync_folder,
    write_through,
    write_version,
)

CURRENT, VERSIONS = "current", "versions"
VERSION = r"^[0-9a-f]{12}$"


class Pointer(BaseModel):
    """The content of `current`; `previous` is empty for a first version."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: str = Field(pattern=VERSION)
    previous: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of models; it is made with the first version."""

    folder: Path

    def names(self) -> list[str]:
        """Return the models that have a version."""
        found = (path.parent.name for path in self.folder.glob(f"*/{VERSIONS}"))
        return sorted(name for name in found if not name.startswith("."))

    def versions(self, name: str) -> list[str]:
        """Return a model's versions, the oldest first."""
        folders = (self._model(name) / VERSIONS).glob("[0-9a-f]*")
        dated = [(path.stat().st_mtime_ns, path.name) for path in folders if path.is_dir()]
        return [version for _, version in sorted(dated)]

    def current(self, name: str) -> Pointer:
        """Return which version of a model is in force."""
        try:
            raw = (self._model(name) / CURRENT).read_bytes()
            return Pointer.model_validate_json(raw)
        except FileNotFoundError:
            raise StoreError(f"{name}: {self._nothing(name)}") from None
        except (OSError, ValidationError):
            raise StoreError(f"{name}: {CURRENT}: expected the version in force") from None

    def load(self, name: str, version: str = "") -> Stored:
        """Return a version, by default the one in force; nothing is returned unchecked."""
        version = version or self.current(name).version
        folder = self._model(name) / VERSIONS / version
        if not folder.is_dir():
            has = ", ".join(self.versions(name)) or "none"
            raise StoreError(f"{name}: there is no version {version:.64}; versions: {has}")
        stored = load_version(folder)
        if stored.manifest.name != name:
            raise StoreError(f"{name}/{version}: expected its name, got {stored.manifest.name!r}")
        return stored

    def save(self, draft: Draft, arrays: Mapping[str, Leaf]) -> str:
        """Write a version, put it in force and return it.

        Interrupted at any point, the version before stays in force. Raises `StoreError` where the
        folder cannot be written.
        """
        try:
            versions = self._model(draft.name) / VERSIONS
            versions.mkdir(parents=True, exist_ok=True)
            sweep(versions)
            version = write_version(versions, draft, arrays)
            self._put_in_force(draft.name, version)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"{draft.name}: the store cannot be written: {reason}") from None
        return version

    def _put_in_force(self, name: str, version: str) -> None:
        before = ""
        if (self._model(name) / CURRENT).exists():
            pointer = self.current(name)
            before = pointer.version if pointer.version != version else pointer.previous
        _replace(self._model(name) / CURRENT, Pointer(version=version, previous=before))

    def _model(self, name: str) -> Path:
        if name.startswith(".") or Path(name).name != name:
            raise StoreError(f"expected a model's name, got {name[:64]!r}")
        return self.folder / name

    def _nothing(self, name: str) -> str:
        has = ", ".join(self.names()) or "none yet"
        return f"there is no such model in {self.folder}; models: {has}"


def _replace(path: Path, pointer: Pointer) -> None:
    """Replace the pointer in one step; a reader sees the old or the new one, never half of it."""
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        write_through(unfinished, pointer.model_dump_json().encode())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)
