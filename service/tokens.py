"""The token that callers of an administrative port bring: RFC 6750's `authorization: Bearer …`.

It stands on the first line of a file, so that a secret can be mounted, and changed without a
restart.
"""

import hmac
import logging
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from model.refusal import Refusal
from service.start_error import StartError

log = logging.getLogger("sonoba")

TOKEN = re.compile(rb"[\x21-\x7e]{16,}")  # what metadata and headers can carry
FILE_BYTES_MAX = 8192
HEADER = "authorization"
SCHEME = "bearer "
Stamp = tuple[int, int, int]


class Tokens:
    """The token of a file, read again when the file changes; it is in no log and no sentence."""

    def __init__(self, path: Path, setting: str = "admin_token_file") -> None:
        """Read the token; `StartError` names the setting where there is none to read."""
        self._path = path
        self._fault = ""
        try:
            self._seen, self._token = _stamp(path), read_token(path)
        except (OSError, ValueError) as error:
            raise StartError(f"{setting}: {path}: {_sentence(error)}") from None
        if is_open_to_others(path):
            log.warning("%s: %s: every user of this machine may read it; chmod 600", setting, path)

    def check(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Refuse a call whose metadata do not bring the token: `UNAUTHENTICATED`."""
        given = [value for key, value in metadata if key.lower() == HEADER]
        if len(given) == 1 and isinstance(given[0], str) and self.matches(given[0]):
            return
        got = "another" if given else "none"
        sentence = f"expected 'Bearer <token>' with the token of this port, got {got}"
        raise Refusal("UNAUTHENTICATED", HEADER, sentence)

    def matches(self, header: str) -> bool:
        """Return whether an `authorization` header, "Bearer …", brings the token."""
        is_token = self.is_token(header[len(SCHEME) :].strip(" "))
        return is_token and header[: len(SCHEME)].lower() == SCHEME

    def is_token(self, text: str) -> bool:
        """Return whether a text is the token itself, in constant time."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._current())

    def _current(self) -> bytes:
        """Return the file's token as it is now; while it cannot be read, the one before."""
        try:
            if (stamp := _stamp(self._path)) != self._seen:
                self._token, self._seen = read_token(self._path), stamp
                log.info("%s: another token holds from now on", self._path)
            self._fault = ""
        except (OSError, ValueError) as error:
            if (fault := _sentence(error)) != self._fault:  # say it once, not at every call
                log.warning("%s: %s; the token before stays", self._path, fault)
            self._fault = fault
        return self._token


def read_token(path: Path) -> bytes:
    """Return the token on a file's first line; `OSError` or `ValueError` says why there is none."""
    with path.open("rb") as file:
        first, *_ = file.read(FILE_BYTES_MAX).splitlines() or [b""]
    if not TOKEN.fullmatch(token := first.strip()):
        sentence = "16 or more printable ASCII characters without a space on the first line"
        raise ValueError(f"expected {sentence}, got another text")
    return token


def bearer(path: Path) -> tuple[tuple[str, str]]:
    """Return the metadata with which a caller brings a file's token; errors as `read_token`."""
    return ((HEADER, f"Bearer {read_token(path).decode()}"),)


def is_open_to_others(path: Path) -> bool:
    """Return whether users outside the file's group may read or change it."""
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _sentence(error: OSError | ValueError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
