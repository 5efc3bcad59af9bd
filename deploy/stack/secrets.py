"""The two secrets of the stack: made once, read by nobody but their owner, kept for the next start.

admin.token     who has it operates the server and the re-evaluator, and reads reports
webhook.token   what Alertmanager brings to the re-evaluator
"""

import os
import secrets
from pathlib import Path
from typing import NamedTuple

SECRET_BYTES = 32


class Tokens(NamedTuple):
    """The files of both."""

    admin: Path
    webhook: Path


def tokens_in(folder: Path) -> Tokens:
    """Return the files, each with a secret; what is there stays."""
    found = Tokens(folder / "admin.token", folder / "webhook.token")
    for path in found:
        _make(path)
    return found


def _make(path: Path) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(number, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_urlsafe(SECRET_BYTES)}\n")
