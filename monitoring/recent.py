"""The last prompts of one process as a ring of blocks of sums, each of one kind of prompt.

Sums over few prompts *are* the prompts. So a block holds a quarter of the gate's window, at least
20 prompts, all of one nominal length and number of coordinates, and only whole blocks are told:
what two states differ by is whole blocks again. Where fewer than 20 prompts of a block can be
measured it waits for more until it is twice as long; then its matrices are withheld. No row is
kept.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Answering
from monitoring.causes import NOTHING, Causes
from monitoring.evidence import Evidence, Sizes, unpacked
from monitoring.harm import Served
from monitoring.reference import Reference
from monitoring.state import State
from monitoring.summing import Batch, Key
from monitoring.totals import BLOCK_PROMPTS

Array = NDArray[np.float64]

WINDOW_BLOCKS = 4
BLOCKS_MAX, BLOCKS_MIN = 60, 8
FILLING_MAX = 8  # kinds of prompts whose blocks fill side by side
RING_BYTES = 8_000_000  # all blocks: fewer than BLOCKS_MAX above 52 features


@dataclass(slots=True)
class _Block:
    """Sums over some prompts that came between two moments."""

    key: Key
    sizes: Sizes
    sums: Array  # packed
    began_seconds: float  # monotonic
    ended_seconds: float = 0.0
    prompt_count: int = 0
    sane_count: int = 0

    def add(self, batch: Batch, start: int, stop: int, now_seconds: float) -> None:
        """Take a stretch of a batch."""
        self.sums += batch.sums(start, stop)
        self.prompt_count += stop - start
        self.sane_count += batch.sane_count(start, stop)
        self.ended_seconds = now_seconds

    def is_whole(self, size: int) -> bool:
        """Return whether it may be told."""
        enough = self.sane_count >= BLOCK_PROMPTS
        return self.prompt_count >= (size if enough else 2 * size)

    def told(self) -> "_Block":
        """Return the block, without what it has of too few prompts."""
        if self.sane_count < BLOCK_PROMPTS:
            self.sums[self.sizes.gate_count :] = 0.0
        return self


class RecentEvidence:
    """The last prompts of one model against its reference; one thread adds."""

    def __init__(self, reference: Reference, clock: Callable[[], float] = time.monotonic) -> None:
        self._reference, self._clock = reference, clock
        self.block_prompts = max(reference.window_prompts // WINDOW_BLOCKS, BLOCK_PROMPTS)
        self._whole: deque[_Block] = deque()  # by the end, the newest last
        self._filling: dict[Key, _Block] = {}
        self._answering: Answering | None = None

    def add(self, batch: Batch, served: Served) -> None:
        """Take a batch in the order its prompts came."""
        now, start = self._clock(), 0
        if batch.key.coordinate_count == len(self._reference.scene.means):
            self._answering = _answering(served)
        while start < batch.count:
            block = self._block(batch, now)
            room = self.block_prompts - block.prompt_count % self.block_prompts
            stop = min(start + room, batch.count)
            block.add(batch, start, stop, now)
            if block.is_whole(self.block_prompts):
                self._whole.append(self._filling.pop(batch.key).told())
                self._forget(batch.sizes)
            start = stop

    def _block(self, batch: Batch, now_seconds: float) -> _Block:
        """Return the block that prompts like these fill; of too many kinds the stalest goes."""
        key, sizes = batch.key, batch.sizes
        if key not in self._filling:
            if len(self._filling) >= FILLING_MAX:
                stalest = min(self._filling.values(), key=lambda block: block.ended_seconds)
                del self._filling[stalest.key]
            self._filling[key] = _Block(key, sizes, np.zeros(sizes.number_count), now_seconds)
        return self._filling[key]

    def _forget(self, sizes: Sizes) -> None:
        """Let the oldest blocks go."""
        held = RING_BYTES // (8 * sizes.number_count) - FILLING_MAX
        while len(self._whole) > min(max(held, BLOCKS_MIN), BLOCKS_MAX):
            self._whole.popleft()

    def state(self, prompt_count: int = 0, age_seconds: float = 0.0) -> State | None:
        """Return sums over the newest prompts; None where no block is whole.

        The newest whole blocks that hold prompt_count (0: all that are kept), of those that did
        not begin longer ago than age_seconds (0: no bound).
        """
        oldest = self._clock() - age_seconds if age_seconds > 0.0 else -np.inf
        chosen: list[_Block] = []
        held = 0
        for block in reversed(self._whole):
            if prompt_count > 0 and held >= prompt_count:
                break
            if block.began_seconds >= oldest:
                chosen.append(block)
                held += block.prompt_count
        return self._state(chosen) if chosen else None

    def _state(self, blocks: Iterable[_Block]) -> State:
        """Return the sums of blocks, of each kind of prompt."""
        sums: dict[tuple[float, Sizes], Array] = {}
        for block in blocks:
            kind = block.key.length, block.sizes
            sums[kind] = sums[kind] + block.sums if kind in sums else block.sums
        parts: list[Evidence] = [unpacked(*kind, sums[kind]) for kind in sorted(sums)]
        return State(self._reference.id, self._reference.feature_count, tuple(parts))

    def causes(self) -> Causes:
        """Return what moved and what hurts; nothing until a window is whole.

        Blocks that still fill are looked at too: this stays in the process.
        """
        p = len(self._reference.scene.means)
        alike = [block for block in self._whole if block.key.coordinate_count == p]
        window = alike[-WINDOW_BLOCKS:]
        if self._answering is None or len(window) < WINDOW_BLOCKS:
            return NOTHING
        began = min(block.began_seconds for block in window)
        window += [
            block
            for block in self._filling.values()
            if block.key.coordinate_count == p and block.began_seconds >= began
        ]
        return self._state(window).causes(self._reference, self._answering)


def _answering(served: Served) -> Answering:
    """Return how the model answered the latest prompts."""
    T = served.task_covariance  # (p, p) or (B, p, p)
    task = T.mean(axis=0) if T.ndim == 3 else T  # (p, p)
    weights = None if served.inverts else served.inverse[-1] * served.count  # (p, p)
    return Answering(task, served.noise_variance, weights)
