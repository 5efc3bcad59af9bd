"""A load that does not wait: h2load at a fixed rate, whatever comes back."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.serving.load import FRAME_WINDOW_BITS, H2LOAD_MISSING, Target

CONNECTIONS = 8
STREAMS = 5000  # in flight a connection: more than an open load ever has


@contextmanager
def pressing(
    target: Target, rate: float, headers: Mapping[str, str], core: int, seconds: float
) -> Iterator[None]:
    """Send calls at a rate from a core while the block runs, for so many seconds at most."""
    h2load = shutil.which("h2load")
    if h2load is None:
        raise RuntimeError(H2LOAD_MISSING)
    named = {"content-type": "application/grpc", "te": "trailers", **headers}
    command = [
        *(h2load, f"-D{seconds * 1e3:.0f}ms", f"-c{CONNECTIONS}", f"-m{STREAMS}", "-t1"),
        *(f"-w{FRAME_WINDOW_BITS}", f"-W{FRAME_WINDOW_BITS}", f"--rps={rate / CONNECTIONS:.3f}"),
        *(part for name, value in named.items() for part in ("-H", f"{name}: {value}")),
        *("-d", str(target.body), f"http://127.0.0.1:{target.port}{target.method}"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        os.sched_setaffinity(process.pid, {core})
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError(f"expected h2load to send for {seconds:.0f} s, it ended before")
        finally:
            process.terminate()
