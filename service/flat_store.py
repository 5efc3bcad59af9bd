"""A store in a directory without folders: what kubelet makes of ConfigMaps whose keys are these.

    bikes.current                               the pointer, as in a folder
    bikes.last_evaluation.json                  what the last re-evaluation concluded
    bikes.3fa9c1d2e4b5.manifest.json            one version, whole
    bikes.3fa9c1d2e4b5.weights.npz

The name of a model ends where what follows has its one form, so no two files share a key
(docs/store.md).
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from model.manifest import NAME
from model.store import VERSIONS
from model.store_pointer import CURRENT
from model.version_folder import MANIFEST, WEIGHTS, StoreError

FLAT = "flat://"
ENDS = {MANIFEST, WEIGHTS}


class FlatVersion(NamedTuple):
    """A model and one of its versions."""

    model: str
    version: str


def key_of(path: str) -> str:
    """Return the key of a store's path: `bikes/versions/3fa9…/weights.npz` has its own."""
    model, *rest = path.split("/")
    return ".".join([model, *(part for part in rest if part != VERSIONS)])


def version_of(key: str) -> FlatVersion | None:
    """Return the version that a key is a file of; None of any other key."""
    ends = "|".join(map(re.escape, sorted(ENDS)))
    found = re.fullmatch(rf"(.+)\.([0-9a-f]{{12}})\.({ends})", key)
    return FlatVersion(found[1], found[2]) if found and re.fullmatch(NAME, found[1]) else None


def models_of(keys: Iterable[str]) -> list[str]:
    """Return the models of which there is a pointer."""
    found = (key.removesuffix(f".{CURRENT}") for key in keys if key.endswith(f".{CURRENT}"))
    return sorted(name for name in found if re.fullmatch(NAME, name))


class FlatFiles:
    """A flat store in memory, read by the paths of a store in a folder."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def names(self) -> list[str]:
        """Return the models of which there is a pointer."""
        return models_of(self._files)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file's bytes, None where there is none; one too large is refused."""
        content = self._files.get(key_of(path))
        return (
            None if content is None else _bounded(path, len(content), most_bytes, lambda: content)
        )


class FlatFolder:
    """A flat store in a directory, which may be empty, missing, or exchanged at any moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return the models of which there is a pointer; none while there is no directory."""
        try:
            return models_of(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._folder}: {_reason(error)}") from None

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file's bytes, None where there is none (yet); one too large is not read."""
        place = self._folder / key_of(path)
        try:
            return _bounded(path, place.stat().st_size, most_bytes, place.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: {_reason(error)}") from None


def _bounded(path: str, size: int, most_bytes: int, read: Callable[[], bytes]) -> bytes:
    if size > most_bytes:
        raise StoreError(f"{path}: expected at most {most_bytes} bytes, got {size}")
    return read()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
