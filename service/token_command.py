"""`sonoba token`: make a secret for one caller, and see whom a file of callers lets in.

The secret is printed once, or written to a file that only its owner reads; it is nowhere else. The
file of callers gets its hash (service/callers_file.py).
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from service.callers_file import Entry

SECRET_BYTES = 32  # of chance: a hash of it needs no salt
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def token() -> None:
    """Make tokens, and check the file of who may call."""


@token.command()
@click.option("--tenant", required=True, help="For whom it calls; * lets each call say; - nobody.")
@click.option(
    "--roles",
    default="predict",
    show_default=True,
    metavar="LIST",
    help="Of predict, observe and operate, separated by commas.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="How long it is good.",
)
@click.option("--name", default="", help="Whose it is, for the audit log.")
@click.option("--out", type=FILE, help="Write the secret to this new file, and do not print it.")
@click.option("--append", type=FILE, help="Add the line to this file of callers.")
def new(
    tenant: str, roles: str, days: int, name: str, out: Path | None, append: Path | None
) -> None:
    """Make a token: print its secret, once, and the line for SONOBA_CALLERS_FILE.

    The secret goes to whoever calls, over a way that you trust; the line is no secret.
    """
    from service.callers_file import line_of
    from service.reloading import FileFault

    secret = secrets.token_urlsafe(SECRET_BYTES)
    last_day = f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
    try:
        line = line_of(secret, tenant, roles, last_day, name)
        if out is not None:
            _write(out, secret)  # first: where it cannot be kept, nobody is let in by it
        if append is not None:
            _append(append, line)
    except FileFault as error:
        raise click.ClickException(str(error).partition(": ")[2]) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"secret  {secret if out is None else f'in {out}'}")
    click.echo(f"line    {line}")


@token.command()
@click.argument("callers", type=FILE)
@click.option("--token-file", type=FILE, help="Say only whom the token on its first line proves.")
def check(callers: Path, token_file: Path | None) -> None:
    """Read the file CALLERS as a server would, and list who may call, until when.

    With --token-file the status is 1 where the token is not among them, or has expired.
    """
    from service.callers_file import read_callers
    from service.reloading import FileFault

    try:
        entries = read_callers(callers)
        found = list(entries)
        if token_file is not None:
            found = [one for one in found if one.digest == _digest(token_file)]
    except (FileFault, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for one in found:
        click.echo(_told(one))
    if token_file is not None and not any(_is_good(one) for one in found):
        why = "the token has expired" if found else "the token is of none of its lines"
        raise click.ClickException(f"{callers}: {why}")


def _append(path: Path, line: str) -> None:
    """Add a line, on a line of its own, in one write; a new file is for its owner and group."""
    content = path.read_bytes() if path.exists() else b""
    gap = "" if not content or content.endswith(b"\n") else "\n"
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    with os.fdopen(number, "w") as file:
        file.write(f"{gap}{line}\n")


def _write(path: Path, secret: str) -> None:
    """Write a secret to a file that must not be there yet, for its owner alone."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w") as file:
        file.write(f"{secret}\n")


def _digest(path: Path) -> bytes:
    from hashlib import sha256

    from service.tokens import read_token

    return sha256(read_token(path)).digest()


def _is_good(entry: Entry) -> bool:
    return entry.expires > datetime.now(UTC).timestamp()


def _told(entry: Entry) -> str:
    roles = ",".join(sorted(entry.caller.roles))
    until = "never ends"
    if entry.expires != float("inf"):
        word = "until" if _is_good(entry) else "EXPIRED"
        until = f"{word} {datetime.fromtimestamp(entry.expires, UTC):%Y-%m-%d %H:%M} UTC"
    return f"line {entry.line}: {entry.caller.name}, tenant {entry.tenant}, {roles}, {until}"
