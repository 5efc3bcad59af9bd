"""Recent prompts of tenants who opted in, for re-evaluations: in memory, bounded, soon deleted.

A handler only appends to a queue; a thread copies what is kept and deletes what is too old. How
many come in and which may stay is decided in `service.kept`.
"""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from random import sample
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer
from model.checkpoint import Artifact
from model.prompt import Block, Examples
from monitoring.repeats import Repeats
from service.background import Repeating
from service.kept import Allowances, Bounds, Kept, Line, fitting
from service.tenants import EVERYBODY

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger("sonoba")

Array = NDArray[np.float64]

INTERVAL_SECONDS = 1.0  # between two looks at what waits and at what is too old
NUMBERS_MAX = 2**18  # of one prompt, 2 MiB
WAITING_BLOCKS_MAX = 8192
WAITING_BYTES_MAX = 16 * 2**20  # of the requests that wait to be copied from


class _Waiting(NamedTuple):
    """An answered block that waits to be copied from."""

    tenant: str
    artifact: Artifact
    block: Block
    modes: bytearray  # (B,)
    at_seconds: float


_Prompt = tuple[_Waiting, int]
"""One prompt of a block that waits."""


class Reservoir(Repeating):
    """The kept prompts of one process, and the thread that keeps and deletes them."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(self._keep_and_delete, INTERVAL_SECONDS, "reservoir")
        self._bounds, self._clock = bounds, clock
        self._is_open = EVERYBODY in bounds.tenants
        self._waiting: deque[_Waiting] = deque(maxlen=WAITING_BLOCKS_MAX)
        self._waiting_bytes = 0
        self._lock = threading.Lock()  # guards the three below
        self._kept: list[Kept] = []  # the oldest first
        self._allowances = Allowances(bounds.prompt_count)
        self._repeats = Repeats(bounds.repeat_seconds) if bounds.repeat_seconds > 0.0 else None

    def __len__(self) -> int:
        """Return how many prompts are in memory at this moment, but for those that wait."""
        return len(self._kept)

    def stop(self) -> None:
        """End, and forget every prompt."""
        super().stop()
        with self._lock:
            self._waiting.clear()
            self._kept.clear()

    def offer(self, artifact: Artifact, block: Block, answer: Answer, tenant: str) -> None:
        """Note an answered block; nothing is copied here, and sums are never kept."""
        if not (self._is_open or tenant in self._bounds.tenants):
            return
        if not isinstance(block.context, Examples) or artifact.model.mode not in answer.modes:
            return
        held = _held_bytes(block.context.x) + _held_bytes(block.queries)
        if self._waiting_bytes + held > WAITING_BYTES_MAX:
            return
        self._waiting_bytes += held  # a bound, not a sum: losing a race loosens it by one block
        self._waiting.append(_Waiting(tenant, artifact, block, answer.modes, self._clock()))

    def newest(self, model: str, prompt_count: int, age_seconds: float = 0.0) -> list[Kept]:
        """Return a model's prompts, the newest first; an age of 0 means all that are kept."""
        with self._lock:
            self._look()
            since = self._clock() - (age_seconds or self._bounds.age_seconds)
            found = (one for one in reversed(self._kept) if one.model == model)
            return [one for one in found if one.at_seconds > since][:prompt_count]

    def delete(self, tenant: str) -> int:
        """Delete all that a tenant has here, what still waits included; return how many it were."""
        with self._lock:
            self._look()
            before = len(self._kept)
            self._kept = [one for one in self._kept if one.tenant != tenant]
            return before - len(self._kept)

    def age_seconds(self, prompt: Kept) -> float:
        """Return how long ago a prompt was answered."""
        return self._clock() - prompt.at_seconds

    def look(self) -> None:
        """Keep what waits and delete what is too old or too much."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        new = list(self._new())
        now = self._clock()
        if new or (self._kept and now - self._kept[0].at_seconds >= self._bounds.age_seconds):
            self._kept = fitting([*self._kept, *new], self._bounds, now)

    def _new(self) -> Iterator[Kept]:
        """Yield copies of what waits and may be kept, the oldest first."""
        lines: defaultdict[Line, list[_Prompt]] = defaultdict(list)
        self._waiting_bytes = 0
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            lines[waiting.tenant, waiting.artifact.name] += _prompts(waiting)
        now, drawn = self._clock(), list[_Prompt]()
        for line, prompts in lines.items():
            drawn += sample(prompts, self._allowances.take(line, len(prompts), now))
        for one in map(_copy, sorted(drawn, key=_order)):
            if self._repeats is None or self._repeats.is_new(_bytes(one), one.at_seconds):
                yield one

    def _keep_and_delete(self) -> None:
        try:
            self.look()
        except Exception:
            log.exception("the reservoir failed")


def reservoir_of(settings: "Settings") -> Reservoir | None:
    """Return the reservoir of a server; None where no tenant opted in."""
    if not settings.reservoir_tenants:
        return None
    return Reservoir(
        Bounds(
            frozenset(settings.reservoir_tenants),
            settings.reservoir_prompts,
            settings.reservoir_tenant_share,
            settings.reservoir_seconds,
            settings.monitor_repeat_seconds,
        )
    )


def _prompts(waiting: _Waiting) -> list[_Prompt]:
    """Return the prompts of a block that the model itself answered, small enough to be kept."""
    own, block = waiting.artifact.model.mode, waiting.block
    assert isinstance(block.context, Examples)  # checked when it was offered
    if block.context.x[0].size + block.queries[0].size > NUMBERS_MAX:
        return []
    return [(waiting, row) for row, mode in enumerate(waiting.modes) if mode == own]


def _order(prompt: _Prompt) -> tuple[float, int]:
    waiting, row = prompt
    return waiting.at_seconds, row


def _copy(prompt: _Prompt) -> Kept:
    """Return a prompt with numbers of its own."""
    waiting, row = prompt
    artifact, block = waiting.artifact, waiting.block
    assert isinstance(block.context, Examples)
    x, y = np.array(block.context.x[row]), np.array(block.context.y[row])  # (M, d), (M,)
    names = waiting.tenant, artifact.name, artifact.version
    return Kept(*names, x, y, np.array(block.queries[row]), waiting.at_seconds)


def _bytes(kept: Kept) -> tuple[bytes, ...]:
    return (kept.tenant.encode(), kept.x.tobytes(), kept.y.tobytes(), kept.queries.tobytes())


def _held_bytes(array: Array) -> int:
    """Return how much memory an array keeps: of a view, all of what it looks into."""
    base: Any = array.base
    return array.nbytes if base is None else max(memoryview(base).nbytes, array.nbytes)
