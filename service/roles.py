"""Roles, and a caller that has some: who it is, for which tenant, and what it may do."""

from typing import NamedTuple

from model.refusal import Refusal

PREDICT, OBSERVE, OPERATE = "predict", "observe", "operate"
ROLES = (PREDICT, OBSERVE, OPERATE)
PREDICTS = frozenset({PREDICT})
NOBODY = frozenset[str]()


class Caller(NamedTuple):
    """Who calls: the tenant they call for, what they may do, and what the audit log calls them."""

    tenant: str
    roles: frozenset[str]  # of ROLES; none: a certificate has yet to say
    name: str  # empty: nobody has proved who it is

    @property
    def is_proven(self) -> bool:
        """Whether a token or a certificate says who it is."""
        return bool(self.name)

    def require(self, *roles: str) -> None:
        """Refuse a caller that has none of some roles: `PERMISSION_DENIED`."""
        if self.roles.isdisjoint(roles):
            has = ", ".join(sorted(self.roles)) or "none"
            sentence = f"expected the role {' or '.join(roles)}, got {has}"
            raise Refusal("PERMISSION_DENIED", "", sentence)


def with_implied(roles: frozenset[str]) -> frozenset[str]:
    """Return roles with those they bring along: who operates observes too."""
    return roles | {OBSERVE} if OPERATE in roles else roles
