"""Who a call is for: the tenant of its metadata, a hint that nobody has proved."""

import re
from collections.abc import Iterable

from model.refusal import Refusal

HEADER = "x-sonoba-tenant"
ANONYMOUS = "anonymous"  # who says nothing
EVERYBODY = "*"  # in a setting: whoever comes
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def tenant_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the tenant that a call names, `anonymous` without one; refuse a malformed one."""
    named = [value for key, value in metadata if key == HEADER]
    if not named:
        return ANONYMOUS
    if len(named) > 1:
        raise Refusal("BAD_TENANT", HEADER, f"expected one tenant, got {len(named)}")
    return checked(named[0], HEADER)


def checked(name: str | bytes, field: str) -> str:
    """Return the name of a tenant; refuse what is none, without repeating it."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    sentence = f"expected 1 to 64 of the characters A-Z a-z 0-9 . _ -, got {len(name)} characters"
    if len(name) <= 64:
        sentence += ", others among them" if name else ""
    raise Refusal("BAD_TENANT", field, sentence)


def is_named(name: str, text: str) -> bool:
    """Return whether a text names a tenant, as a word of its own."""
    letter = "[A-Za-z0-9._-]"
    return bool(re.search(f"(?<!{letter}){re.escape(name)}(?!{letter})", text, re.IGNORECASE))
