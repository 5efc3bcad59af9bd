"""Keeps a copy of a store in ConfigMaps, from which kubelet makes the flat directory of servers.

The folder says what is right; at a start that finds less in it than in the cluster, a lost volume,
it is restored from the cluster first. What a second writer has put there is not overwritten: that
is told, and left to people (docs/adr/0031).
"""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from model.document import bytes_of
from model.store import TOLD, VERSIONS, Store
from model.store_pointer import CURRENT, Pointer
from model.version_folder import MANIFEST, WEIGHTS, StoreError
from service.configmaps import ApiError, ConfigMap, ConfigMaps
from service.flat_store import FlatFiles, FlatVersion, key_of, packed, version_of
from service.publication import Wanted, Write, plan, pointers_of
from service.slots import Files
from service.store_cache import StoreCache
from service.store_mirror import copy_model

log = logging.getLogger("sonoba")

ROUNDS = 5  # of reading, deciding and writing, before others write too often


class Fault(NamedTuple):
    """What keeps the ConfigMaps from holding what the folder does."""

    reason: str
    sentence: str


class Publisher:
    """The one writer of the ConfigMaps."""

    def __init__(self, store: Store, api: ConfigMaps, names: Sequence[str]) -> None:
        """Take the folder, and the ConfigMaps' names: the index, then the slots."""
        self._store, self._api, self._names = store, api, tuple(names)
        self._ours: dict[str, list[Pointer]] = {}  # by model, what the index may say by our doing

    def restore(self) -> list[Fault]:
        """Bring into the folder what the cluster is ahead of it with; return what cannot be.

        Raises `ApiError` where the ConfigMaps cannot be read.
        """
        maps, faults = self._read(), []
        merged = {key: content for one in maps for key, content in one.files.items()}
        cache = StoreCache(self._store.folder)
        for model, pointer in pointers_of(maps[0].files).items():
            ours = self._pointer(model)
            if ours is not None and ours.serial >= pointer.serial:
                continue
            try:
                copy_model(FlatFiles(merged), cache, model)
            except StoreError as error:
                faults.append(Fault("damaged", f"it cannot be restored: {error}"))
                continue
            self._ours[model] = [pointer]
            had = f"serial {ours.serial}" if ours else "nothing"
            what = f"version {pointer.version}, serial {pointer.serial}, where the folder had {had}"
            log.warning("store: %s restored from the cluster: %s", model, what)
        return faults

    def publish(self) -> list[Fault]:
        """Let the ConfigMaps hold what the folder has in force; return what keeps them from it.

        Nothing is written where they do. Raises `ApiError` of a request that failed; whatever was
        in force still is, and what was written is whole.
        """
        for _ in range(ROUNDS):
            maps = self._read()
            wanted, faults = self._wanted(maps[0].files)
            found = plan(wanted, maps[0].files, [one.files for one in maps[1:]])
            if not found.writes:
                return [*faults, *(Fault("full", str(fault)) for fault in found.faults)]
            try:
                self._write(maps, found.writes, wanted.pointers)
            except ApiError as error:
                if error.reason != "conflict":
                    raise
                log.warning("publishing: %s; read again", error)
        raise ApiError("conflict", f"somebody else wrote {ROUNDS} times in between")

    def _read(self) -> list[ConfigMap]:
        return [self._api.read(name) for name in self._names]

    def _write(self, maps: list[ConfigMap], writes: Sequence[Write], models: Iterable[str]) -> None:
        for place, files in writes:
            if place == 0:  # its answer may be lost: it is by our doing all the same
                found = pointers_of(files)
                for model in found.keys() & set(models):
                    self._ours.setdefault(model, []).append(found[model])
            maps[place] = self._api.replace(maps[place], files)

    def _wanted(self, index: Files) -> tuple[Wanted, list[Fault]]:
        """Return what the folder has to publish, and what of it cannot be."""
        theirs, faults = pointers_of(index), []
        wanted = Wanted({}, {}, {key: index[key] for key in index if _is_rest(key)})
        for model in self._store.names_in_force():
            ours, before = self._pointer(model), theirs.get(model)
            if ours is None:
                faults.append(Fault("damaged", f"{model}: {CURRENT}: expected a pointer"))
            elif before is not None and self._is_anothers(model, ours, before):
                faults.append(Fault("diverged", _diverged(model, ours, before)))
            else:
                faults += self._add(wanted, model, ours)
        return wanted, faults

    def _is_anothers(self, model: str, ours: Pointer, theirs: Pointer) -> bool:
        """Return whether somebody else has put a pointer into the index; until it is as ours."""
        if model in self._ours:
            is_known = theirs in self._ours[model]
        else:  # a first look cannot know who wrote it: the serial says who is ahead
            same = theirs.serial == ours.serial and theirs.version == ours.version
            is_known = theirs.serial < ours.serial or same
        if theirs == ours:
            self._ours[model] = [theirs]
            return False
        known = self._ours.setdefault(model, [])
        if is_known and theirs not in known:
            known.append(theirs)
        return not is_known

    def _add(self, wanted: Wanted, model: str, pointer: Pointer) -> list[Fault]:
        """Add what a folder has of a model; return what cannot be read."""
        wanted.pointers[model], faults = pointer, []
        for version in pointer.versions:
            try:
                wanted.versions[FlatVersion(model, version)] = self._files(model, version)
            except StoreError as error:
                faults.append(Fault("damaged", str(error)))
        try:
            if (told := self._store.told(model)) is not None:
                wanted.rest[key_of(f"{model}/{TOLD}")] = bytes_of(told)
        except StoreError as error:
            faults.append(Fault("damaged", str(error)))
        return faults

    def _files(self, model: str, version: str) -> Files:
        """Return the files of a version, checked."""
        self._store.load(model, version)
        folder = self._store.folder / model / VERSIONS / version
        try:
            return {
                key_of(f"{model}/{VERSIONS}/{version}/{file}"): packed((folder / file).read_bytes())
                for file in (MANIFEST, WEIGHTS)
            }
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"{model}/{version}: {reason}") from None

    def _pointer(self, model: str) -> Pointer | None:
        """Return what the folder has in force; None where it has nothing sound."""
        try:
            return self._store.current(model)
        except StoreError:
            return None


def _is_rest(key: str) -> bool:
    """Return whether a key of the index is no pointer and no stray file of a version."""
    return not key.endswith(f".{CURRENT}") and version_of(key) is None


def _diverged(model: str, ours: Pointer, theirs: Pointer) -> str:
    got = f"got version {theirs.version}, serial {theirs.serial}"
    wanted = f"expected a pointer before version {ours.version}, serial {ours.serial}"
    return f"{model}: index: {wanted}, {got}: somebody else writes the ConfigMaps; left as it is"
