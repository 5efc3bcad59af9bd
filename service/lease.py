"""Who may act: a lock on a file, which the kernel takes back from a process that dies."""

import fcntl
import os
import socket
from pathlib import Path

from service.ledger_file import LedgerError


class Lease:
    """The right to act on a store, `<store>/.reevaluator.lock`; one process at a time has it.

    A child made by fork alone would keep it alive; `subprocess` closes it in the child.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened before `take`."""
        self._path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it; a lock on a file that was deleted or replaced is none."""
        if self._file is None:
            return False
        if not _is_same(self._file, self._path):
            self.release()
        return self._file is not None

    @property
    def holder(self) -> str:
        """Who wrote himself into it last, for people: "process 7 of host"; empty if nobody did."""
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")[:200].strip()
        except OSError:
            return ""

    def take(self) -> bool:
        """Take it if nobody else has it, at once; True if it is held then.

        Raises `LedgerError` where the file cannot be made or locked.
        """
        if self.held:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            if self._locked(file):
                self._file = file
                _sign(file)
            else:
                os.close(file)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LedgerError(f"{self._path.name}: it cannot be locked: {reason}") from None
        return self._file is not None

    def release(self) -> None:
        """Give it back; nothing where it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _locked(self, file: int) -> bool:
        """Lock an open file; one that was replaced meanwhile is of no use."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return _is_same(file, self._path)


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    """Write who has it; a disk that is full takes no right away."""
    text = f"process {os.getpid()} of {socket.gethostname()}\n".encode()
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, text, 0)
    except OSError:
        return
