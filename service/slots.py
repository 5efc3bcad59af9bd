"""Slots: ConfigMaps that hold whole versions of models, each version in one of them."""

from collections.abc import Mapping, Sequence

from model.version_folder import StoreError
from service.flat_store import FlatVersion, version_of

SLOT_BYTES = 1_000_000  # of the 1 MiB that a ConfigMap may hold
Files = Mapping[str, bytes]


class Full(StoreError):
    """No slot has room for a version."""


class Slots:
    """What the slots hold, and what they hold after the changes so far."""

    def __init__(self, slots: Sequence[Files], kept: set[FlatVersion]) -> None:
        """Take the files of every slot, and the versions that must stay."""
        self._held, self._kept = [dict(slot) for slot in slots], kept
        self.changes: list[tuple[int, Files]] = []
        """Which slot is to hold which files, in the order in which they must be written."""

    def has(self, version: FlatVersion) -> bool:
        """Return whether a slot has a version, of whatever content."""
        return any(version in _versions(slot) for slot in self._held)

    def put(self, version: FlatVersion, files: Files) -> None:
        """Let one slot hold a version, whole, and no other one any of it.

        A later slot's file would hide it: kubelet lets the last of two win. Raises `Full`.
        """
        homes = [place for place, slot in enumerate(self._held) if files.items() <= slot.items()]
        home = homes[0] if homes else self._place(version, files)
        if not homes:
            self._change(home, self._filled(home, version, files))
        for place, slot in enumerate(self._held):
            if place != home and version in _versions(slot):
                self._change(place, _without(slot, {version}))

    def clear(self, keys: set[str]) -> None:
        """Take files out of every slot that are the index's to hold."""
        for place, slot in enumerate(self._held):
            if keys & slot.keys():
                self._change(place, {key: slot[key] for key in slot.keys() - keys})

    def _change(self, place: int, files: Files) -> None:
        self._held[place] = dict(files)
        self.changes.append((place, self._held[place]))

    def _place(self, version: FlatVersion, files: Files) -> int:
        """Return the slot for a version: one with a damaged copy of it, else the emptiest."""
        rooms = [SLOT_BYTES - _bytes(self._lasting(slot, version)) for slot in self._held]
        fits = [place for place, room in enumerate(rooms) if room >= _bytes(files)]
        if not fits:
            name, size = f"{version.model}/{version.version}", _bytes(files)
            sentence = f"{name}: expected at most {max(rooms)} bytes, as a slot has room for"
            raise Full(f"{sentence}, got {size}: add a slot, or keep the store at a URL")
        torn = [place for place in fits if version in _versions(self._held[place])]
        return torn[0] if torn else min(fits, key=lambda place: _bytes(self._held[place]))

    def _filled(self, place: int, version: FlatVersion, files: Files) -> Files:
        """Return a slot with a version; what nobody names leaves it only where room is needed."""
        slot = self._held[place]
        after = {**_without(slot, {version}), **files}
        fits = _bytes(after) <= SLOT_BYTES
        return after if fits else {**self._lasting(slot, version), **files}

    def _lasting(self, slot: Files, version: FlatVersion) -> Files:
        """Return what must stay in a slot if a version is written to it."""
        return _without(slot, (_versions(slot) - self._kept) | {version})


def _versions(slot: Files) -> set[FlatVersion]:
    return {found for key in slot if (found := version_of(key)) is not None}


def _without(slot: Files, gone: set[FlatVersion]) -> dict[str, bytes]:
    return {key: content for key, content in slot.items() if version_of(key) not in gone}


def _bytes(files: Files) -> int:
    return sum(map(len, files.values()))
