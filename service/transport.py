"""How bytes travel: TLS 1.2 and newer from files that may change, and what must not be open.

gRPC asks for the certificate before every handshake (`dynamic_ssl_server_credentials`), so that a
new pair of files holds for new connections without a restart, and no connection is cut for it.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import grpc

from service.loopback import is_loopback
from service.reloading import Reloaded
from service.start_error import StartError
from service.tokens import is_open_to_others

if TYPE_CHECKING:
    from service.certificates import Pair
    from service.settings import Settings

log = logging.getLogger("sonoba")

DAY_SECONDS = 86_400.0


class Transport:
    """The certificate of one process, for all its ports; without one they speak plaintext."""

    def __init__(self, settings: "Settings") -> None:
        """Read the files; `StartError` says why they are no good."""
        self.pair = _pair(settings)
        self.is_mutual = settings.tls_client_ca_file is not None
        self._warned_seconds = 0.0  # when it was last said that the certificate ends
        self._warn()

    @property
    def is_encrypted(self) -> bool:
        """Whether ports speak TLS."""
        return self.pair is not None

    def look(self) -> None:
        """Take the files' new pair, if it is a good one; warn of one that ends soon."""
        if self.pair is not None:
            self.pair.look()
            self._warn()

    def credentials(self) -> grpc.ServerCredentials | None:
        """Return the credentials of one gRPC port; None without a certificate."""
        if self.pair is None:
            return None
        first = self.pair.value
        newer = cast(Callable[[], grpc.ServerCertificateConfiguration], _Newer(self.pair, first))
        return grpc.dynamic_ssl_server_credentials(_configured(first), newer, self.is_mutual)

    def bind(self, server: grpc.Server, setting: str, host: str, port: int) -> int:
        """Let a gRPC server listen; return the port, `StartError` where it cannot."""
        secrets = self.credentials()
        if secrets is None:
            return bind_plain(server, setting, host, port)
        return _bound(lambda at: server.add_secure_port(at, secrets), setting, host, port)

    def _warn(self) -> None:
        now = time.time()
        if self.pair is None or now - self._warned_seconds < 86_400.0:
            return
        if sentence := self.pair.value.warning(now):
            self._warned_seconds = now
            log.warning("tls_cert_file: %s", sentence)


class _Newer:
    """Gives one port the pair that it does not have yet; gRPC calls it before every handshake."""

    def __init__(self, pair: "Reloaded[Pair]", given: "Pair") -> None:
        self._pair, self._given = pair, given

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        pair = self._pair.value
        if pair is self._given:
            return None
        self._given = pair
        return _configured(pair)


def server_options(settings: "Settings") -> list[tuple[str, int]]:
    """Return how the server of predictions keeps its connections."""
    return [
        ("grpc.so_reuseport", int(settings.workers > 1)),  # alone, a second start must fail
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", 60_000),
        ("grpc.keepalive_time_ms", 120_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def bind_plain(server: grpc.Server, setting: str, host: str, port: int) -> int:
    """Let a gRPC server listen without encryption; `StartError` where it cannot."""
    return _bound(server.add_insecure_port, setting, host, port)


def _bound(add: Callable[[str], int], setting: str, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = add(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise StartError(f"{setting}: cannot listen on {address}; is another server there?")
    return bound


def check_exposed(
    settings: "Settings", hosts: dict[str, str], transport: Transport, is_proving: bool
) -> None:
    """Refuse to listen beyond loopback without TLS or callers, unless a setting allows it, loudly.

    `hosts` are the addresses of ports by the name of their setting; at `host` is the port of
    predictions, open to whoever `is_proving` does not ask for a proof.
    """
    for setting, host in hosts.items():
        try:
            if is_loopback(host):
                continue
        except OSError as error:
            raise StartError(f"{setting}: {host}: {error.strerror}") from None
        if not transport.is_encrypted:
            _allow(
                settings.allow_plaintext,
                f"{setting}: expected tls_cert_file and tls_key_file, for {host} is reached from "
                "other machines",
                "SONOBA_ALLOW_PLAINTEXT=1 serves there without encryption all the same",
                f"{setting} {host}: NOTHING IS ENCRYPTED: predictions and tokens can be read on "
                "their way (allow_plaintext)",
            )
        if setting == "host" and not is_proving:
            _allow(
                settings.allow_anonymous,
                f"{setting}: expected callers_file or tls_client_ca_file, for {host} is reached "
                "from other machines",
                "SONOBA_ALLOW_ANONYMOUS=1 answers everybody there all the same",
                f"{setting} {host}: EVERYBODY WHO REACHES IT IS ANSWERED (allow_anonymous)",
            )


def _allow(is_allowed: bool, sentence: str, way: str, loud: str) -> None:
    if not is_allowed:
        raise StartError(f"{sentence}; {way}")
    log.warning("%s", loud)


def _pair(settings: "Settings") -> "Reloaded[Pair] | None":
    """Return the pair of the settings' files; None where none are named."""
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    trusted = settings.tls_client_ca_file
    if certificate is None and key is None:
        if trusted is not None:
            raise StartError("tls_client_ca_file: expected tls_cert_file beside it, got none")
        return None
    if certificate is None or key is None:
        missing = "tls_cert_file" if certificate is None else "tls_key_file"
        raise StartError(f"{missing}: expected a file, for the other of the pair is given")
    from service.certificates import read_pair  # 11 MB of memory, for who speaks TLS

    paths = [certificate, key, *([] if trusted is None else [trusted])]
    pair = Reloaded("tls_cert_file", paths, lambda: read_pair(certificate, key, trusted))
    if is_open_to_others(key):
        log.warning("tls_key_file: %s: every user of this machine may read it; chmod 600", key.name)
    return pair


def _configured(pair: "Pair") -> grpc.ServerCertificateConfiguration:
    chain = [(pair.key, pair.chain)]
    return grpc.ssl_server_certificate_configuration(chain, pair.client_authorities)
