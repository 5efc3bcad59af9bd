"""The options with which commands reach a port that speaks TLS."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sonoba import Tls

FILE = click.Path(path_type=Path, dir_okay=False)


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --tls-ca, --tls-cert and --tls-key; it takes them as one, `tls`."""

    @wraps(command)
    def with_tls(
        *arguments: Any,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **more: Any,
    ) -> Any:
        return command(*arguments, tls=_tls_of(tls_ca, tls_cert, tls_key), **more)

    helps = {
        "--tls-ca": "PEM file of the server's authorities: the call then is encrypted.",
        "--tls-cert": "PEM file of your own certificate, for servers that ask for one.",
        "--tls-key": "PEM file of its key.",
    }
    given: Callable[..., Any] = with_tls
    for flag, text in reversed(helps.items()):
        given = click.option(flag, type=FILE, metavar="FILE", help=text)(given)
    return given


def _tls_of(ca: Path | None, certificate: Path | None, key: Path | None) -> Tls | None:
    """Return what the options ask for; a file that is missing is a sentence and status 1."""
    if ca is None and certificate is None and key is None:
        return None
    from service.channels import tls_from

    for flag, path in (("--tls-ca", ca), ("--tls-cert", certificate), ("--tls-key", key)):
        if path is not None and not path.is_file():
            raise click.ClickException(f"{flag}: {path}: expected a file")
    try:
        return tls_from(ca, certificate, key)
    except ValueError:
        raise click.ClickException("--tls-cert, --tls-key: expected both or none") from None
