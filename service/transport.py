"""How bytes travel: TLS from files that may change, and what must not be open to a network."""

import grpc

from service.settings import Settings


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the credentials of a port; None where the settings name no certificate.

    Every handshake takes the newest good pair of the files; `StartError` where there is none yet.
    """
    raise NotImplementedError


def bind(server: grpc.Server, address: str, secrets: grpc.ServerCredentials | None) -> int:
    """Let a server listen on host:port, with or without TLS; return the port, 0 where taken."""
    raise NotImplementedError
