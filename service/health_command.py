"""`sonoba health`: ask a running server whether it is ready, for probes that run a command.

Docker's HEALTHCHECK is one. Kubernetes asks over gRPC by itself and needs nothing of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from service.channel_options import tls_options

if TYPE_CHECKING:
    import grpc

    from sonoba import Tls

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where what listens everywhere is found
ANSWER_SECONDS = 3.0
# No proxy: the question never leaves this machine, unless its address does.
OPTIONS: list[tuple[str, str | int]] = [("grpc.enable_http_proxy", 0)]


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="SONOBA_HOST",
    help="Where the server listens.  [SONOBA_HOST; default: 127.0.0.1]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=50051,
    envvar=["SONOBA_HEALTH_PORT", "SONOBA_GRPC_PORT"],
    help="Its port.  [SONOBA_HEALTH_PORT, else SONOBA_GRPC_PORT; default: 50051]",
)
@click.option(
    "--service",
    default="sonoba.v1.Predictor",
    show_default=True,
    help="Whose health: liveness never drops; of a re-evaluator, sonoba.v1.Operations.",
)
@tls_options
def health(host: str, port: int, service: str, tls: Tls | None) -> None:
    """Ask the server that runs here whether it is ready; end with status 1 if it is not.

    A port that speaks TLS is asked with --tls-ca, or beside it: SONOBA_HEALTH_PORT speaks none.
    """
    import grpc

    from service.channels import opened

    found = LOOPBACK.get(host, host)
    address = f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
    try:
        with opened(address, tls, OPTIONS) as channel:
            state = _state(channel, service)
    except grpc.RpcError as error:
        told = f"{error.code().name}: {error.details()}"
        raise click.ClickException(f"{address}: {service}: no answer ({told})") from None
    if state != "SERVING":
        raise click.ClickException(f"{address}: {service}: expected SERVING, got {state}")
    click.echo(f"{address}: {service}: SERVING")


def _state(channel: grpc.Channel, service: str) -> str:
    """Return the state's name, as grpc.health.v1 has it."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    asked = health_pb2.HealthCheckRequest(service=service)
    stub: Any = health_pb2_grpc.HealthStub(channel)
    told = stub.Check(asked, timeout=ANSWER_SECONDS)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(told.status)
