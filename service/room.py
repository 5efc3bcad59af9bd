"""How many calls may wait or run, and whose: a tenant alone may have all, of several each a share.

Beyond the room gRPC's core refuses without asking whose a call is (service/valve.py). To tell a
light tenant's call from a heavy one's somebody has to look at it, and a look costs a fifth of an
answer. So while one tenant calls, one arrival in LOOKS_ALONE answers is looked at beyond the room,
to find out whether another one is there; while there are several, LOOKS_AMONG_SEVERAL for every
answer: most of what comes, and still most of the time goes into answers.
"""

import time

from service.pools import FairPool

LOOKS_ALONE, LOOKS_AMONG_SEVERAL = 0.05, 3.0  # refusals in Python for every call that ends
LOOKS_SAVED = 16.0  # of looks not needed, how many are kept for a burst
SEVERAL_SECONDS = 10.0  # how long another tenant is remembered


class Room:
    """The places of calls that wait or run, at most `max_pending` but for tenants below theirs."""

    def __init__(self, pool: FairPool, max_pending: int) -> None:
        self._pool, self.max_pending = pool, max_pending
        self._last = ""
        self._several_until = 0.0
        self._looks_each = LOOKS_ALONE
        self._looks = 0.0

    def free(self) -> int:
        """Return how many calls may come: places, or looks at calls that find none."""
        places = self.max_pending - self._pool.pending
        return places if places > 0 else int(self._looks)

    def ended(self) -> None:
        """Earn looks with a call that has ended."""
        self._looks = min(self._looks + self._looks_each, LOOKS_SAVED)

    def has_place(self, tenant: str) -> bool:
        """Return whether a call of a tenant may wait; a refusal here is a look spent."""
        if tenant != self._last:
            self._last = tenant
            self._several_until = time.monotonic() + SEVERAL_SECONDS
            self._looks_each = LOOKS_AMONG_SEVERAL
        if self._pool.pending < self.max_pending or self._is_below_share(tenant):
            return True
        self._looks = max(0.0, self._looks - 1.0)
        if time.monotonic() > self._several_until:
            self._looks_each = LOOKS_ALONE
        return False

    def _is_below_share(self, tenant: str) -> bool:
        """Return whether a tenant has less than it would if those who call shared evenly."""
        others = self._pool.pending_of
        own = others.get(tenant, 0)
        return own < self.max_pending // (len(others) + (own == 0)) and len(others) > (own > 0)
