"""A store at a URL, copied to where servers read: whole versions first, then what names them.

A folder is read where it is. A flat directory (service/flat_store.py), and any other URL that
fsspec knows, is copied into a cache of a store's layout, so that whoever reads the cache never
finds a pointer to something incomplete, and what is there stays while the URL cannot be reached
(docs/adr/0015, docs/store.md).
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from model.document import Document, DocumentError, changed, read
from model.last_evaluation import LastEvaluation
from model.manifest import NAME
from model.store import TOLD, VERSIONS, Store
from model.store_pointer import CURRENT, Pointer
from model.version_folder import (
    LARGEST_MANIFEST_BYTES,
    LARGEST_WEIGHTS_BYTES,
    MANIFEST,
    WEIGHTS,
    StoreError,
)
from service.flat_store import FLAT, FlatFolder
from service.store_cache import StoreCache

log = logging.getLogger("sonoba")

FILES = {MANIFEST: LARGEST_MANIFEST_BYTES, WEIGHTS: LARGEST_WEIGHTS_BYTES}
LARGEST_POINTER_BYTES = 64 * 2**10
Parsed = TypeVar("Parsed", bound=Document)


class MirrorError(StoreError):
    """A store that cannot be reached, in one sentence; what was copied of it is still good."""


class StoreSource(Protocol):
    """Where versions come from."""

    @property
    def store(self) -> Store:
        """The store as it was last brought up to date; it never blocks."""

    def refresh(self) -> Store:
        """Bring the store up to date and return it; it may wait for a network, so one thread only.

        Raises `MirrorError` where the store cannot be reached: `store` is then what it was. What of
        it is incomplete or damaged stays out, is logged once, and holds nothing else up.
        """


def open_source(setting: str, cache: Path) -> StoreSource:
    """Return the store of a setting: a folder, or a URL (also `flat://`) copied into the cache.

    Raises `MirrorError` where fsspec or the URL's driver is missing; nothing is copied yet. Each
    URL has a place of its own in the cache.
    """
    if "://" not in setting:
        return _Folder(Store(Path(setting)))
    place = hashlib.sha256(setting.encode()).hexdigest()[:12]
    flat = setting.startswith(FLAT)
    remote = FlatFolder(Path(setting.removeprefix(FLAT))) if flat else _Remote(setting)
    return _Mirror(remote, StoreCache(cache / place))


@dataclass(frozen=True, slots=True)
class _Folder:
    store: Store

    def refresh(self) -> Store:
        if not self.store.folder.is_dir():
            raise MirrorError(f"{self.store.folder}: expected a folder, got none")
        return self.store


class Remote(Protocol):
    """What holds a store far away, by the paths of a store in a folder."""

    def names(self) -> list[str]:
        """Return the names of what may be models."""

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file's bytes, None where there is none; one too large is a `StoreError`."""


class _Remote:
    """What is at a URL; whatever its driver raises becomes a sentence without credentials."""

    def __init__(self, url: str) -> None:
        self._shown = re.sub(r"//[^/@]*@", "//", url)
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            sentence = "a URL needs the extra `stores`: pip install 'sonoba-server[stores]'"
            raise MirrorError(f"{self._shown}: {sentence}") from None
        try:
            self._files, self._root = url_to_fs(url)
        except Exception as error:  # an unknown protocol, a driver that is not installed, …
            raise self.fault(error) from None

    def names(self) -> list[str]:
        """Return the names of folders, which may be models."""
        try:
            self._files.invalidate_cache()  # drivers remember listings
            found: list[dict[str, Any]] = self._files.ls(self._root, detail=True)
        except FileNotFoundError:
            raise MirrorError(f"{self._shown}: there is nothing there") from None
        except Exception as error:  # drivers raise what they like
            raise self.fault(error) from None
        folders = [one["name"] for one in found if one["type"] == "directory"]
        names = [str(name).rstrip("/").rpartition("/")[2] for name in folders]
        return sorted(name for name in names if re.fullmatch(NAME, name))

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file's bytes, None where there is none; one too large is not read."""
        place = f"{self._root}/{path}"
        try:
            size = self._files.info(place)["size"]
            content: bytes = b"" if size > most_bytes else self._files.cat_file(place)
        except FileNotFoundError:
            return None
        except Exception as error:  # drivers raise what they like
            raise self.fault(error) from None
        if size > most_bytes:
            raise StoreError(f"{path}: expected at most {most_bytes} bytes, got {size}")
        return content

    def fault(self, error: Exception) -> MirrorError:
        """Return what a driver raised as a sentence."""
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        reason = re.sub(r"//[^/@\s]*@", "//", reason)
        return MirrorError(f"{self._shown}: cannot be read: {reason}")


class _Mirror:
    """Copies a remote store into a cache."""

    def __init__(self, remote: Remote, cache: StoreCache) -> None:
        self._remote, self._cache = remote, cache
        self._faults: list[str] = []  # of the last look

    @property
    def store(self) -> Store:
        return self._cache.store

    def refresh(self) -> Store:
        faults: list[str] = []
        for name in self._remote.names():
            try:
                faults += copy_model(self._remote, self._cache, name)
            except StoreError as error:
                faults.append(str(error))
        for fault in faults:
            if fault not in self._faults:
                log.warning("store: %s; what was there before stays", fault)
        self._faults = faults
        return self.store


def copy_model(remote: Remote, cache: StoreCache, name: str) -> list[str]:
    """Copy one model; return what of it could not be copied and is not needed to answer."""
    raw = remote.read(f"{name}/{CURRENT}", LARGEST_POINTER_BYTES)
    if raw is None:
        return []  # nothing is in force yet
    pointer = _parsed(Pointer, raw, f"{name}/{CURRENT}")
    _copy_version(remote, cache, name, pointer.version)
    faults = []
    for role in ("previous", "candidate"):
        try:
            _copy_version(remote, cache, name, getattr(pointer, role))
        except StoreError as error:
            faults.append(f"{role}: {error}")
            pointer = changed(pointer, **{role: ""})
    told = remote.read(f"{name}/{TOLD}", LARGEST_POINTER_BYTES)
    if told is not None:
        _parsed(LastEvaluation, told, f"{name}/{TOLD}")
    cache.publish(name, pointer, told)
    return faults


def _copy_version(remote: Remote, cache: StoreCache, name: str, version: str) -> None:
    if not version or cache.has(name, version):
        return
    files = {}
    for file, most_bytes in FILES.items():
        content = remote.read(f"{name}/{VERSIONS}/{version}/{file}", most_bytes)
        if content is None:
            raise StoreError(f"{name}/{version}: {file}: not there yet")
        files[file] = content
    cache.add(name, version, files)


def _parsed(kind: type[Parsed], raw: bytes, place: str) -> Parsed:
    try:
        return read(kind, raw)
    except DocumentError as error:
        raise StoreError(f"{place}: {error}") from None
