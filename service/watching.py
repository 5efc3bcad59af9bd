"""Hands answered prompts to the monitors, off the reply path.

A handler only draws whether its prompt is wanted and appends it; one thread does the rest, in
batches of one shape. What it may cost is bounded twice: prompts a second, and a share of one
processor; beyond that a uniform sample is watched, and the rest is counted.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model.answer import Answer
from model.checkpoint import Artifact
from model.estimator import Estimating
from model.moments import Moments
from model.profile_fallback import chosen
from model.prompt import Block
from monitoring.monitor import Monitor
from monitoring.repeats import Repeats
from monitoring.sampling import Sampler, Taken
from service.seen import by_shape, number_count, seen, singles

log = logging.getLogger("sonoba")

INTERVAL_SECONDS = 0.5
PAUSE_SECONDS_MAX = 5.0  # after a look that cost more, as when a reference is made
CAPACITY_MIN = 256  # prompts of one look, whatever they cost: the next look waits for longer then
NUMBERS_MAX = 2**18  # of one prompt, 2 MiB
QUEUE_NUMBERS_MAX = 2**23  # of all that wait, 64 MiB
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What monitoring may cost one process."""

    prompts_per_second: int = 2000
    processor_share: float = 0.03
    duplicate_seconds: float = 60.0  # a prompt that comes again within is left out; 0 keeps it


class _Waiting(NamedTuple):
    """One prompt that waits, and its size."""

    block: Block
    number_count: int


class _Line:
    """The prompts of one model that wait for its monitor."""

    def __init__(
        self, artifact: Artifact, model: Estimating, monitor: Monitor, budget: Budget
    ) -> None:
        self.artifact, self.model, self.monitor = artifact, model, monitor
        self.capacity = max(int(budget.prompts_per_second * INTERVAL_SECONDS), 1)
        self.sampler: Sampler[_Waiting] = Sampler(min(self.capacity, CAPACITY_MIN))
        seconds = budget.duplicate_seconds
        self.repeats = Repeats(seconds) if seconds > 0.0 else None
        self.prompt_seconds = 0.0  # what one prompt costs of a processor

    def take(self, allowance_seconds: float) -> Taken[_Waiting]:
        """Return what waits; the next sample is as large as the allowance pays for."""
        paid = allowance_seconds / max(self.prompt_seconds, 1e-9)
        return self.sampler.take(int(min(max(paid, CAPACITY_MIN), self.capacity)))


class Watching:
    """The monitors of a server and the thread that feeds them."""

    def __init__(
        self, artifacts: Iterable[Artifact], monitors: Mapping[str, Monitor], budget: Budget
    ) -> None:
        self._budget = budget
        self._lines = {
            artifact.name: _Line(artifact, artifact.model, monitors[artifact.name], budget)
            for artifact in artifacts
            if isinstance(artifact.model, Estimating)
        }
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
        return len(self._lines[model].sampler)

    def offer(self, artifact: Artifact, block: Block, answer: Answer) -> None:
        """Keep a fair share of the answered prompts until the monitor looks."""
        line = self._lines.get(artifact.name)
        if line is None:
            return
        own, modes = artifact.model.mode, answer.modes
        if len(modes) == 1:
            if modes[0] != own:
                line.monitor.skip("other_mode")
            else:
                for _, number in line.sampler.draw(1):
                    self._keep(line, block, number)
            return
        taken = np.flatnonzero(np.frombuffer(modes, np.uint8) == own)  # (n,)
        if others := len(modes) - len(taken) - modes.count(0):
            line.monitor.skip("other_mode", others)
        if drawn := line.sampler.draw(len(taken)):
            part = chosen(block, taken[[place for place, _ in drawn]])  # copied at once
            for one, (_, number) in zip(singles(part), drawn, strict=True):
                self._keep(line, one, number)

    def _keep(self, line: _Line, block: Block, number: float) -> None:
        count = number_count(block)
        if count > NUMBERS_MAX or self._numbers + count > QUEUE_NUMBERS_MAX:
            line.monitor.skip("queue_full")
            return
        self._numbers += count  # a bound, not a sum: losing a race loosens it by one prompt
        line.sampler.offer(_Waiting(block, count), number)

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
        allowance = self._budget.processor_share * INTERVAL_SECONDS / max(len(self._lines), 1)
        self._numbers = 0
        for line in self._lines.values():
            taken = line.take(allowance)
            if taken.left_out_count:
                line.monitor.skip("over_budget", taken.left_out_count)
            if taken.prompts:
                self._watch(line, taken.prompts)

    def _watch(self, line: _Line, waiting: list[_Waiting]) -> None:
        """Hand prompts to their monitor by shape; a bug there costs these prompts only."""
        began = time.thread_time()
        try:
            for block in by_shape(_new(line, waiting)):
                if found := seen(line.model, block):
                    line.monitor.observe(found)
                else:
                    line.monitor.skip("schema", len(block.queries))
        except Exception:
            log.exception("the monitor of model %s failed", line.artifact.name)
        cost = (time.thread_time() - began) / len(waiting)
        line.prompt_seconds = cost if not line.prompt_seconds else (line.prompt_seconds + cost) / 2


def _new(line: _Line, waiting: list[_Waiting]) -> list[Block]:
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
