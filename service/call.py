"""One call as a handler sees it: its id and how much time is left."""

import random
import time

from model.refusal import Refusal
from service.quotas import Purse


class Call:
    """The clock and the id of one call; the id is the caller's once the request has been read.

    `caller` is who calls, as far as somebody asked: the tenant of a prediction, the address of an
    administrator. `purse` is what the tenant's quota is taken from, where there is one.
    """

    __slots__ = ("_ends", "_request_id", "begun", "caller", "purse")

    def __init__(self, seconds: float) -> None:
        self.begun = time.monotonic()
        self._ends = self.begun + seconds
        self.caller = self._request_id = ""
        self.purse: Purse | None = None

    @property
    def request_id(self) -> str:
        """The caller's id of the request, or one that is made when somebody first asks."""
        if not self._request_id:
            self._request_id = f"{random.getrandbits(64):016x}"
        return self._request_id

    def name(self, request_id: str) -> None:
        """Take the caller's id; refuse one that could not be printed in a log."""
        if not request_id:
            return
        if len(request_id) > 128 or not request_id.isascii() or not request_id.isprintable():
            sentence = f"expected at most 128 printable ASCII characters, got {len(request_id)}"
            raise Refusal("BAD_REQUEST_ID", "request_id", sentence)
        self._request_id = request_id

    def check_deadline(self) -> None:
        """Refuse to go on when the caller has stopped waiting."""
        if time.monotonic() >= self._ends:
            raise Refusal("EXPIRED", "", "the deadline passed before the answer was computed")
