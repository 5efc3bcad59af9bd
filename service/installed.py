"""Which versions a server has installed, from where, and what it refused: the store's reader.

A version is loaded and checked beside the one in force, and put in its place by one assignment
(docs/adr/0016). What is refused is never served, and not tried again until the pointer changes;
the version before stays in memory, so that a rollback needs no disk.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from model.checkpoint import Artifact, ArtifactError
from model.last_evaluation import LastEvaluation
from model.store import Store
from model.store_pointer import Pointer
from model.version_folder import StoreError
from monitoring.monitor import Monitor
from monitoring.paired import Paired
from service.candidate_shadow import Beside
from service.loading import First, checked
from service.monitors import watched
from service.slot import Served, Slots
from service.swap_metrics import SwapTally

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger("sonoba")

PAIRED_PROMPTS_MIN = 20  # sums over fewer say too much of each
Follow = Callable[[Served], object]


class Told(NamedTuple):
    """What one server has of a model at one moment; empty strings where there is nothing."""

    model_version: str  # in force
    reference: str  # its id, empty while it is collected
    monitor: Monitor | None  # None where nobody watches
    candidate_version: str  # loaded, and answering beside the one in force
    paired: Paired | None  # its sums, which go on growing; None without, or before 20 prompts
    refused_version: str  # named by the store, and not served
    refusal: str  # why, one sentence


class _Refused(NamedTuple):
    version: str
    sentence: str


class Installed:
    """The models of a server: in force, before that, beside that.

    One thread follows the store, many may ask.
    """

    def __init__(
        self,
        slots: Slots,
        first: First,
        settings: "Settings",
        tally: SwapTally,
        coming: Sequence[Follow] = (),
        gone: Sequence[Follow] = (),
    ) -> None:
        """Take what is in force: no store changes what is a file's.

        `coming` are told a version before it is in force, `gone` one that was.
        """
        self._slots, self._fallback = slots, first.fallback
        self._fixed = {one.name for one in first.own}
        self._settings, self._tally, self._coming, self._gone = settings, tally, coming, gone
        self._kept = {one.name: {one.version: one} for one in first.all}
        self._pointers: dict[str, Pointer] = {}
        self._refused: dict[str, _Refused] = {}
        self._complaints: dict[str, str] = {}  # by model, the last
        self._changing = threading.Lock()
        self.store: Store | None = None
        """The store as it was looked at last; None before, and where there is none."""
        for artifact in first.all:
            tally.admit(artifact.name)

    def told(self, model: str) -> Told:
        """Return what is known of a model; a name that nobody serves or refused is a KeyError."""
        served, refused = self._slots.get(model), self._refused.get(model, _Refused("", ""))
        if served is None and not refused.version:
            raise KeyError(model)
        if served is None:
            return Told("", "", None, "", None, *refused)
        beside = None if served.line is None else served.line.beside
        of = served.version, served.reference_id, served.monitor
        if beside is None:
            return Told(*of, "", None, *refused)
        is_public = beside.paired.prompt_count >= PAIRED_PROMPTS_MIN
        paired = beside.paired if is_public else None
        return Told(*of, beside.candidate.version, paired, *refused)

    def last_evaluation(self, model: str) -> LastEvaluation | None:
        """Return what the store tells of a model's last evaluation; None where it tells nothing."""
        try:
            return None if self.store is None else self.store.told(model)
        except StoreError:
            return None

    def follow(self, store: Store) -> None:
        """Bring what is served in line with a store's pointers; what fails stays as it was."""
        self.store = store
        with self._changing:
            self._follow_pointers(store, store.names_in_force())

    def follows(self, name: str) -> bool:
        """Return whether a model is, or was, put in force by the store."""
        return name in self._pointers and name not in self._fixed

    def let_go(self, name: str) -> None:
        """Take a model out of service, with all that is known of it, until the store names it."""
        with self._changing:
            before = self._slots.get(name)
            self._slots.remove(name)
            for known in (self._pointers, self._kept, self._complaints):
                known.pop(name, None)
            self._refused = {key: one for key, one in self._refused.items() if key != name}
            if before is not None:
                self._end(before)
                log.info("model %s: version %s is served no more", name, before.version)

    def _end(self, before: Served) -> None:
        """Let go of a version that was in force."""
        if before.line is not None:
            before.line.close()
        for follow in self._gone:
            follow(before)

    def _follow_pointers(self, store: Store, names: Sequence[str]) -> None:
        for name in sorted(self._pointers.keys() - set(names)):
            self._complain(name, f"{name}: the store does not hold it any more")
        for name in names:
            try:
                pointer = store.current(name)
            except StoreError as error:
                self._complain(name, str(error))
                continue
            self._complaints.pop(name, None)
            if pointer != self._pointers.get(name):
                self._pointers[name] = pointer
                self._follow_pointer(store, name, pointer)

    def _complain(self, name: str, complaint: str) -> None:
        """Log what is wrong with a pointer, once; what was served is served on."""
        if self._complaints.get(name) != complaint:
            log.warning("store: %s; what is in force stays", complaint)
        self._complaints[name] = complaint

    def _follow_pointer(self, store: Store, name: str, pointer: Pointer) -> None:
        self._refused = {key: one for key, one in self._refused.items() if key != name}
        if name in self._fixed:
            sentence = "expected a name of its own, got that of a model file"
            return self._refuse(name, pointer.version, sentence)
        served = self._slots.get(name)
        is_another = served is None or served.version != pointer.version
        if is_another and (artifact := self._loaded(store, name, pointer.version)):
            self._install(artifact)
        self._nominate(store, name, pointer.candidate)
        if served := self._slots.get(name):
            wanted = {served.version, *pointer.versions}
            known = self._kept.get(name, {})
            self._kept[name] = {v: known[v] for v in known.keys() & wanted}
        return None

    def _loaded(self, store: Store, name: str, version: str) -> Artifact | None:
        """Return a version that may be served, from memory where it was before; None if refused."""
        known = self._kept.setdefault(name, {})
        if version in known:
            return known[version]
        try:
            before = self._slots.get(name)
            known[version] = checked(store, name, version, self._fallback, before)
        except ArtifactError as error:
            self._refuse(name, version, str(error))
        except Exception as error:
            log.exception("model %s: version %s broke while it was checked", name, version)
            self._refuse(name, version, f"{name}/{version}: checking it failed: {error!r:.200}")
        return known.get(version)

    def _refuse(self, name: str, version: str, sentence: str) -> None:
        self._refused = {name: _Refused(version, sentence), **self._refused}  # the first stays
        self._tally.count(name, "refused")
        told = {"event": "version_refused", "model": name, "version": version}
        log.warning("model %s: version %s is refused: %s", name, version, sentence, extra=told)

    def _install(self, artifact: Artifact) -> None:
        """Put a version in force, and let go of the one before."""
        before, served = self._slots.get(artifact.name), watched(artifact, self._settings)
        for follow in self._coming:
            follow(served)
        self._slots.install(served)
        if before is not None:
            self._end(before)
        self._tally.count(served.name, "ok")
        kind, place = served.model.mode.name.lower(), before.version if before else "none"
        told = {"event": "swap", "model": served.name, "version": served.version}
        of = served.name, served.version, kind, served.reference_id or "none yet", place
        log.info(
            "model %s: version %s (%s, reference %s) is in force in place of %s", *of, extra=told
        )

    def _nominate(self, store: Store, name: str, version: str) -> None:
        """Let a candidate answer beside what is in force; an empty version ends that."""
        served = self._slots.get(name)
        if served is None or (line := served.line) is None:
            return  # nobody watches: there is nothing to be beside
        if line.beside is not None and line.beside.candidate.version == version:
            return  # its sums go on
        is_another = version not in ("", served.version)
        candidate = self._loaded(store, name, version) if is_another else None
        if candidate is None:
            line.beside = None
            return
        line.beside = Beside(candidate, self._fallback, self._tally.prompts_of(name))
        log.info("model %s: candidate %s answers beside %s", name, version, served.version)
