"""Models from files and stores, read and checked before anybody is answered by them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.checkpoint import FOUNDATION_FILE, Artifact, ArtifactError, load, load_stored
from model.foundation import FoundationModel
from model.store import Store
from model.version_folder import StoreError
from service.monitors import reference_of
from service.self_test import self_test
from service.start_error import StartError
from service.store_mirror import MirrorError, StoreSource, open_source

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger("sonoba")


class First(NamedTuple):
    """What a server begins with."""

    own: list[Artifact]  # of files, the bundled foundation model first
    stored: list[Artifact]  # of the store, which may change them
    refresh: Callable[[], Store] | None  # returns the store as it is now; None without one

    @property
    def all(self) -> list[Artifact]:
        """All of them."""
        return [*self.own, *self.stored]

    @property
    def fallback(self) -> FoundationModel:
        """The bundled model: it answers what a profile does not."""
        model = self.own[0].model
        assert isinstance(model, FoundationModel)  # the file's kind
        return model


def first_models(settings: "Settings") -> First:
    """Return the bundled model, those of the settings' files, and what is in force in their store.

    Raises `StartError` of settings that do not fit, `ArtifactError` of a model that cannot be
    served: nothing is in force yet that could stay.
    """
    first = First([load(path) for path in (FOUNDATION_FILE, *settings.model_files)], [], None)
    if settings.store is not None:
        source = _source(settings.store, settings.store_cache)
        store = _first_look(source)
        names = store.names_in_force()
        stored = [checked(store, name, "", first.fallback) for name in names]
        first = first._replace(stored=stored, refresh=source.refresh)
    _check_names([artifact.name for artifact in first.all], settings.default_model)
    return first


def _source(setting: str, cache: Path) -> StoreSource:
    if "://" not in setting and not Path(setting).is_dir():
        sentence = "expected a folder that `sonoba pretrain` wrote, got none"
        raise StartError(f"store: {setting}: {sentence}")
    try:
        return open_source(setting, cache)
    except MirrorError as error:
        raise StartError(f"store: {error}") from None


def _first_look(source: StoreSource) -> Store:
    """Return the store as it is; where a URL cannot be reached, as it was copied before."""
    try:
        return source.refresh()
    except StoreError as error:
        if not source.store.names_in_force():
            raise StartError(f"store: {error}") from None
        log.warning("store: %s; the last copy of it serves", error)
        return source.store


def _check_names(names: list[str], default: str) -> None:
    known = ", ".join(names)
    if len(set(names)) < len(names):
        raise StartError(f"model_files: expected models of different names, got {known}")
    if default not in names:
        raise StartError(f"default_model: expected one of {known}, got {default}")


def checked(
    store: Store,
    name: str,
    version: str,
    fallback: FoundationModel,
    before: Artifact | None = None,
) -> Artifact:
    """Return a version (empty: in force) that may take the place of another.

    Raises `ArtifactError` with the first thing that keeps it from being served: damage, a damaged
    reference, columns that are not those of `before`, a failed self-test.
    """
    artifact = load_stored(store.folder, name, version, fallback=fallback)
    if before is not None:
        _check_columns(artifact, before)
    reference_of(artifact)
    self_test(artifact, before)
    return artifact


def _check_columns(artifact: Artifact, before: Artifact) -> None:
    """Refuse columns, a width or a label's unit that callers of the version before do not send."""
    place = f"{artifact.name}/{artifact.version}"
    ours, theirs = artifact.schema, before.schema
    of = f"of version {before.version}"
    if theirs.columns and ours.hash != theirs.hash:
        wanted, got = (", ".join(one.names) or "none" for one in (theirs, ours))
        if wanted == got:
            of += " in the same units"
        raise ArtifactError(f"{place}: columns: expected those {of} ({wanted}), got {got}")
    if theirs.columns and ours.label_unit != theirs.label_unit:
        units = f"'{theirs.label_unit}', got '{ours.label_unit}'"
        raise ArtifactError(f"{place}: label: expected the unit {of}, {units}")
    if (wanted_count := before.feature_count) and artifact.feature_count != wanted_count:
        sentence = f"expected {wanted_count}, got {artifact.feature_count or 'any'}"
        raise ArtifactError(f"{place}: features: {sentence}")
