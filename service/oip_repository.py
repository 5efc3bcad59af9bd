"""The repository of the Open Inference Protocol: the store, as far as a server follows it.

A server only reads its store. So the index tells what is served and what is stored; to load a model
is to look at the store now instead of at the next poll, and to be told what came of it; to unload
one is to let go of what the store no longer puts in force. What is in force is changed in the
store, for all servers (docs/store.md).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from model.refusal import Refusal
from model.version_folder import StoreError
from service.installed import Installed
from service.slot import Slots

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

    def index(self, shows_reasons: bool) -> list[Version]:
        """Return every version, the models in order, the newest version last.

        Why a version was refused is told to those who look after the server only.
        """
        names = sorted({*self._slots.names(), *self._installed.stored_names()})
        return [one for name in names for one in self._versions(name, shows_reasons)]

    def _versions(self, name: str, shows_reasons: bool) -> Iterator[Version]:
        served = self._slots.get(name)
        in_force = "" if served is None else served.version
        stored = self._installed.stored_versions(name)
        for version in stored:
            if version != in_force:
                reason = self._reason(name, version, in_force, shows_reasons)
                yield Version(name, version, UNAVAILABLE, reason)
        if in_force:
            yield Version(name, in_force, READY, "")

    def _reason(self, name: str, version: str, in_force: str, shows_reasons: bool) -> str:
        """Return why a stored version does not answer."""
        told = self._installed.told_or_none(name)
        if told is not None and version == told.refused_version:
            return told.refusal if shows_reasons else "refused by this server"
        if told is not None and version == told.candidate_version:
            return f"a candidate beside {in_force}"
        return f"stored; {in_force or 'no version'} is in force"

    def load(self, name: str) -> None:
        """Look at the store now; refuse where the version that it puts in force does not answer."""
        self._check_stored(name, is_known=bool(self._installed.stored_versions(name)))
        self._look_now()
        try:
            wanted = self._installed.wanted(name)
        except StoreError as error:
            raise Refusal("MODEL_NOT_FOUND", "model_name", str(error)) from None
        served = self._slots.get(name)
        if served is None or served.version != wanted:
            told = self._installed.told_or_none(name)
            why = told.refusal if told is not None and told.refusal else "it is not loaded"
            raise Refusal("VERSION_REFUSED", "model_name", f"{wanted} is in force: {why}")

    def unload(self, name: str) -> None:
        """Let go of a model that the store does not put in force any more; refuse any other."""
        raise NotImplementedError

    def _check_stored(self, name: str, is_known: bool) -> None:
        if self._look is None or not is_known:
            sentence = f"expected a model of the store, got '{name:.64}'"
            raise Refusal("PERMISSION_DENIED", "model_name", sentence)

    def _look_now(self) -> None:
        assert self._look is not None  # checked
        if complaint := self._look():
            raise Refusal("STORE_UNAVAILABLE", "", complaint)
