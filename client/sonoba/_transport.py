"""How a client reaches a server: in plaintext or by TLS, with or without a token."""

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

TOKEN_HEADER = "authorization"
TOKEN = re.compile(r"[\x21-\x7e]{16,512}")
FILE_BYTES_MAX = 8192
FilePath: TypeAlias = str | os.PathLike[str]
Token: TypeAlias = str | os.PathLike[str] | Callable[[], str]


@dataclass(frozen=True, slots=True)
class Tls:
    """What a TLS connection trusts, and by what the client proves itself; files are PEM.

    `root_file` are the authorities of the server's certificate (None: those that gRPC brings),
    `certificate_file` and `key_file` the client's own, where servers ask for one. `server_name` is
    the name in the server's certificate, where it is not that of the target. The files are read
    when a client is made.

    >>> Tls("ca.pem").root_file
    'ca.pem'
    """

    root_file: FilePath | None = None
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        """Refuse half a pair."""
        if (self.certificate_file is None) != (self.key_file is None):
            missing = "certificate_file" if self.certificate_file is None else "key_file"
            raise ValueError(f"{missing}: expected a file, for the other of the pair is given")

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what a channel takes; `OSError` where a file cannot be read."""
        files = self.root_file, self.key_file, self.certificate_file
        root, key, chain = (None if one is None else Path(one).read_bytes() for one in files)
        return grpc.ssl_channel_credentials(root, key, chain)

    def options(self) -> tuple[tuple[str, str | int], ...]:
        """Return the options that a channel needs beside."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()


def tls_of(given: Tls | FilePath | bool | None) -> Tls | None:
    """Return what a client was told of TLS: a file of authorities, or True for gRPC's own."""
    if isinstance(given, Tls):
        return given
    if given is None or given is False:
        return None
    return Tls() if given is True else Tls(given)


class Bearer:
    """The token that goes with every call; from a file or a function it is asked each time."""

    __slots__ = ("_given", "_header", "_stamp")

    def __init__(self, given: Token) -> None:
        """Take a token, the file whose first line it is, or what returns one."""
        self._given, self._stamp = given, (0, 0, 0)
        self._header = ""
        if isinstance(given, str):
            self._header = _header(given)
        elif isinstance(given, os.PathLike):
            self._stamp, self._header = _stamp(given), _header(_first_line(given))

    def __repr__(self) -> str:
        """Show no token."""
        return "Bearer(…)"

    def header(self) -> str:
        """Return the value of the metadatum `authorization`; a file is read when it changed.

        While the file cannot be read, the token before stays.
        """
        if callable(self._given):
            return _header(self._given())
        if isinstance(self._given, os.PathLike):
            try:
                if (stamp := _stamp(self._given)) != self._stamp:
                    self._header, self._stamp = _header(_first_line(self._given)), stamp
            except (OSError, ValueError):
                return self._header
        return self._header


def bearer_of(
    token: Token | None, target: str, tls: Tls | None, *, is_plain_meant: bool
) -> Bearer | None:
    """Return what brings the token; refuse to send it in plaintext where nobody meant that."""
    if token is None:
        return None
    if tls is None and not is_plain_meant and not is_here(target):
        sentence = "expected Tls or a file of authorities, for a token must not travel unencrypted"
        raise ValueError(f"tls: {sentence}; tls=False sends it all the same")
    return Bearer(token)


def is_here(target: str) -> bool:
    """Return whether a target is this machine itself.

    >>> is_here("127.0.0.1:50051"), is_here("[::1]:50051"), is_here("sonoba:50051")
    (True, True, False)
    """
    if target.startswith("unix"):
        return True
    host = re.sub(r"^(dns:(//[^/]*/)?|ipv4:|ipv6:)", "", target)
    host = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _header(token: str) -> str:
    if not TOKEN.fullmatch(token):
        sentence = "16 to 512 printable ASCII characters without a space"
        raise ValueError(f"token: expected {sentence}, got {len(token)} characters")
    return f"Bearer {token}"


def _first_line(path: os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        first, *_ = file.read(FILE_BYTES_MAX).splitlines() or [b""]
    return first.decode("utf-8", "replace").strip()


def _stamp(path: os.PathLike[str]) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ino, found.st_size
