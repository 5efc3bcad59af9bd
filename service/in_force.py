"""Which models a re-evaluator looks after, and which version of each is in force.

The store's models, and beside them those that servers bring themselves: the bundled one and model
files. Of the latter no version can be changed here, for servers take them from nowhere else.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from model.checkpoint import FOUNDATION_FILE, Artifact, ArtifactError, load, load_stored
from model.foundation import FoundationModel
from model.layer_manifest import AnyManifest
from model.store import Store
from model.store_pointer import Pointer
from model.version_folder import StoreError

KEPT = 4  # versions that stay loaded


class Loaded(NamedTuple):
    """One version, read and checked."""

    artifact: Artifact
    manifest: AnyManifest | None  # None of a version that is not in the store


class InForce:
    """Reads the store and the model files; safe from many threads."""

    def __init__(self, store: Store, model_files: Iterable[Path] = ()) -> None:
        """Take both; `ArtifactError` where a model file cannot be used."""
        self._store = store
        brought = [load(path) for path in (FOUNDATION_FILE, *model_files)]
        self._brought = {one.name: one for one in brought}
        fallback = brought[0].model
        assert isinstance(fallback, FoundationModel)
        self.fallback = fallback
        """What answers the prompts that a profile does not."""
        self._loaded: OrderedDict[tuple[str, str], Loaded] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return every model, those of the store first."""
        stored = [one for one in self._store.names_in_force() if one not in self._brought]
        return [*stored, *sorted(self._brought)]

    def pointer(self, name: str) -> Pointer | None:
        """Return what the store says is in force; None of a model that servers bring themselves."""
        return None if name in self._brought else self._store.current(name)

    def version(self, name: str) -> str:
        """Return the version in force; `StoreError` of a model that nobody knows."""
        pointer = self.pointer(name)
        return self._brought[name].version if pointer is None else pointer.version

    def load(self, name: str, version: str) -> Loaded:
        """Return a version; `StoreError` where it is not there or not whole.

        A stored version never changes, so one that was checked is not read again for a while.
        """
        if name in self._brought:
            return Loaded(self._brought[name], None)
        with self._lock:
            if (name, version) in self._loaded:
                self._loaded.move_to_end((name, version))
                return self._loaded[name, version]
        found = self.read(name, version)
        with self._lock:
            self._loaded[name, version] = found
            while len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        return found

    def read(self, name: str, version: str) -> Loaded:
        """Return a stored version as it is on the disk now; `StoreError` as above."""
        manifest = self._store.load(name, version).manifest
        try:
            artifact = load_stored(self._store.folder, name, version, self.fallback)
        except ArtifactError as error:
            raise StoreError(str(error)) from None
        return Loaded(artifact, manifest)

    def created(self, name: str) -> datetime | None:
        """Return when the version in force was made; None where only servers know of it."""
        pointer = self.pointer(name)
        return None if pointer is None else self.load(name, pointer.version).artifact.created
