"""Hands answered prompts to the monitors, off the reply path.

A handler only draws whether its prompt is wanted and appends it; one thread does the rest, in
batches of one shape. What it may cost is bounded twice: prompts a second, and a share of one
processor; beyond that a uniform sample is watched, and the rest is counted.
"""

import logging
import threading
import time
from collections.abc import Iterable

import numpy as np

from model.answer import Answer
from model.moments import Moments
from model.profile_fallback import chosen
from model.prompt import Block
from service.line import INTERVAL_SECONDS, Budget, Line, Waiting
from service.seen import by_shape, is_bare, number_count, seen_by, singles
from service.slot import Served

log = logging.getLogger("sonoba")

PAUSE_SECONDS_MAX = 5.0  # after a look that cost more, as when a reference is made
NUMBERS_MAX = 2**18  # of one prompt, 2 MiB
QUEUE_NUMBERS_MAX = 2**23  # of all that wait, 64 MiB
STOP_SECONDS = 5.0


class Watching:
    """The thread that feeds the monitors of what is in force."""

    def __init__(self, in_force: Iterable[Served], budget: Budget) -> None:
        """Take what is in force, to be asked again at every look."""
        self._in_force, self._budget = in_force, budget
        self._numbers = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to look at prompts."""
        self._thread.start()

    def stop(self) -> None:
        """Look at what waits once more, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def queued(self, model: str) -> int:
        """Return how many prompts of a model wait."""
        return sum(len(line.sampler) for line in self._lines() if line.monitor.model == model)

    def _lines(self) -> list[Line]:
        """Return the lines of what is in force: a version that was replaced is not looked at."""
        return [one.line for one in self._in_force if one.line is not None]

    def offer(self, artifact: Served, block: Block, answer: Answer) -> None:
        """Keep a fair share of the answered prompts until the monitor looks."""
        line = artifact.line
        if line is None:
            return
        own, modes = artifact.model.mode, answer.modes
        if len(modes) == 1:
            if modes[0] != own:
                line.monitor.skip("other_mode")
            else:
                for _, number in line.sampler.draw(1):
                    self.keep(line, block, number)
            return
        taken = np.flatnonzero(np.frombuffer(modes, np.uint8) == own)  # (n,)
        if others := len(modes) - len(taken) - modes.count(0):
            line.monitor.skip("other_mode", others)
        if drawn := line.sampler.draw(len(taken)):
            part = chosen(block, taken[[place for place, _ in drawn]])  # copied at once
            for one, (_, number) in zip(singles(part), drawn, strict=True):
                self.keep(line, one, number)

    def keep(self, line: Line, block: Block, number: float) -> None:
        """Keep one prompt that drew a number below its line, unless too much waits."""
        count = number_count(block)
        if count > NUMBERS_MAX or self._numbers + count > QUEUE_NUMBERS_MAX:
            line.monitor.skip("queue_full")
            return
        if not line.has_room(count):
            line.monitor.skip("over_budget")
            return
        self._numbers += count  # a bound, not a sum: losing a race loosens it by one prompt
        line.sampler.offer(Waiting(block, count), number)

    def _run(self) -> None:
        pause_seconds = INTERVAL_SECONDS
        while not self._stopping.wait(pause_seconds):
            began = time.thread_time()
            self.look()
            spent = time.thread_time() - began
            earned = spent / self._budget.processor_share
            pause_seconds = min(max(INTERVAL_SECONDS, earned), PAUSE_SECONDS_MAX)
        self.look()

    def look(self) -> None:
        """Watch everything that waits."""
        lines = self._lines()
        allowance = self._budget.processor_share * INTERVAL_SECONDS / max(len(lines), 1)
        self._numbers = 0
        for line in lines:
            taken = line.take(allowance)
            if taken.left_out_count:
                line.monitor.skip("over_budget", taken.left_out_count)
            if taken.prompts:
                self._watch(line, taken.prompts)

    def _watch(self, line: Line, waiting: list[Waiting]) -> None:
        """Hand prompts to their monitor by shape; a bug there costs these prompts only."""
        began = time.thread_time()
        try:
            for block in by_shape(_new(line, waiting)):
                _look_at(line, block)
        except Exception:
            log.exception("the monitor of model %s failed", line.monitor.model)
        cost = (time.thread_time() - began) / len(waiting)
        line.prompt_seconds = cost if not line.prompt_seconds else (line.prompt_seconds + cost) / 2


@np.errstate(all="ignore")  # what is not finite is found in the numbers
def _look_at(line: Line, block: Block) -> None:
    """Let the monitor see prompts of one shape, and then the candidate beside, if there is one."""
    if is_bare(block):
        return line.monitor.skip("schema", len(block.queries))
    answered = line.model.estimator(block)
    line.monitor.observe(seen_by(answered, block))
    beside, watch = line.beside, line.monitor.watch
    if beside is not None and watch is not None:  # while there is no normal, nothing is over it
        beside.look(block, answered, watch.reference)
    return None


def _new(line: Line, waiting: list[Waiting]) -> list[Block]:
    """Return the prompts that were not there a moment ago; copies would narrow every bound."""
    blocks = [one.block for one in waiting]
    if line.repeats is None:
        return blocks
    fresh = [block for block in blocks if line.repeats.is_new(_bytes(block), time.monotonic())]
    if len(fresh) < len(blocks):
        line.monitor.skip("duplicate", len(blocks) - len(fresh))
    return fresh


def _bytes(block: Block) -> tuple[bytes, ...]:
    context = block.context
    if isinstance(context, Moments):
        return context.mean.tobytes(), context.products.tobytes(), block.queries.tobytes()
    return context.x.tobytes(), context.y.tobytes(), block.queries.tobytes()
