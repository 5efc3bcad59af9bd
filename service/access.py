"""Who reaches a process and how, put together from its settings: transport, callers, quotas.

Their files are read again when they change, by one thread (service/reloading.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.callers import Callers
from service.callers_file import Entries, read_callers
from service.loopback import is_loopback
from service.quotas import Quotas, Rates, read_quotas
from service.reloading import FileWatch, Reloaded
from service.transport import Transport, check_exposed

if TYPE_CHECKING:
    from service.settings import Settings


class Access:
    """What one process asks of those who reach it."""

    def __init__(self, settings: "Settings") -> None:
        """Read the files; `StartError` names the setting that is wrong."""
        self._settings = settings
        self.transport = Transport(settings)
        self.callers_file = _callers_file(settings)
        self.quota_file = _quota_file(settings)
        entries, rates = self.callers_file, self.quota_file
        self.callers = Callers(
            None if entries is None else lambda: entries.value, self.transport.is_mutual
        )
        self.quotas = Quotas(
            Rates(settings.quota_calls_per_second, settings.quota_rows_per_second),
            None if rates is None else lambda: rates.value,
        )
        self.watch = FileWatch(self._looks())

    @property
    def shows_contract(self) -> bool:
        """Whether reflection is on: as the setting says, by default on loopback only."""
        wanted = self._settings.reflection
        return is_loopback(self._settings.host) if wanted is None else wanted

    def check(self, **hosts: str) -> None:
        """Refuse to be open to a network without TLS or callers, unless that is allowed.

        `hosts` are the addresses of ports by their setting; `host` is that of predictions.
        """
        check_exposed(self._settings, hosts, self.transport, self.callers.proves)

    def _looks(self) -> list[Callable[[], None]]:
        files = (self.callers_file, self.quota_file)
        found = [one.look for one in files if one is not None]
        return [*found, *([self.transport.look] if self.transport.is_encrypted else [])]


def _callers_file(settings: "Settings") -> Reloaded[Entries] | None:
    path = settings.callers_file
    return None if path is None else Reloaded("callers_file", [path], lambda: read_callers(path))


def _quota_file(settings: "Settings") -> Reloaded[dict[str, Rates]] | None:
    path = settings.quota_file
    return None if path is None else Reloaded("quota_file", [path], lambda: read_quotas(path))
