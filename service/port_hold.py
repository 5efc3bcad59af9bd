"""Keeps an address for processes that share it by SO_REUSEPORT, and for nobody else.

Whoever sets SO_REUSEPORT may listen beside others of the same user, so that a second start of the
whole would silently take half of the connections. A supervisor therefore binds the address first
as if it were alone, which fails wherever anything is bound, and only then lets its workers in. It
never listens: the kernel gives no connection to a socket that is merely bound.
"""

import contextlib
import socket


class PortHold:
    """An address that this process and its workers have for themselves."""

    def __init__(self, host: str, port: int) -> None:
        """Take every address of a host; 0 takes a free port, OSError says that one is in use."""
        self._sockets: list[socket.socket] = []
        self.port = port
        kind, passive = socket.SOCK_STREAM, socket.AI_PASSIVE
        found = socket.getaddrinfo(host, port, type=kind, flags=passive)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._hold(family, (address[0], self.port, *address[2:]))
        except OSError:
            self.close()
            raise

    def _hold(self, family: int, address: tuple[str | int, ...]) -> None:
        """Bind alone, then let in whoever shares."""
        held = socket.socket(family, socket.SOCK_STREAM)
        self._sockets.append(held)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections linger
        held.bind(address)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # from now on, alone again
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.port = held.getsockname()[1]

    def close(self) -> None:
        """Let the address go."""
        for held in self._sockets:
            with contextlib.suppress(OSError):
                held.close()
