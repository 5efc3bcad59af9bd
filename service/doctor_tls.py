"""What `sonoba doctor` finds behind a port that speaks TLS: whose certificate, and until when."""

import socket
import ssl
from datetime import UTC, datetime
from typing import NamedTuple

ANSWER_SECONDS = 2.0


class Found(NamedTuple):
    """The certificate that a server showed."""

    subject: str
    ends: datetime

    @property
    def told(self) -> str:
        """What was found, in words."""
        return f"answers with TLS: certificate {self.subject}, until {self.ends:%Y-%m-%d %H:%M} UTC"

    @property
    def remedy(self) -> str:
        """What to do; empty where all is well."""
        is_over = self.ends < datetime.now(UTC)
        return "put another certificate in place: it is read while serving" if is_over else ""


def certificate_at(host: str, port: int) -> Found | None:
    """Return what a server that speaks gRPC's TLS shows, believed or not; None of any other."""
    from service.certificates import name_and_end

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # to look, not to trust
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), ANSWER_SECONDS) as connection,
            context.wrap_socket(connection) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True)
            speaks_grpc = encrypted.selected_alpn_protocol() == "h2"
    except OSError:  # SSLError and a timeout are some, too
        return None
    if shown is None or not speaks_grpc:
        return None
    return Found(*name_and_end(shown))
