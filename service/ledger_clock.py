"""How long ago was it? Reckoned so that a wall clock that jumps opens and closes nothing.

The kernel's clock since boot is used between two moments of one boot, the wall clock only across
boots, and there a step back counts as none.
"""

import functools
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Moment(NamedTuple):
    """One moment: for people, and by the clock of the machine since a boot of some name."""

    unix_seconds: float
    boot: str
    boot_seconds: float


Clock = Callable[[], Moment]


def now() -> Moment:
    """Return this moment."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Moment(time.time(), _boot(), time.clock_gettime(clock))


def passed_seconds(before: Moment, after: Moment) -> float:
    """Return the seconds between two moments, at least 0."""
    if before.boot == after.boot:
        return max(0.0, after.boot_seconds - before.boot_seconds)
    return max(0.0, after.unix_seconds - before.unix_seconds)


@functools.cache
def _boot() -> str:
    """Return the name of this boot; where the system gives none, of this process."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex
