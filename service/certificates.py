"""A server's certificate, its key, and the authorities of its clients, read from PEM files.

They are checked here because the transport does not say what is wrong with them: RFC 5280's dates,
and whether key and certificate belong together, for the two files never change in one moment.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load_key

from service.reloading import FileFault

FILE_BYTES_MAX = 2**20
CURVES = ("secp256r1", "secp384r1")  # what the transport shakes hands with, checked
SOON_SECONDS, SOON_SHARE = 14 * 86_400.0, 0.2  # of its life: what ends sooner is warned of


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain with its key, and whom to trust as a client; PEM."""

    key: bytes = field(repr=False)
    chain: bytes = field(repr=False)
    client_authorities: bytes | None = field(repr=False)
    begins: float  # Unix seconds
    ends: float

    @property
    def life_seconds(self) -> float:
        """How long the certificate is good, from its first to its last moment."""
        return self.ends - self.begins

    def warning(self, now: float) -> str:
        """Return that it should have been replaced by now; empty while there is time."""
        if self.ends - now >= min(SOON_SECONDS, SOON_SHARE * self.life_seconds):
            return ""
        word = "ends on" if now < self.ends else "has expired, no client connects since"
        return f"the certificate {word} {datetime.fromtimestamp(self.ends, UTC):%Y-%m-%d %H:%M} UTC"


def read_pair(certificate: Path, key: Path, client_authorities: Path | None) -> Pair:
    """Return a good pair; `OSError` or `FileFault` says why there is none."""
    chain_bytes, key_bytes = _content(certificate), _content(key)
    chain, secret = _certificates(certificate, chain_bytes), _key(key, key_bytes)
    if _public(secret.public_key()) != _public(chain[0].public_key()):
        raise FileFault(f"{key.name}: expected the key of {certificate.name}, got another's")
    begins = max(one.not_valid_before_utc for one in chain)
    ends = min(one.not_valid_after_utc for one in chain)
    now = datetime.fromtimestamp(time.time(), UTC)
    if not begins <= now < ends:
        word, moment = ("not good before", begins) if now < begins else ("expired on", ends)
        raise FileFault(f"{certificate.name}: {word} {moment:%Y-%m-%d %H:%M} UTC")
    trusted = None if client_authorities is None else _content(client_authorities)
    if client_authorities is not None and trusted is not None:
        _certificates(client_authorities, trusted)
    return Pair(key_bytes, chain_bytes, trusted, begins.timestamp(), ends.timestamp())


def name_and_end(shown: bytes) -> tuple[str, datetime]:
    """Return whose a certificate is that a server showed (DER), and until when it is good."""
    found = x509.load_der_x509_certificate(shown)
    return found.subject.rfc4514_string() or "without a name", found.not_valid_after_utc


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise FileFault(f"{path.name}: expected at most {FILE_BYTES_MAX} bytes, got more")
    return content


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise FileFault(f"{path.name}: expected certificates in PEM, got another text") from None


def _key(path: Path, content: bytes) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        found: PrivateKeyTypes = load_key(content, None)
    except TypeError:
        raise FileFault(f"{path.name}: expected a key without a password") from None
    except ValueError:
        raise FileFault(f"{path.name}: expected a private key in PEM, got another text") from None
    if isinstance(found, RSAPrivateKey):
        return found
    if isinstance(found, EllipticCurvePrivateKey) and found.curve.name in CURVES:
        return found
    raise FileFault(f"{path.name}: expected an RSA key, or ECDSA on P-256 or P-384, got another")


def _public(key: CertificatePublicKeyTypes) -> bytes:
    """Return a public key as bytes that are equal for equal keys."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
