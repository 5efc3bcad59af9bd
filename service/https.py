"""TLS for an HTTP port: the standard library's context of the certificate that holds now.

Its clients (Alertmanager, people who read reports) bring a token or a password, no certificate.
"""

import logging
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from service.reloading import Reloaded
from service.transport import Transport

if TYPE_CHECKING:
    from service.certificates import Pair
    from service.settings import Settings

log = logging.getLogger("sonoba")


class HttpContexts:
    """Gives each connection the context of the newest pair that could be loaded."""

    def __init__(self, pair: "Reloaded[Pair]", certificate: Path, key: Path) -> None:
        self._pair, self._files = pair, (certificate, key)
        self._lock = threading.Lock()
        self._of, self._context = pair.value, self._loaded()

    def __call__(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        with self._lock:
            pair = self._pair.value
            if pair is not self._of:
                try:
                    self._context, self._of = self._loaded(), pair
                except (OSError, ssl.SSLError):  # replaced at this moment: the next one sees it
                    log.debug("the certificate's files change at this moment")
            return self._context

    def _loaded(self) -> ssl.SSLContext:
        """Return a context of the files, for the library takes no bytes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files, password=lambda: b"")
        return context


def http_contexts(settings: "Settings", transport: Transport) -> HttpContexts | None:
    """Return the contexts of an HTTP port; None where ports speak plaintext."""
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if transport.pair is None or certificate is None or key is None:
        return None
    return HttpContexts(transport.pair, certificate, key)
