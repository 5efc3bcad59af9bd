"""The two files of an assessment: each written whole or not at all, and never over a stranger's."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.assess.rules_file import WRITTEN_BY

SIGNED = f"<!-- {WRITTEN_BY} -->"  # the last line of a report, by which it is known again
LOOKED_AT = 4096  # bytes at either end of a file
MODE = 0o666


class Unwritable(Exception):
    """A place where nothing may be written, in one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the report and the rules go."""

    report: Path
    rules: Path

    def check(self, history: Path) -> None:
        """Make the folders and try to write there; raise `Unwritable` with what to do."""
        if len({path.resolve() for path in (self.report, self.rules, history)}) < 3:
            raise Unwritable(
                f"--out {self.report}, --rules {self.rules} and {history}: expected three files"
            )
        for flag, path in (("--out", self.report), ("--rules", self.rules)):
            _try_folder(flag, path)
            _check_owner(flag, path)

    def replaced(self) -> list[Path]:
        """Return which of the two are there already, from an assessment before."""
        return [path for path in (self.report, self.rules) if path.exists()]

    def write(self, page: str, rules: str) -> None:
        """Write both; each is either new as a whole or as it was. Raises `Unwritable`."""
        for flag, path, text in (
            ("--rules", self.rules, rules),
            ("--out", self.report, f"{page.rstrip()}\n{SIGNED}\n"),
        ):
            try:
                replace_text(path, text)
            except OSError as error:
                raise Unwritable(_why(flag, path, error)) from None


def replace_text(path: Path, text: str) -> None:
    """Put a text in place of a file in one step; raises `OSError` and then leaves it as it was."""
    handle, unfinished = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, MODE & ~_umask())
        os.replace(unfinished, path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _try_folder(flag: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Unwritable(_why(flag, path, error)) from None
    if path.is_dir():
        raise Unwritable(f"{flag} {path}: expected a file, this is a folder")


def _check_owner(flag: str, path: Path) -> None:
    """Refuse to write over a file that no assessment wrote."""
    try:
        with open(path, "rb") as file:
            head = file.read(LOOKED_AT)
            file.seek(max(path.stat().st_size - LOOKED_AT, 0))
            seen = head + file.read(LOOKED_AT)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unwritable(_why(flag, path, error)) from None
    if seen.strip() and WRITTEN_BY.encode() not in seen:
        raise Unwritable(
            f"{flag} {path}: this file is there and was not written by `sonoba assess`; "
            "move it away or name another"
        )


def _why(flag: str, path: Path, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{flag} {path}: cannot be written ({reason}); name a file in a folder of yours"


def _umask() -> int:
    """Return which permissions new files do not get; to ask, it must be set for a moment."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
