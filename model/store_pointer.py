"""Which version of a model is in force: one small JSON file, replaced in one step, under one lock.

    STORE/<name>/current    {"version": …, "previous": …, "candidate": …, "serial": 7}
    STORE/<name>/.lock      flock(2) of whoever changes anything; freed by the kernel with its owner

Readers take no lock: they find the old pointer or the new one, never half of one.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from model.document import Document, bytes_of
from model.document import read as read_document
from model.version_folder import StoreError, sync_folder, write_through

CURRENT, LOCK = "current", ".lock"
VERSION = r"^[0-9a-f]{12}\Z"
Named = Annotated[str, Meta(pattern=r"^([0-9a-f]{12})?\Z")]


class Conflict(StoreError):
    """The pointer is not the one its change was decided on."""


class Pointer(Document, kw_only=True):
    """The content of `current`; what is empty is none."""

    version: Annotated[str, Meta(pattern=VERSION)]
    previous: Named = ""
    candidate: Named = ""
    """Loaded by servers to answer beside `version`, never in its place."""
    serial: Annotated[int, Meta(ge=0)] = 0
    """Grows by 1 with every change."""

    @property
    def etag(self) -> str:
        """12 hex digits that stand for exactly this content."""
        return hashlib.sha256(self.content).hexdigest()[:12]

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return bytes_of(self)

    @property
    def versions(self) -> list[str]:
        """The versions it names, each once."""
        named = (self.version, self.previous, self.candidate)
        return list(dict.fromkeys(version for version in named if version))

    def nominated(self, candidate: str) -> "Pointer":
        """Return the pointer with another candidate."""
        return self._changed(self.version, self.previous, candidate)

    def promoted(self, version: str) -> "Pointer":
        """Return the pointer with a version in force; the one before stays known."""
        previous = self.previous if version == self.version else self.version
        return self._changed(version, previous, "")

    def rolled_back(self) -> "Pointer":
        """Return the pointer with the version before in force; twice gives the first again."""
        return self._changed(self.previous, self.version, "")

    def _changed(self, version: str, previous: str, candidate: str) -> "Pointer":
        if (version, previous, candidate) == (self.version, self.previous, self.candidate):
            return self
        return Pointer(
            version=version, previous=previous, candidate=candidate, serial=self.serial + 1
        )


def is_version(text: str) -> bool:
    """Return whether a text can name a version."""
    return re.fullmatch(VERSION, text) is not None


def read(path: Path) -> Pointer | None:
    """Return the pointer in a file, None where there is none; ValueError of a damaged one."""
    try:
        return read_document(Pointer, path.read_bytes())
    except FileNotFoundError:
        return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder, and sweep away what killed holders left half-written."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(".*.unfinished"):
            left.unlink()
        yield
    finally:
        os.close(handle)


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step, on disk; the lock must be held."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write_through(unfinished, content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)
