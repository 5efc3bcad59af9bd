"""The `--store` of commands that read or change a store on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from model.store import Store

STORE = click.option(
    "--store",
    "folder",
    type=click.Path(path_type=Path),
    default="store",
    show_default=True,
    help="Folder of the stored models.",
)


def opened_store(folder: Path) -> Store:
    """Return the store of a folder, which need not be there yet; a file or a URL is none."""
    from model.store import Store

    if ":/" in str(folder):
        raise click.ClickException("--store: expected a folder, got a URL, which servers only read")
    if folder.exists() and not folder.is_dir():
        raise click.ClickException(f"--store: expected a folder, got the file {folder}")
    return Store(folder)
