"""The thread of a re-evaluator that publishes its store: at once when it changes, and regularly."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from model.store import TOLD, Store
from model.store_pointer import CURRENT
from service.background import Repeating
from service.configmaps import ApiError, ConfigMaps, Reason
from service.publisher import Fault, Publisher
from service.settings import Settings
from service.start_error import StartError

log = logging.getLogger("sonoba")

START_TRIES, START_SECONDS = 3, 1.0  # the network of a new pod may come a moment after it
FIRST_WAIT_SECONDS = 2.0  # after a failure; doubled with each one that follows
FAULTS = (*get_args(Reason), "damaged", "diverged", "full", "bug")


class PublishTally:
    """How publishing has gone, for the metrics."""

    def __init__(self) -> None:
        self.failures = Counter({reason: 0 for reason in FAULTS})
        self.last_success_seconds = 0.0
        """When the ConfigMaps were last seen to hold what the folder does, Unix; 0 before."""


class PublishWatch(Repeating):
    """Looks at the folder every few seconds and at the ConfigMaps less often."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        is_leading: Callable[[], bool],
        look_seconds: float,
        every_seconds: float,
    ) -> None:
        """Take who publishes and who may: a process that stands by does not."""
        super().__init__(self.look, look_seconds, "sonoba-publish", is_first_at_once=True)
        self._store, self._publisher, self._is_leading = store, publisher, is_leading
        self._every_seconds, self._wait_seconds = every_seconds, FIRST_WAIT_SECONDS
        self._tried: tuple[object, ...] = ()
        self._due, self._told = float("-inf"), ""
        self.tally = PublishTally()

    def restore(self) -> None:
        """Bring the folder up to what the cluster has, before anybody acts on it.

        Raises `StartError` where that cannot be known: a lost volume must not roll a cluster back.
        """
        for tries_left in reversed(range(START_TRIES)):
            try:
                for fault in self._publisher.restore():
                    self.tally.failures[fault.reason] += 1
                    log.error("store: %s", fault.sentence)
                return
            except ApiError as error:
                if error.reason != "unreachable" or not tries_left:
                    raise StartError(f"publish_configmaps: {error}") from None
                time.sleep(START_SECONDS)

    def look(self) -> None:
        """Publish where the folder has changed, or where it is time to look again."""
        if not self._is_leading():
            return
        state = tuple(_content(path) for path in _paths(self._store))
        if state == self._tried and time.monotonic() < self._due:
            return
        self._tried = state
        if faults := self._faults():
            self._due = time.monotonic() + self._wait_seconds
            self._wait_seconds = min(2 * self._wait_seconds, self._every_seconds)
            self._complain(faults)
            return
        self._due = time.monotonic() + self._every_seconds
        self.tally.last_success_seconds = time.time()
        if self._told:
            log.info("publishing goes on: the ConfigMaps hold what the store does")
        self._told, self._wait_seconds = "", FIRST_WAIT_SECONDS

    def _faults(self) -> Sequence[Fault]:
        try:
            return self._publisher.publish()
        except ApiError as error:
            return [Fault(error.reason, str(error))]
        except Exception as error:
            log.exception("bug while publishing")
            return [Fault("bug", repr(error))]

    def _complain(self, faults: Sequence[Fault]) -> None:
        """Count what went wrong, and log it where it is news."""
        self.tally.failures.update({fault.reason for fault in faults})
        told = "; ".join(dict.fromkeys(fault.sentence for fault in faults))
        if told != self._told:
            log.error("publishing: %s; servers keep what they have", told)
        self._told = told


def publish_watch(
    settings: Settings, store: Store, is_leading: Callable[[], bool]
) -> PublishWatch | None:
    """Return what publishes a store, as settings ask for it; None where they do not."""
    if not settings.publish_configmaps:
        return None
    if not settings.publish_api:
        raise StartError("publish_api: expected https://host:port outside a cluster, got none")
    api = ConfigMaps(settings.publish_api, settings.publish_account)
    publisher = Publisher(store, api, settings.publish_configmaps)
    seconds = settings.store_poll_seconds, settings.publish_every_seconds
    return PublishWatch(store, publisher, is_leading, *seconds)


def _paths(store: Store) -> list[Path]:
    return sorted(path for file in (CURRENT, TOLD) for path in store.folder.glob(f"*/{file}"))


def _content(path: Path) -> tuple[str, bytes]:
    try:
        return path.parent.name, path.read_bytes()
    except OSError:
        return path.parent.name, b""
