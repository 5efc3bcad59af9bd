"""The machine: its cores, what it is, and what a process has used (Linux: /proc and affinity)."""

import contextlib
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("grpcio", "numpy", "protobuf", "prometheus-client")


class Cores(NamedTuple):
    """Where the server runs, and where the load comes from."""

    server: int
    generator: int
    all: tuple[int, ...]

    @property
    def apart(self) -> bool:
        """Whether server and generator have a core each."""
        return self.server != self.generator


def cores() -> Cores:
    """Return the first two cores this process may use; on a machine of one they are the same."""
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    return Cores(allowed[0], allowed[min(1, len(allowed) - 1)], allowed)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process, user and system, to nanoseconds.

    The clock is that of `clock_getcpuclockid(3)`, whose number Linux makes of the process's.
    """
    return time.clock_gettime(~pid << 3 | 2)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread has ended
            found += map(int, path.read_text().split())
    return found


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB of 10^6 bytes; `VmHWM` is its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


def describe() -> dict[str, object]:
    """Return what the numbers belong to; neither a host's name nor a path."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": len(cores().all),
        "cpu": names[0] if names else platform.machine(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in LIBRARIES},
    }
