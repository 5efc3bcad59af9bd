"""What files say, read again when they change: certificates, callers and quotas without a restart.

While a file says nothing good, what it said before stays; that is logged once and counted. One
thread looks at all of them, so that no call ever waits for a disk.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from service.background import Repeating
from service.start_error import StartError

log = logging.getLogger("sonoba")

LOOK_SECONDS = 1.0
Value = TypeVar("Value")
Stamps = tuple[tuple[int, int, int], ...]


class FileFault(Exception):
    """What is wrong with a file, in one sentence that tells nothing of a secret in it."""


class Reloaded(Generic[Value]):
    """What some files say together, as they last said something good."""

    def __init__(self, setting: str, paths: Sequence[Path], read: Callable[[], Value]) -> None:
        """Read the files; `StartError` names the setting where they say nothing good."""
        self.setting, self._paths, self._read = setting, tuple(paths), read
        self.reloads = {"ok": 0, "error": 0}  # since the start, which is none of them
        self._bad: tuple[Stamps, str] | None = None  # what was no good when last looked at
        try:
            self._seen, self.value = self._stamps(), read()
        except (OSError, FileFault) as error:
            raise StartError(f"{setting}: {_sentence(error)}") from None

    def look(self) -> None:
        """Take what the files say now, if they have changed and it is good."""
        before: Stamps = ()
        try:
            before = self._stamps()
            if before == self._seen and self._bad is None:
                return
            value = self._read()
            if self._stamps() != before:
                return  # somebody writes them at this moment: the next look sees more
        except (OSError, FileFault) as error:
            self._keep((before, _sentence(error)))
            return
        if before != self._seen:
            log.info("%s: what the file says now holds from now on", self.setting)
            self.reloads["ok"] += 1
        self.value, self._seen, self._bad = value, before, None

    def _keep(self, bad: tuple[Stamps, str]) -> None:
        if bad != self._bad:  # say it once, not at every look
            log.warning("%s: %s; what it said before stays", self.setting, bad[1])
            self.reloads["error"] += 1
        self._bad = bad

    def _stamps(self) -> Stamps:
        found = [path.stat() for path in self._paths]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


class FileWatch(Repeating):
    """The thread that looks."""

    def __init__(self, looks: Sequence[Callable[[], None]], seconds: float = LOOK_SECONDS) -> None:
        super().__init__(self._look, seconds, "sonoba-files")
        self._looks = tuple(looks)

    def start(self) -> None:
        """Begin to look, where there is anything to look at."""
        if self._looks:
            super().start()

    def _look(self) -> None:
        for look in self._looks:
            try:
                look()
            except Exception:
                log.exception("bug while looking at a file")


def _sentence(error: OSError | FileFault) -> str:
    """Return what is wrong, by the name of the file."""
    if isinstance(error, FileFault):
        return str(error)
    name = Path(error.filename).name if isinstance(error.filename, str) else "the file"
    return f"{name}: {error.strerror or 'cannot be read'}"
