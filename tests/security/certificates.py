"""Certificates of a test: an authority, servers and clients of it, and what has expired."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
BEGAN, PAST, END = NOW - timedelta(days=90), NOW - timedelta(days=30), NOW + timedelta(days=365)
HERE = x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
PEM = Encoding.PEM


class Files(NamedTuple):
    """Where a pair lies."""

    certificate: Path
    key: Path

    @property
    def settings(self):
        return {"tls_cert_file": self.certificate, "tls_key_file": self.key}


class Authority:
    """One authority and its file."""

    def __init__(self, folder, name="ca"):
        folder.mkdir(exist_ok=True)
        self.folder, self.file = folder, folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {name}")])
        basics = x509.BasicConstraints(ca=True, path_length=0)
        made = self._signed(self._name, self._key, END, (basics, True))
        self.file.write_bytes(made.public_bytes(PEM))

    def server(self, name="server", ends=END):
        """Return the files of a certificate for this machine."""
        return self.issue(name, "server", HERE, ends)

    def client(self, name, uris=(), ends=END):
        """Return the files of a client's certificate: a common name, and perhaps URIs."""
        return self.issue(name, name, [x509.UniformResourceIdentifier(one) for one in uris], ends)

    def replace(self, files, ends=END):
        """Put another pair in place of a server's, one file after the other."""
        for new, old in zip(self.server("next", ends), files, strict=True):
            new.replace(old)

    def issue(self, name, common_name, others, ends=END, key=None):
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        alternatives = [(x509.SubjectAlternativeName(others), False)] if others else []
        made = self._signed(subject, key, ends, *alternatives)
        found = Files(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        found.certificate.write_bytes(made.public_bytes(PEM))
        found.key.write_bytes(key.private_bytes(PEM, PrivateFormat.PKCS8, NoEncryption()))
        found.key.chmod(0o600)
        return found

    def _signed(self, subject, key, ends, *extensions):
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=BEGAN,
            not_valid_after=ends,
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(self._key, hashes.SHA256())
