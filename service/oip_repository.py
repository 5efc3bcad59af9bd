"""The repository of the Open Inference Protocol: the store, as far as a server follows it.

A server only reads its store. So the index tells what is served and what is stored; to load a model
is to look at the store now instead of at the next poll, and to be told what came of it; to unload
one is to let go of what the store no longer puts in force. What is in force is changed in the
store, for all servers at once (docs/open-inference.md).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from model.refusal import Refusal
from model.version_folder import StoreError
from service.installed import Installed
from service.slot import Slots

FIELD = "model_name"
READY, UNAVAILABLE = "READY", "UNAVAILABLE"
Look = Callable[[], str]
"""Looks at the store now; returns what is wrong with it as a whole, empty where nothing is."""


class Version(NamedTuple):
    """One version of a model in the index."""

    name: str
    version: str
    state: str
    reason: str  # empty of one that is READY


class Repository:
    """What is stored beside what is served."""

    def __init__(self, slots: Slots, installed: Installed, look: Look | None) -> None:
        """Take what is served, what follows the store, and what looks at it; None without one."""
        self._slots, self._installed, self._look = slots, installed, look

    def index(self) -> list[Version]:
        """Return every version, the models in order, of each the one in force first."""
        store = self._installed.store
        names = {*self._slots.names(), *(store.names() if store is not None else ())}
        return [one for name in sorted(names) for one in self._versions(name)]

    def _versions(self, name: str) -> Iterator[Version]:
        served, store = self._slots.get(name), self._installed.store
        in_force = "" if served is None else served.version
        if in_force:
            yield Version(name, in_force, READY, "")
        for version in reversed(store.versions(name) if store is not None else []):
            if version != in_force:
                yield Version(name, version, UNAVAILABLE, self._reason(name, version))

    def _reason(self, name: str, version: str) -> str:
        """Return why a stored version does not answer."""
        try:
            told = self._installed.told(name)
        except KeyError:
            return "stored, and not in force"
        if version == told.refused_version:
            return "in force in the store, and refused by this server: its log says why"
        if version == told.candidate_version:
            return f"a candidate, beside {told.model_version}"
        return "stored, and not in force"

    def load(self, name: str) -> None:
        """Look at the store now; refuse where what it puts in force does not answer."""
        self._check_from_store(name, "load")
        self._look_now()
        store = self._installed.store
        assert store is not None  # just looked at
        try:
            wanted = store.current(name).version
        except StoreError as error:
            raise Refusal("VERSION_REFUSED", FIELD, str(error)) from None
        served = self._slots.get(name)
        if served is None or served.version != wanted:
            told = self._installed.told(name)
            raise Refusal("VERSION_REFUSED", FIELD, f"expected {wanted} to answer: {told.refusal}")

    def unload(self, name: str) -> None:
        """Let go of a model that the store does not put in force any more; refuse any other."""
        self._check_from_store(name, "unload")
        self._look_now()
        store = self._installed.store
        assert store is not None  # just looked at
        if name == self._slots.default:
            sentence = f"expected another than the default model, got '{name:.64}'"
            raise Refusal("IN_FORCE", FIELD, sentence)
        if name in store.names_in_force():
            sentence = (
                f"expected a model that the store does not put in force, got '{name:.64}': "
                "servers follow the store, so take it out there"
            )
            raise Refusal("IN_FORCE", FIELD, sentence)
        self._installed.let_go(name)

    def _check_from_store(self, name: str, wish: str) -> None:
        """Refuse a model that the store has nothing to do with: one of a file, or of nobody."""
        store = self._installed.store
        is_stored = store is not None and name in store.names()  # no path is made of a name
        served = self._slots.get(name) is not None
        if self._look is None or not (self._installed.follows(name) or (is_stored and not served)):
            sentence = f"expected a model of the store to {wish}, got '{name:.64}'"
            raise Refusal("PERMISSION_DENIED", FIELD, sentence)

    def _look_now(self) -> None:
        assert self._look is not None  # checked
        if complaint := self._look():
            raise Refusal("STORE_UNAVAILABLE", "", complaint)
