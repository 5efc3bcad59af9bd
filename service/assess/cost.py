"""What a prediction costs on this machine: processor time in the model, and memory of a server.

    microseconds = median over repeats of (thread time of a loop over single prompts ÷ its prompts)
    CPU-hours a million = microseconds · 10⁶ predictions ÷ 3.6·10⁹ µs an hour

One prompt with one query at a time, as most callers ask. **The transport is not in it**: gRPC, to
read the request and to write the reply take some 150 to 300 µs of a processor more in a single call
and far less in a batch (docs/performance.md, "The service against the echo"). Memory is that of a
server before its first call, and the model's arrays; calls add to it as that page tells.
"""

import math
import statistics
import subprocess
import sys
import time

import numpy as np

from model.prompt import Block, Examples
from service.assess.findings import Cost
from service.assess.material import Material
from service.held_out import draw

REPEATS = 9
LOOP_PROMPTS, LOOP_SECONDS = 200, 0.02
MICROSECONDS_AN_HOUR = 3.6e9
LOADED = """
import pathlib, resource, sys
sys.path[:] = sys.argv[1:]
from service.server import Server
from service.settings import Settings
server = Server(Settings.from_environ({}))  # opens no port before it is started
pages = pathlib.Path("/proc/self/statm")
if pages.exists():  # Linux; what its rusage says is at least what the parent took
    print(int(pages.read_text().split()[1]) * resource.getpagesize() / 2**20)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def cost(material: Material, example_count: int, learning_seconds: float) -> Cost:
    """Measure single predictions with so many examples; NaN where no group can give them."""
    taken = microseconds(material, example_count)
    arrays = material.fitted.arrays() if material.fitted.parameters.buckets else {}
    mebibytes = sum(np.asarray(leaf).nbytes for leaf in arrays.values()) / 2**20
    return Cost(
        example_count=example_count,
        microseconds=taken,
        cpu_hours_a_million=taken * 1e6 / MICROSECONDS_AN_HOUR,
        resident_mebibytes=server_mebibytes() + mebibytes,
        learning_seconds=learning_seconds,
    )


def microseconds(material: Material, example_count: int) -> float:
    """Return the processor time of one prediction; NaN where no prompt can be drawn."""
    blocks = _prompts(material, example_count)
    if not blocks:
        return math.nan
    once = _loop(material, blocks)  # what every prompt of the length shares is made here
    times = max(int(LOOP_SECONDS / max(once * len(blocks), 1e-9)), 1)
    return statistics.median(_loop(material, blocks * times) for _ in range(REPEATS)) * 1e6


def _prompts(material: Material, example_count: int) -> list[Block]:
    """Return prompts of one query each, of the groups held out, with as many examples as said."""
    drawn = draw(material.unseen, example_count, material.seed) if example_count else None
    if drawn is None:
        return []
    rows = zip(drawn.x, drawn.y, drawn.queries, strict=True)
    found = [Block(Examples(x[None], y[None]), queries[None, :1]) for x, y, queries in rows]
    return found[:LOOP_PROMPTS]


def _loop(material: Material, blocks: list[Block]) -> float:
    """Return the processor seconds a prompt."""
    answer = material.model.answer
    begin = time.thread_time()
    for block in blocks:
        answer(block)
    return (time.thread_time() - begin) / len(blocks)


def server_mebibytes() -> float:
    """Return what a server's process takes before its first call; NaN where it cannot tell."""
    command = [sys.executable, "-c", LOADED, *sys.path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return math.nan
