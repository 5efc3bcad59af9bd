"""Whether an address is open to other machines; nothing is loaded to know it."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address; `OSError` of a name nobody knows."""
    found = socket.getaddrinfo(host, None)
    return all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)
