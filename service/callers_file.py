"""The file of callers: one line each, `proof tenant roles expiry [name]`, no secret in it.

`proof` is the SHA-256 of a token (64 hexadecimal digits), or the identity of a client certificate,
`uri:…` or `cn:…`. `tenant` may be `*` (a gateway: the call's metadata name one) or, without the
role `predict`, `-`. `expiry` is a day or a moment in UTC, or `never`. Empty lines, and what follows
a `#`, are remarks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from math import inf
from pathlib import Path

from service.reloading import FileFault
from service.roles import PREDICT, ROLES, Caller, with_implied
from service.tenants import ANONYMOUS, EVERYBODY, NAME

FILE_BYTES_MAX = 4 * 2**20  # some 40,000 callers
DIGEST = re.compile(r"[0-9a-f]{64}")
IDENTITY = re.compile(r"(uri|cn):[\x21-\x7e]{1,256}")
PERSON = re.compile(r"[A-Za-z0-9._@-]{1,64}")
NEVER, NO_TENANT = "never", "-"
FIELDS = "proof tenant roles expiry, and perhaps a name"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: who it is, until when, and the hash of the token (empty of a certificate)."""

    caller: Caller
    tenant: str  # a name, EVERYBODY or NO_TENANT
    expires: float  # Unix seconds
    digest: bytes = field(repr=False)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Entries:
    """All lines: tokens by their hash, certificates by their identity."""

    tokens: dict[bytes, Entry] = field(repr=False)
    identities: dict[str, Entry]

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry, in the order of the file."""
        return iter(sorted([*self.tokens.values(), *self.identities.values()], key=_line))


def read_callers(path: Path) -> Entries:
    """Return the callers of a file; `OSError` or `FileFault` says why there are none."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise FileFault(f"{path.name}: expected at most {FILE_BYTES_MAX} bytes, got more")
    tokens: dict[bytes, Entry] = {}
    identities: dict[str, Entry] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        entry, identity = _entry(words, number)
        known = identities.get(identity) if identity else tokens.get(entry.digest)
        if known is not None:
            raise _wrong(number, f"expected another proof, got that of line {known.line}")
        if identity:
            identities[identity] = entry
        else:
            tokens[entry.digest] = entry
    return Entries(tokens, identities)


def line_of(token: str, tenant: str, roles: str, expires: str, name: str = "") -> str:
    """Return the line of a token, as the file takes it; `FileFault` where it would not."""
    words = [sha256(token.encode()).hexdigest(), tenant, roles, expires, *([name] if name else [])]
    _entry(words, 1)
    return " ".join(words)


def _entry(words: list[str], number: int) -> tuple[Entry, str]:
    """Return an entry and, of a certificate, its identity."""
    if len(words) not in (4, 5):
        raise _wrong(number, f"expected {FIELDS}, got {len(words)} fields")
    proof, tenant, given, until = words[:4]
    is_token = bool(DIGEST.fullmatch(proof.lower()))
    if not is_token and not IDENTITY.fullmatch(proof):
        sentence = "expected 64 hexadecimal digits, uri:… or cn:…"
        raise _wrong(number, f"proof: {sentence}, got {len(proof)} other characters")
    roles = _roles(given, number)
    _check_tenant(tenant, roles, number)
    digest = bytes.fromhex(proof) if is_token else b""
    name = _name(words, proof[:8].lower() if is_token else proof, is_token, number)
    caller = Caller(ANONYMOUS if tenant in (EVERYBODY, NO_TENANT) else tenant, roles, name)
    entry = Entry(caller, tenant, _expiry(until, number), digest, number)
    return entry, "" if is_token else proof


def _roles(given: str, number: int) -> frozenset[str]:
    roles = given.split(",")
    for role in roles:
        if role not in ROLES or roles.count(role) > 1:
            known = ", ".join(ROLES)
            raise _wrong(number, f"roles: expected some of {known}, by commas, got {given[:64]!r}")
    return with_implied(frozenset(roles))


def _check_tenant(tenant: str, roles: frozenset[str], number: int) -> None:
    if (NAME.fullmatch(tenant) and tenant != NO_TENANT) or tenant == EVERYBODY:
        return
    if tenant != NO_TENANT:
        sentence = "expected 1 to 64 of A-Z a-z 0-9 . _ -, or *, or - where nobody predicts"
        raise _wrong(number, f"tenant: {sentence}, got {len(tenant)} characters")
    if PREDICT in roles:
        raise _wrong(number, "tenant: expected a name or *, for the caller predicts, got -")


def _name(words: list[str], proof: str, is_token: bool, number: int) -> str:
    """Return what the audit log calls a caller: its name, else a part of its proof."""
    if len(words) < 5:
        return f"token {proof}" if is_token else proof
    if not PERSON.fullmatch(words[4]):
        sentence = "expected 1 to 64 of A-Z a-z 0-9 . _ @ -"
        raise _wrong(number, f"name: {sentence}, got {len(words[4])} characters")
    return words[4]


def _expiry(until: str, number: int) -> float:
    """Return the Unix second from which a line holds no longer; a day is over at its end."""
    if until == NEVER:
        return inf
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        sentence = "expected a day such as 2027-01-31, a moment such as 2027-01-31T12:00Z, or never"
        raise _wrong(number, f"expiry: {sentence}, got {until[:32]!r}") from None
    if len(until) <= len("2027-01-31"):
        moment = datetime.combine(moment, time(), UTC) + timedelta(days=1)
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _line(entry: Entry) -> int:
    return entry.line


def _wrong(number: int, sentence: str) -> FileFault:
    return FileFault(f"line {number}: {sentence}")
