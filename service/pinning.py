"""Which core a worker keeps to for good: on a machine of its own, worker i of N to the i-th.

Where other processes need the same cores it keeps to one at a time instead (service/roaming.py).
"""

import os
from collections.abc import Callable
from pathlib import Path

CONTAINERS = (
    Path("/.dockerenv"),
    Path("/run/.containerenv"),
    Path("/var/run/secrets/kubernetes.io"),
)


def core_of(
    pin: str,
    number: int,
    workers: int,
    cores: frozenset[int] | None = None,
    owns_machine: Callable[[], bool] | None = None,
) -> int | None:
    """Return the core that worker `number` (from 0) of some workers keeps to; None for any.

    `pin` is auto, on or off; auto pins where several workers fill this machine, one a core.
    `cores` are those that this process may use, `owns_machine` tells whether it is alone there.
    """
    allowed = sorted(available_cores() if cores is None else cores)
    if pin == "off" or not allowed:
        return None
    is_owner = is_own_machine if owns_machine is None else owns_machine
    fills = 1 < workers == len(allowed)
    if pin == "on" or (fills and is_owner()):
        return allowed[number % len(allowed)]
    return None


def keep_to(core: int) -> None:
    """Keep this thread, and all that it starts, to a core."""
    os.sched_setaffinity(0, {core})


def available_cores() -> frozenset[int]:
    """Return the cores that this process may use; none where the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    return frozenset(os.sched_getaffinity(0))


def is_own_machine(containers: tuple[Path, ...] = CONTAINERS) -> bool:
    """Return whether no container shares this machine's cores with others.

    A pod that was given whole cores sees fewer than the machine has, and owns those.
    """
    if len(available_cores()) < (os.cpu_count() or 1):
        return True
    return not any(path.exists() for path in containers)
