"""Channels to our own ports: plaintext, or TLS from files, opened anew when the files change."""

import threading
from pathlib import Path

import grpc

from sonoba import Tls

Options = list[tuple[str, str | int]]
Stamp = tuple[int, int]


def tls_from(
    authorities: Path | None, certificate: Path | None = None, key: Path | None = None
) -> Tls | None:
    """Return what a connection trusts and proves itself with; None: it speaks plaintext.

    `ValueError` says which file of a pair is missing.
    """
    if authorities is None and certificate is None and key is None:
        return None
    return Tls(authorities, certificate, key)


def opened(address: str, tls: Tls | None, options: Options | None = None) -> grpc.Channel:
    """Open a channel to host:port; `OSError` where a file cannot be read."""
    if tls is None:
        return grpc.insecure_channel(address, options)
    return grpc.secure_channel(address, tls.credentials(), [*(options or ()), *tls.options()])


class Channels:
    """Open channels by address, each to a server of a name; of one set of files."""

    def __init__(self, tls: Tls | None, options: Options) -> None:
        self._tls, self._options = tls, options
        self._channels: dict[str, grpc.Channel] = {}
        self._stamps = self._looked()
        self._lock = threading.Lock()

    def to(self, address: str, name: str = "") -> grpc.Channel:
        """Return the channel to an address; its certificate must be of the name, where given."""
        with self._lock:
            self._renew()
            if address not in self._channels:
                tls = self._tls
                if tls is not None and name:
                    tls = Tls(tls.root_file, tls.certificate_file, tls.key_file, name)
                self._channels[address] = opened(address, tls, self._options)
            return self._channels[address]

    def keep(self, addresses: set[str]) -> None:
        """Let go of channels to others: pods come and go for months."""
        with self._lock:
            gone = [self._channels.pop(one) for one in set(self._channels) - addresses]
        for channel in gone:
            channel.close()

    def _renew(self) -> None:
        """Let go of channels of older files; while one cannot be read, keep them."""
        stamps = self._looked()
        if stamps is None or stamps == self._stamps:
            return
        self._stamps = stamps
        while self._channels:
            self._channels.popitem()[1].close()

    def _looked(self) -> list[Stamp] | None:
        """Return what tells the files from later ones; None while one is not there."""
        tls = self._tls
        files = () if tls is None else (tls.root_file, tls.certificate_file, tls.key_file)
        try:
            found = [Path(one).stat() for one in files if one is not None]
        except OSError:
            return None
        return [(one.st_mtime_ns, one.st_ino) for one in found]
