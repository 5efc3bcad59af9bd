"""How the C library keeps freed memory: one arena for all threads, and nothing large for later.

By default glibc gives every thread an arena of its own and raises its thresholds with the largest
block it has seen, up to 32 MiB. Our threads work one at a time and pass large requests on to each
other: what one has freed is then colder for the next, and is kept many times (docs/performance.md,
Memory). mallopt(3); other C libraries have no such call, or take no notice.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
LARGE_BYTES = 2**20  # of a block that goes back to the kernel at once


def share_one_arena() -> bool:
    """Set it for this process, before it has other threads; return whether it was taken.

    It wins over MALLOC_ARENA_MAX and the like, which glibc reads before.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such call; no such library; no POSIX
        return False
    wanted = {M_ARENA_MAX: 1, M_TRIM_THRESHOLD: LARGE_BYTES, M_MMAP_THRESHOLD: LARGE_BYTES}
    return all(mallopt(name, value) for name, value in wanted.items())
