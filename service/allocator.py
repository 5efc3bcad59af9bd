"""How the C library keeps freed memory: one arena for all threads, and nothing large for later.

glibc gives threads arenas of their own, and once large blocks were freed it takes the next ones
from there: each arena then keeps as much as its largest request took (docs/adr/0024-overload.md).
Our threads work one at a time and hand requests on: what one has freed in a shared arena is still
warm for the next, a tenth less time a call of 134 kB (docs/performance.md, Memory). mallopt(3).

The one arena keeps what lies between blocks in use; that is given back when calls have become few,
for the next call of a full load would take it again. malloc_trim(3).
"""

import ctypes
import logging
from collections.abc import Callable

from service.background import Repeating

log = logging.getLogger("sonoba")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
LARGE_BYTES = 2**20  # from here on a block is the system's, and goes back to it
ARENAS_MAX = 1  # threads wait for the interpreter, not for an arena
LOOK_SECONDS = 1.0
FEW_CALLS = 8  # pending; a trim makes them wait for 0.2 ms, of a heap full of holes for 8


def bound_arenas() -> bool:
    """Set the options, before threads start; return whether there is a glibc that took them."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        log.debug("no mallopt here: memory of large requests may stay")
        return False
    wanted = {
        M_ARENA_MAX: ARENAS_MAX,
        M_MMAP_THRESHOLD: LARGE_BYTES,
        M_TRIM_THRESHOLD: LARGE_BYTES,  # set one threshold, and the other no longer follows
    }
    return all(mallopt(option, value) for option, value in wanted.items())


def giving_back(pending: Callable[[], int]) -> Repeating:
    """Return what gives freed memory back while few calls are pending."""
    return Repeating(lambda: give_back(pending()), LOOK_SECONDS, "memory")


def give_back(pending: int) -> bool:
    """Give freed memory back where few calls are pending; return whether there was any."""
    if pending > FEW_CALLS or (trim := _of_glibc("malloc_trim")) is None:
        return False
    return bool(trim(0))


def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library; None where it has no such one."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # no such call; no such library; no POSIX
        return None
    return found
