"""How many calls may wait or run, and whose: a tenant alone may have all, of several each a share.

Most of `max_pending` calls wait in gRPC's core, in one line; the first of them have places here, in
the line of their tenant. What exceeds the core's line it refuses without asking whose it is
(service/valve.py). To tell a light tenant's call from a heavy one's somebody has to look at it, and
a look costs up to half an answer. So once the places have been taken for longer than a burst takes,
one call in many answers is looked at beyond the room while one tenant calls, to find out whether
another is there; and several for every answer while there are others: most of what comes.
"""

import time

from service.fair_pool import FairPool
from service.tenants import ANONYMOUS

PLACES_SHARE = 2  # one in so many pending calls has a place
LOOKS_ALONE, LOOKS_AMONG_SEVERAL = 0.04, 3.0  # refusals here for every call that ends
LOOKS_SAVED = 16.0  # of looks not needed, how many are kept
SEVERAL_SECONDS = 10.0  # how long another tenant is remembered


class Room:
    """The places of calls that wait or run; tenants below their share find one beyond them."""

    def __init__(self, pool: FairPool, max_pending: int) -> None:
        self.pool, self.max_pending = pool, max_pending
        self.places = max(1, max_pending // PLACES_SHARE)
        self.last = ANONYMOUS  # who called last
        self._several_until = 0.0
        self._looks_each = LOOKS_ALONE
        self._looks = 0.0
        self._ends = 0  # of calls, since there were places last

    @property
    def backlog(self) -> int:
        """How many calls wait in gRPC's core."""
        return max(1, self.max_pending - self.places)

    def free(self) -> int:
        """Return how many calls may come: to places, or to be looked at where there is none."""
        places = self.places - self.pool.pending
        return places if places > 0 else int(self._looks)

    def ended(self) -> None:
        """Earn looks with a call that has ended, once the room was full for so many as a burst."""
        if self.pool.pending < self.places // 2:
            self._ends, self._looks = 0, 0.0
            return
        self._ends += 1
        if self._ends > self.max_pending:
            self._looks = min(self._looks + self._looks_each, LOOKS_SAVED)

    def has_place(self, tenant: str) -> bool:
        """Return whether a call of a tenant may wait; a refusal is a look spent."""
        if tenant != self.last:
            self.last = tenant
            self._several_until = time.monotonic() + SEVERAL_SECONDS
            self._looks_each = LOOKS_AMONG_SEVERAL
        if self.pool.pending < self.places or self._is_below_share(tenant):
            return True
        self._looks = max(0.0, self._looks - 1.0)
        if time.monotonic() > self._several_until:
            self._looks_each = LOOKS_ALONE
        return False

    def _is_below_share(self, tenant: str) -> bool:
        """Return whether a tenant has less than if those who call shared the places evenly."""
        of = self.pool.pending_of
        own = of.get(tenant, 0)
        tenant_count = len(of) + (own == 0)
        return tenant_count > 1 and own < self.places // tenant_count
