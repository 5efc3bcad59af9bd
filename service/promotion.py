"""Which version may come into force: one that loads, with the columns that callers already send."""

from model.checkpoint import ArtifactError, load_stored
from model.layer_manifest import AnyDraft, AnyManifest
from model.store import Store
from model.version_folder import StoreError


class PromotionRefused(Exception):
    """A version that must not come into force, and why, in one sentence."""


def check_promotion(store: Store, name: str, version: str, force: bool = False) -> None:
    """Raise `PromotionRefused` where a version would not answer, or not to the same columns.

    `force` lets a version pass that does not load; never one with other columns. `StoreError` where
    there is no such version.
    """
    if version not in store.versions(name):
        store.load(name, version)  # says what there is
    check_loads(store, name, version, force)
    manifest = _manifest(store, name, version)
    if manifest is not None:
        check_columns(store, name, manifest)


def check_loads(store: Store, name: str, version: str, force: bool = False) -> None:
    """Raise `PromotionRefused` where a version does not load, unless forced."""
    try:
        load_stored(store.folder, name, version)
    except ArtifactError as error:
        if not force:
            raise PromotionRefused(f"{error}; it would not answer") from None


def check_columns(store: Store, name: str, new: AnyDraft) -> None:
    """Raise `PromotionRefused` where the version in force takes other columns."""
    held = _manifest(store, name, "")
    if held is None:
        return
    old_columns, new_columns = _columns(held), _columns(new)
    if old_columns != new_columns:
        there = [one for one in new_columns if one not in old_columns]
        gone = [one for one in old_columns if one not in new_columns]
        named = "; ".join(
            f"{what} {', '.join(names[:4])}{', …' * (len(names) > 4)}"
            for what, names in (("new:", there), ("missing:", gone))
            if names
        )
        raise PromotionRefused(
            f"{name}: expected the {len(old_columns)} columns of the version in force, got "
            f"{len(new_columns)} ({named or 'in another order'}): callers would be refused; "
            "store it under another name"
        )


def _columns(manifest: AnyDraft) -> list[str]:
    """Return name and unit of every column in order; numbers where they have no names."""
    columns = manifest.schema_of_model().columns
    if not columns:
        return [f"column {place + 1}" for place in range(manifest.feature_count)]
    return [f"'{column.name}' [{column.unit}]" if column.unit else f"'{column.name}'"
            for column in columns]  # fmt: skip


def _manifest(store: Store, name: str, version: str) -> AnyManifest | None:
    """Return what a version says of itself, by default the one in force; None where it cannot."""
    try:
        return store.load(name, version).manifest
    except StoreError:
        return None
