"""What a tenant may use: calls and rows a second, by token buckets; off unless a setting says so.

A bucket holds what its rate gives in BURST_SECONDS and may be overdrawn once: a request larger than
the bucket passes when it is full, and is paid back before the next one passes. So in the long run
nobody has more than the rate, and no request is too large to be ever answered.
"""

from typing import Protocol

from service.roles import Caller


class Purse(Protocol):
    """The buckets of one tenant."""

    def take_call(self) -> None:
        """Take one call; refuse `QUOTA_EXCEEDED`, with the seconds after which to come again."""

    def take_rows(self, count: int) -> None:
        """Take rows, examples and queries; refuse as above."""


class Quotas:
    """The purses of all tenants."""

    def purse(self, caller: Caller) -> Purse | None:
        """Return the purse that a caller pays from; None where nothing is counted.

        A proven caller pays from its tenant's; all that nobody proved pay from one.
        """
        raise NotImplementedError
