"""`sonoba tenants`: what an operator does for a tenant, on every replica at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.channel_options import tls_options

if TYPE_CHECKING:
    from sonoba import Tls

SECONDS = 10.0  # a replica may take


@click.group()
def tenants() -> None:
    """Delete what replicas keep of a tenant."""


@tenants.command()
@click.argument("tenant")
@click.option(
    "--replicas",
    required=True,
    metavar="LIST",
    help="Admin addresses (host:port) of all servers, separated by commas; a name may mean many.",
)
@click.option(
    "--token-file",
    required=True,
    type=click.Path(path_type=Path),
    help="File whose first line is the token of the admin ports.",
)
@tls_options
@click.option("--reason", required=True, help="Why, for the servers' logs; without the name.")
def delete(tenant: str, replicas: str, token_file: Path, tls: Tls | None, reason: str) -> None:
    """Delete the kept prompts of TENANT from the memory of every replica.

    Ends with status 1, and names them, if replicas did not; repeat it until all have. New prompts
    of the tenant are kept again: to end that, take it out of SONOBA_RESERVOIR_TENANTS first.
    """
    from service.replicas import Deleted, Replicas
    from service.start_error import StartError

    try:
        asked = Replicas([one for one in replicas.split(",") if one], token_file, SECONDS, tls)
    except StartError as error:
        raise click.ClickException(str(error)) from None
    try:
        told = asked.deleted(tenant, reason)
    finally:
        asked.close()
    failed = []
    for one in told:
        if isinstance(one, Deleted):
            click.echo(f"{one.replica}  prompts deleted: {one.prompt_count}")
        else:
            click.echo(f"{one.replica}  FAILED: {one.sentence}")
            failed.append(one.replica)
    if not told:
        raise click.ClickException("replicas: expected one or more of host:port, got none")
    if failed:
        names = ", ".join(failed)
        raise click.ClickException(f"{len(failed)} of {len(told)} did not delete: {names}")
