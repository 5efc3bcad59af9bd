"""A shadow baseline: a share of the prompts is solved exactly as well, beside the reply.

What the layers' answers differ by, in predictive standard errors, is a metric. No reply waits for
it: a prompt that finds the queue full is dropped and counted. Nor does it take more than a
hundredth of a processor for long; a solve can take a hundred times as long as an answer.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Full, Queue
from random import random
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer
from model.checkpoint import Artifact, Supporting
from model.intervals import LEVELS
from model.moments import Moments
from model.prompt import Block
from model.support import Wanted
from service.slot import Served
from service.tally import ShadowTally

log = logging.getLogger("sonoba")

Array = NDArray[np.float64]
Tap = Callable[[Served, Block, Answer], None]
"""Is handed the model, the prompt and its answer."""

QUEUE_PROMPTS = 16
NUMBERS_MAX = 2**18  # of a prompt, 2 MiB: a full queue holds 32 MiB, and no solve takes seconds
STOP_SECONDS = 5.0
PROCESSOR_SHARE = 0.01
BURST_SECONDS = 0.25  # of a processor, that may be spent at once
ROUNDING = 1e-9  # of an answer: a perfect fit has no standard error to divide by


@runtime_checkable
class Shadowed(Supporting, Protocol):
    """A model whose layers come near an exact solve."""

    def exact(self, block: Block) -> Array:
        """Return the exact answers (B, Q)."""


class _Sampled(NamedTuple):
    """A prompt to solve, and what was answered."""

    name: str
    model: Shadowed
    block: Block
    predictions: Array  # (1, Q)


class Shadow:
    """A bounded queue of sampled prompts, and the one thread that solves them."""

    def __init__(self, artifacts: Iterable[Artifact], share: float) -> None:
        self.tallies: dict[str, ShadowTally] = {}  # of all versions of a name since the start
        self.in_force: dict[str, tuple[Shadowed, ShadowTally]] = {}  # of the version in force
        for artifact in artifacts:
            self.admit(artifact)
        self.share = share
        self._queue: Queue[_Sampled | None] = Queue(QUEUE_PROMPTS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Solve what is offered from now on."""
        self._thread.start()

    def admit(self, artifact: Artifact) -> None:
        """Begin to count a version that comes into force, before its first answer."""
        name, model = artifact.name, artifact.model
        others = {other: found for other, found in self.in_force.items() if other != name}
        if isinstance(model, Shadowed):
            self.tallies = {**self.tallies, name: self.tallies.get(name) or ShadowTally()}
            others[name] = (model, ShadowTally())
        self.in_force = others

    def offer(self, artifact: Artifact, block: Block, answer: Answer) -> None:
        """Sample an answered prompt; one that a simpler model answered has no exact twin here."""
        if random() < self.share:
            self.take(artifact, block, answer)

    def take(self, artifact: Artifact, block: Block, answer: Answer) -> None:
        """Take a prompt that was drawn."""
        model, tally = artifact.model, self.tallies.get(artifact.name)
        if tally is None or answer.modes[0] != model.mode or not isinstance(model, Shadowed):
            return
        try:
            if _number_count(block) > NUMBERS_MAX:
                raise Full
            self._queue.put_nowait(_Sampled(artifact.name, model, block, answer.predictions))
        except Full:
            tally.lost("dropped")

    def stop(self) -> None:
        """End the thread after the prompt in hand; what still waits is forgotten."""
        self._stopping.set()
        with suppress(Full):  # a full queue keeps no thread waiting
            self._queue.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        earned, before = BURST_SECONDS, time.monotonic()
        while True:
            began = time.thread_time()
            if not self._solve_next():
                return
            spent, now = time.thread_time() - began, time.monotonic()
            earned = min(earned + (now - before) * PROCESSOR_SHARE, BURST_SECONDS) - spent
            before = now
            if earned < 0.0:
                self._stopping.wait(-earned / PROCESSOR_SHARE)

    def _solve_next(self) -> bool:
        """Solve one prompt, in a frame of its own so that nothing of it outlives the solve."""
        sampled = self._queue.get()
        if sampled is None or self._stopping.is_set():
            return False
        tally = self.tallies[sampled.name]
        try:
            ratio = disagreement(sampled.model, sampled.block, sampled.predictions)
            tally.solved(ratio)
            model, own = self.in_force.get(sampled.name, (None, tally))
            if model is sampled.model:  # what an earlier version answered is not this one's
                own.solved(ratio)
        except Exception:
            log.exception("the exact solve beside model %s failed", sampled.name)
            tally.lost("failed")
        return True


def skip(artifact: Served, block: Block, answer: Answer) -> None:
    """Offer no prompt to anybody."""


@np.errstate(all="ignore")  # what is not finite is found in the ratio
def disagreement(model: Shadowed, block: Block, predictions: Array) -> float:
    """Return max_q |ŷ - ŷ_exact| ÷ s_q of one prompt's predictions (1, Q), s_q standard errors."""
    intervals = model.support(block, Wanted(LEVELS[:1])).intervals
    if intervals is None:
        raise ArithmeticError("expected standard errors, got none")
    exact = model.exact(block)  # (1, Q)
    least = ROUNDING * np.maximum(np.abs(exact), np.abs(predictions))  # (1, Q)
    errors = np.maximum(intervals.standard_errors, least)  # (1, Q)
    apart = np.abs(predictions - exact)  # (1, Q)
    ratio = float(np.where(apart == 0.0, 0.0, apart / errors).max())
    if not np.isfinite(ratio):
        raise ArithmeticError(f"expected a finite disagreement, got {ratio}")
    return ratio


def _number_count(block: Block) -> int:
    context = block.context
    rows = 0 if isinstance(context, Moments) else context.x.size
    return rows + block.queries.size
