"""Who calls, and what they may do: by the token of a call's metadata, or by its certificate.

Tokens are known by their SHA-256 only (service/callers_file.py). What is looked up and compared is
the hash of what was brought: no clock tells how much of a guess is right, and no token is kept.
"""

import hmac
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import cast

import grpc

from model.refusal import Refusal
from service.callers_file import Entries, Entry
from service.roles import NOBODY, PREDICTS, Caller
from service.tenants import ANONYMOUS, EVERYBODY, tenant_of
from service.tenants import HEADER as TENANT_HEADER

__all__ = ["Caller", "Callers", "identity_of"]

HEADER = "authorization"
SCHEME = "bearer "
TOKEN_CHARACTERS_MAX = 512
Metadata = Iterable[tuple[str, str | bytes]]


class Callers:
    """The callers of a file; without one everybody may predict, for the tenant that they name."""

    def __init__(
        self, entries: Callable[[], Entries] | None = None, is_mutual: bool = False
    ) -> None:
        """Take what returns the file's entries now, and whether clients bring certificates."""
        self._entries, self._is_mutual = entries, is_mutual
        self._anybody = Caller(ANONYMOUS, NOBODY if is_mutual else PREDICTS, "")

    @property
    def proves(self) -> bool:
        """Whether a call has to prove who makes it; if not, `of` only reads the tenant's hint."""
        return self._entries is not None or self._is_mutual

    @property
    def has_file(self) -> bool:
        """Whether there is a file of callers."""
        return self._entries is not None

    @property
    def is_mutual(self) -> bool:
        """Whether `proved` may have to look at the certificate of the connection."""
        return self._is_mutual

    def of(self, metadata: Metadata) -> Caller:
        """Return who calls, by what the call brings; a few µs, no input or output.

        Refuses `UNAUTHENTICATED` without a good token, `PERMISSION_DENIED` where another's tenant
        is named, `BAD_TENANT`. Where clients bring certificates a call may come without a token:
        its caller then has no role until `proved` says which.
        """
        if self._entries is None:
            for key, _ in metadata:
                if key == TENANT_HEADER:
                    return self._anybody._replace(tenant=tenant_of(metadata))
            return self._anybody
        brought: list[str | bytes] = []
        is_named = False
        for key, value in metadata:
            if key == HEADER:
                brought.append(value)
            elif key == TENANT_HEADER:
                is_named = True
        hint = tenant_of(metadata) if is_named else ""
        if not brought and self._is_mutual:
            return Caller(hint or ANONYMOUS, NOBODY, "")
        return _entered(_found(brought, self._entries()), hint)

    def proved(self, context: grpc.ServicerContext, caller: Caller) -> Caller:
        """Return who calls by the certificate of the connection, where no token said it.

        For the thread that answers: the certificate is not known at arrival.
        """
        if caller.roles or not self._is_mutual:
            return caller
        identity = identity_of(cast(Mapping[str, Sequence[bytes]], context.auth_context()))
        if self._entries is None:
            return Caller(caller.tenant, PREDICTS, identity or "a certificate without a name")
        entry = self._entries().identities.get(identity)
        if entry is None:
            sentence = "expected the certificate of a known caller, got another"
            raise Refusal("PERMISSION_DENIED", "", sentence)
        return _entered(entry, "" if caller.tenant == ANONYMOUS else caller.tenant)


def identity_of(context: Mapping[str, Sequence[bytes]]) -> str:
    """Return `uri:…` of a certificate's first URI, else `cn:…`; empty without either."""
    uris = context.get("peer_uri", ())
    if uris:
        return f"uri:{uris[0].decode('utf-8', 'replace')}"
    names = context.get("x509_common_name", ())
    return f"cn:{names[0].decode('utf-8', 'replace')}" if names else ""


def _found(brought: Sequence[str | bytes], entries: Entries) -> Entry:
    """Return the entry of the token that a call brings; refuse none, two, and another."""
    if len(brought) != 1:
        raise _unknown("two" if brought else "none")
    given = brought[0]
    if not isinstance(given, str) or given[: len(SCHEME)].lower() != SCHEME:
        raise _unknown("another scheme")
    if len(given) > TOKEN_CHARACTERS_MAX:
        raise _unknown("another")
    digest = sha256(given[len(SCHEME) :].strip().encode("utf-8", "replace")).digest()
    entry = entries.tokens.get(digest)
    if entry is None or not hmac.compare_digest(entry.digest, digest):
        raise _unknown("another")
    return entry


def _entered(entry: Entry, hint: str) -> Caller:
    """Return the caller of an entry, for the tenant that the call names: its own, unless `*`."""
    if entry.expires <= time.time():
        raise _unknown("one that has expired")
    if not hint or hint == entry.tenant:
        return entry.caller
    if entry.tenant != EVERYBODY:
        sentence = "expected the caller's own tenant or none, got another"
        raise Refusal("PERMISSION_DENIED", TENANT_HEADER, sentence)
    return entry.caller._replace(tenant=hint)


def _unknown(got: str) -> Refusal:
    sentence = f"expected 'Bearer <token>' with a token of this server, got {got}"
    return Refusal("UNAUTHENTICATED", HEADER, sentence)
