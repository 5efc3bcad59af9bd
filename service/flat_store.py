"""A store in a directory without folders: what kubelet makes of ConfigMaps whose keys are these.

    bikes.current                               the pointer, as in a folder
    bikes.last_evaluation.json                  what the last re-evaluation concluded
    bikes.3fa9c1d2e4b5.manifest.json.gz         one version, whole: twice as many fit compressed
    bikes.3fa9c1d2e4b5.weights.npz.gz

The name of a model ends where what follows has its one form, so no two files share a key
(docs/store.md).
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from model.manifest import NAME
from model.store import VERSIONS
from model.store_pointer import CURRENT
from model.version_folder import MANIFEST, WEIGHTS, StoreError

FLAT, GZIP = "flat://", ".gz"
ENDS = "|".join(map(re.escape, (MANIFEST, WEIGHTS)))


class FlatVersion(NamedTuple):
    """A model and one of its versions."""

    model: str
    version: str


def key_of(path: str) -> str:
    """Return the key of a store's path: `bikes/versions/3fa9…/weights.npz` has its own."""
    model, *rest = path.split("/")
    if rest[0] != VERSIONS:
        return f"{model}.{rest[0]}"
    return ".".join([model, *rest[1:]]) + GZIP


def packed(content: bytes) -> bytes:
    """Return a version's file as it is kept; equal files give equal bytes."""
    return gzip.compress(content, mtime=0)


def version_of(key: str) -> FlatVersion | None:
    """Return the version that a key is a file of; None of any other key."""
    found = re.fullmatch(rf"(.+)\.([0-9a-f]{{12}})\.({ENDS}){re.escape(GZIP)}", key)
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
        if content is not None:
            _check(path, len(content), most_bytes)
        return None if content is None else _unpacked(path, content, most_bytes)


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
            _check(path, place.stat().st_size, most_bytes)
            return _unpacked(path, place.read_bytes(), most_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: {_reason(error)}") from None


def _unpacked(path: str, raw: bytes, most_bytes: int) -> bytes:
    """Return what a file says; one that unpacks to more than that is not unpacked further."""
    if not key_of(path).endswith(GZIP):
        return raw
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip
    try:
        content = unpacker.decompress(raw, most_bytes + 1)
    except zlib.error:
        raise StoreError(f"{path}: expected it compressed by gzip, got something else") from None
    _check(path, len(content), most_bytes)
    if not unpacker.eof:
        raise StoreError(f"{path}: expected it compressed by gzip: the file is incomplete")
    return content


def _check(path: str, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise StoreError(f"{path}: expected at most {most_bytes} bytes, got {size}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
