"""How many connections a process may hold, and what a caller may do with one."""

import logging
import resource

log = logging.getLogger("sonoba")

METADATA_BYTES, METADATA_BYTES_MAX = 8192, 16_384  # refused now and then above the first
HANDSHAKE_SECONDS = 10.0  # from a connection to the client's first settings, TLS included


def connection_options() -> list[tuple[str, int]]:
    """Return gRPC's limits on headers and on clients that connect and say nothing."""
    return [
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_SECONDS * 1000)),
        ("grpc.http2.settings_timeout", round(HANDSHAKE_SECONDS * 1000)),
    ]


def raise_file_limit() -> int:
    """Let this process open as many files as it ever may; return how many.

    Each connection is one, and the limit that a shell hands down is often 1024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # more than the kernel allows anybody
        log.info("the limit of %d open files stays: %s", soft, error)
        return soft
    return hard
