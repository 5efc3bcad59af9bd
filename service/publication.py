"""What must be written so that ConfigMaps hold what a store has in force: decided, not done.

The first ConfigMap is the index: the pointers. The others are slots. Slots are written before the
index that names what is in them, and nothing that a pointer names, the cluster's or the folder's,
is taken out of them. So a writer that ends between two writes leaves what was in force whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from model.document import DocumentError, changed, read
from model.store_pointer import CURRENT, Pointer
from service.flat_store import FlatVersion, key_of, models_of
from service.slots import Files, Full, Slots

ROLES = ("version", "previous", "candidate")  # the order in which room is given


class Write(NamedTuple):
    """One ConfigMap, by its place (0: the index), and all the files that it is to hold."""

    place: int
    files: Files


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a folder has to publish."""

    pointers: dict[str, Pointer]
    versions: dict[FlatVersion, Files]
    """The files of the versions that pointers name; one that cannot be read is not there."""
    rest: dict[str, bytes] = field(default_factory=dict)
    """What else the index is to hold."""


class Plan(NamedTuple):
    """What to write, in this order, and what keeps the ConfigMaps from holding all of it."""

    writes: list[Write]
    faults: list[Full]


def pointers_of(index: Files) -> dict[str, Pointer]:
    """Return the pointers of an index by model; a damaged one is left out."""
    found = {}
    for model in models_of(index):
        try:
            found[model] = read(Pointer, index[_key(model)])
        except DocumentError:
            continue
    return found


def plan(wanted: Wanted, index: Files, slots: Sequence[Files]) -> Plan:
    """Return what makes the ConfigMaps hold what is wanted, or as much of it as there is room for.

    With faults, carrying it out may make room: plan again, until nothing is left to write.
    """
    theirs = pointers_of(index)
    after = Slots(slots, {*_named(theirs), *_named(wanted.pointers)})
    after.clear({*wanted.rest, *map(_key, {*theirs, *wanted.pointers})})
    there, faults = set(), []
    for version in _named(wanted.pointers):
        files = wanted.versions.get(version)
        try:
            if files is not None:
                after.put(version, files)
            if after.has(version):
                there.add(version)
        except Full as fault:
            faults.append(fault)
    target = dict(wanted.rest)
    for model in sorted(wanted.pointers.keys() | theirs.keys()):
        ours, before = wanted.pointers.get(model), theirs.get(model)
        if found := _reached(model, ours, before, there, bool(faults)):
            target[_key(model)] = found.content
    writes = [Write(1 + place, files) for place, files in after.changes]
    return Plan(writes if target == index else [*writes, Write(0, target)], faults)


def _reached(
    model: str,
    ours: Pointer | None,
    theirs: Pointer | None,
    there: set[FlatVersion],
    is_full: bool,
) -> Pointer | None:
    """Return the pointer that the index can have of a model; None where it can have none.

    Where slots are full, the cluster's lets go of what the folder's names no more: that makes room.
    """
    if ours is None:
        return theirs
    if FlatVersion(model, ours.version) in there:
        return _only(ours, {one.version for one in there if one.model == model})
    return _only(theirs, set(ours.versions)) if theirs and is_full else theirs


def _only(pointer: Pointer, versions: set[str]) -> Pointer:
    """Return a pointer whose other roles name nothing but some versions."""
    gone = [role for role in ROLES[1:] if getattr(pointer, role) not in versions]
    return changed(pointer, **dict.fromkeys(gone, "")) if gone else pointer


def _named(pointers: Mapping[str, Pointer]) -> Iterator[FlatVersion]:
    """Yield what pointers name, each once, what is in force first."""
    named = ((model, getattr(one, role)) for role in ROLES for model, one in pointers.items())
    yield from dict.fromkeys(FlatVersion(*pair) for pair in named if pair[1])


def _key(model: str) -> str:
    return key_of(f"{model}/{CURRENT}")
