"""Looks at the store every few seconds, and lets a server follow what its pointers say."""

import logging
import threading
from collections.abc import Callable

from model.store import Store
from model.version_folder import StoreError
from service.background import Repeating

log = logging.getLogger("sonoba")


class StoreWatch(Repeating):
    """The thread that looks; a store that cannot be read for a while changes nothing."""

    def __init__(
        self, refresh: Callable[[], Store], follow: Callable[[Store], None], poll_seconds: float
    ) -> None:
        """Take what brings the store up to date, and what follows it."""
        super().__init__(self.look, poll_seconds, "store", is_first_at_once=True)
        self._refresh, self._follow = refresh, follow
        self._complaint = ""
        self._looking = threading.Lock()

    def look(self) -> str:
        """Look once, one thread at a time; return what is wrong with the store, empty if nothing.

        It is logged once, not at every look.
        """
        with self._looking:
            self._look()
            return self._complaint

    def _look(self) -> None:
        try:
            self._follow(self._refresh())
        except (StoreError, OSError) as error:
            self._complain(str(error))
        except Exception as error:
            if (complaint := repr(error)) != self._complaint:
                log.exception("looking at the store failed; what is in force stays")
            self._complaint = complaint
        else:
            if self._complaint:
                log.info("the store can be read again")
            self._complaint = ""

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.warning("store: %s; what is in force stays", complaint)
        self._complaint = complaint
