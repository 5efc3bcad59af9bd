"""What a tenant may use: calls and rows a second, by token buckets; off unless a setting says so.

A bucket holds what its rate gives in BURST_SECONDS. A request larger than that passes when the
bucket is full and overdraws it, so that none is too large to be ever answered; until it is paid
back nothing passes, so that nobody has more than the rate in the long run.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from model.prompt import Block, Examples
from model.refusal import Refusal
from service.reloading import FileFault
from service.roles import Caller
from service.tenants import NAME

BURST_SECONDS = 2.0
PURSES_MAX = 4096  # a gateway's tenants are as many as it names
FILE_BYTES_MAX = 2**20
UNPROVEN = ""  # the purse of all whom nobody proved
SUBJECTS = {"calls": "calls a second", "rows": "rows a second"}


class Rates(NamedTuple):
    """What a tenant may use a second; 0 is not counted."""

    calls: float
    rows: float


class Bucket:
    """Fills at a rate up to what BURST_SECONDS of it are; may be overdrawn when full."""

    __slots__ = ("_at", "_level", "_rate", "_room")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._at = rate, now
        self._level = self._room = max(rate * BURST_SECONDS, 1.0)

    def wait_seconds(self, count: float, now: float) -> float:
        """Return after how long a request of this size would pass; 0 when it passes now."""
        self._level = min(self._room, self._level + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(count, self._room) - self._level) / self._rate)

    def take(self, count: float) -> None:
        """Take what `wait_seconds` has just let pass."""
        self._level -= count

    def is_full(self, now: float) -> bool:
        """Whether nothing would be lost if the bucket were made anew."""
        return self.wait_seconds(self._room, now) == 0.0


class Purse:
    """The two buckets of one tenant."""

    __slots__ = ("_calls", "_lock", "_now", "_rows")

    def __init__(self, rates: Rates, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._calls = Bucket(rates.calls, now()) if rates.calls else None
        self._rows = Bucket(rates.rows, now()) if rates.rows else None

    def take_call(self) -> None:
        """Take one call; refuse `QUOTA_EXCEEDED` with the seconds after which it would pass."""
        if self._calls is not None:
            self._take(self._calls, 1, "calls")

    def take_rows(self, count: int) -> None:
        """Take the examples and queries of a request; refuse as above."""
        if self._rows is not None:
            self._take(self._rows, count, "rows")

    def is_full(self) -> bool:
        """Whether the tenant has used nothing of late."""
        now = self._now()
        return all(one is None or one.is_full(now) for one in (self._calls, self._rows))

    def _take(self, bucket: Bucket, count: int, what: str) -> None:
        with self._lock:
            seconds = bucket.wait_seconds(count, self._now())
            if not seconds:
                bucket.take(count)
                return
        sentence = f"expected fewer {SUBJECTS[what]}, come again in {seconds:.3g} s"
        raise Refusal("QUOTA_EXCEEDED", what, sentence, max(seconds, 0.001))


class Quotas:
    """The purses of all tenants."""

    def __init__(
        self,
        default: Rates,
        others: Callable[[], dict[str, Rates]] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the rates of everybody, and what returns a file's rates of some as they are now."""
        self._default, self._others, self._now = default, others, now
        self._read: dict[str, Rates] = {} if others is None else others()
        self._purses: dict[str, Purse] = {}
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is counted, or may be once the file changes."""
        return any(self._default) or self._others is not None

    def purse(self, caller: Caller) -> Purse:
        """Return what a caller pays from: its tenant's, or the one of all whom nobody proved."""
        if self._others is not None and self._others() is not self._read:
            with self._lock:
                self._read, self._purses = self._others(), {}
        tenant = caller.tenant if caller.name else UNPROVEN
        return self._purses.get(tenant) or self._opened(tenant)

    def _opened(self, tenant: str) -> Purse:
        with self._lock:
            if len(self._purses) >= PURSES_MAX:
                kept = {name: one for name, one in self._purses.items() if not one.is_full()}
                self._purses = kept if len(kept) < PURSES_MAX else {}
            rates = self._read.get(tenant, self._default) if tenant else self._default
            return self._purses.setdefault(tenant, Purse(rates, self._now))


def row_count(block: Block) -> int:
    """Return the examples and queries of prompts; a summary's examples were not sent."""
    examples = block.example_count if isinstance(block.context, Examples) else 0
    prompts, queries = block.queries.shape[:2]
    return int(prompts * (examples + queries))


def read_quotas(path: Path) -> dict[str, Rates]:
    """Return the rates of a file, `tenant calls rows` a line; `#` begins a remark."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise FileFault(f"{path.name}: expected at most {FILE_BYTES_MAX} bytes, got more")
    found: dict[str, Rates] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            tenant, rates = _rates(words, f"{path.name}: line {number}")
            if tenant in found:
                raise FileFault(f"{path.name}: line {number}: tenant: expected each once")
            found[tenant] = rates
    return found


def _rates(words: list[str], place: str) -> tuple[str, Rates]:
    if len(words) != 3 or not NAME.fullmatch(words[0]):
        fields = "a tenant, calls and rows a second"
        raise FileFault(f"{place}: expected {fields}, got {len(words)} fields")
    try:
        calls, rows = float(words[1]), float(words[2])
    except ValueError:
        calls = rows = -1.0
    if not (0 <= calls <= 1e6 and 0 <= rows <= 1e9):
        sentence = "expected calls of 0 to 1e6 and rows of 0 to 1e9, got something else"
        raise FileFault(f"{place}: {sentence}")
    return words[0], Rates(calls, rows)
