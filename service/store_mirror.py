"""A store at a URL, copied to where servers read: whole versions first, then what names them.

A folder is read where it is. Any other URL that fsspec knows is copied into a cache of the same
layout, so that whoever reads the cache never finds a pointer to something incomplete (ADR 0015).
"""

from pathlib import Path
from typing import Protocol

from model.store import Store


class MirrorError(Exception):
    """A store that could not be brought up to date, in one sentence; `store` is still good."""


class StoreSource(Protocol):
    """Where versions come from."""

    @property
    def store(self) -> Store:
        """The store as it was last brought up to date; it never blocks."""

    def refresh(self) -> Store:
        """Bring the store up to date and return it.

        Raises `MirrorError` where that did not fully succeed: what could be copied is there then,
        and of everything else what was there before.
        """


def open_source(setting: str, cache: Path) -> StoreSource:
    """Return the store of a setting: a folder, or a URL that is copied into the cache.

    Raises `MirrorError` where fsspec or the URL's driver is missing; nothing is copied yet.
    """
    raise NotImplementedError
