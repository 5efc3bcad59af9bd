"""Recent prompts of tenants who opted in, for re-evaluations: in memory, bounded, soon deleted.

A handler only appends to a line; a thread copies what is kept and deletes what is too old. What
does not fit is decided by `fitting`: the newest prompts matter most, and no tenant (nor one of its
models) crowds out another.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer
from model.checkpoint import Artifact
from model.prompt import Block, Examples
from monitoring.repeats import Repeats
from service.settings import Settings
from service.tenants import EVERYBODY

log = logging.getLogger("sonoba")

Array = NDArray[np.float64]

INTERVAL_SECONDS = 0.5  # between two looks at what waits and at what is too old
NUMBERS_MAX = 2**18  # of one prompt, 2 MiB
BYTES_MAX = 64 * 2**20  # of all that are kept
WAITING_BLOCKS_MAX = 8192
WAITING_BYTES_MAX = 16 * 2**20  # of the requests that wait to be copied from
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whose prompts are kept, how many, and for how long."""

    tenants: frozenset[str]
    prompt_count: int = 2000
    tenant_share: float = 0.5  # of the places and bytes, where several tenants have prompts
    age_seconds: float = 86_400.0
    repeat_seconds: float = 60.0  # a prompt that comes again within is kept once; 0 keeps it
    byte_count: int = BYTES_MAX


class Kept(NamedTuple):
    """One prompt as it was answered: natural units, the model's column order, copies."""

    tenant: str
    model: str
    model_version: str
    x: Array  # (M, d)
    y: Array  # (M,)
    queries: Array  # (Q, d)
    at_seconds: float  # on the monotonic clock

    @property
    def byte_count(self) -> int:
        """How much memory its numbers take."""
        return self.x.nbytes + self.y.nbytes + self.queries.nbytes


class _Waiting(NamedTuple):
    """An answered block that waits to be copied from."""

    tenant: str
    artifact: Artifact
    block: Block
    modes: bytearray  # (B,)
    at_seconds: float


class Reservoir:
    """The kept prompts of one process, and the thread that keeps and deletes them."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds, self._clock = bounds, clock
        self._is_open = EVERYBODY in bounds.tenants
        self._waiting: deque[_Waiting] = deque(maxlen=WAITING_BLOCKS_MAX)
        self._waiting_bytes = 0
        self._lock = threading.Lock()  # guards the two below
        self._kept: list[Kept] = []  # the oldest first
        self._repeats = Repeats(bounds.repeat_seconds) if bounds.repeat_seconds > 0.0 else None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reservoir", daemon=True)

    def __len__(self) -> int:
        """Return how many prompts are in memory at this moment, but for those that wait."""
        return len(self._kept)

    def start(self) -> None:
        """Keep and delete from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End, and forget every prompt."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
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
        """Yield copies of what waits."""
        self._waiting_bytes = 0
        for _ in range(len(self._waiting)):
            for one in _copies(self._waiting.popleft()):
                if self._repeats is None or self._repeats.is_new(_bytes(one), one.at_seconds):
                    yield one

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except Exception:
                log.exception("the reservoir failed")


def reservoir_of(settings: Settings) -> Reservoir | None:
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


def fitting(prompts: Sequence[Kept], bounds: Bounds, now_seconds: float) -> list[Kept]:
    """Return the prompts (the oldest first) that may stay.

    Those that are too old go. Of the rest, places are given in rounds: the newest prompt of every
    tenant's every model, then the second newest of each, and so on while there is room; so it is
    the oldest of whoever has most that go. With two tenants or more, none gets more than its share.
    """
    young = [one for one in prompts if now_seconds - one.at_seconds < bounds.age_seconds]
    most, most_bytes = bounds.prompt_count, bounds.byte_count
    has_several = len({one.tenant for one in young}) > 1
    share = bounds.tenant_share if has_several else 1.0
    places, place_bytes = max(int(share * most + 1e-9), 1), int(share * most_bytes)
    counts, sizes, total_bytes = Counter[str](), Counter[str](), 0
    chosen: list[int] = []
    for place in _rounds(young):
        tenant, size = young[place].tenant, young[place].byte_count
        fits_share = counts[tenant] < places and sizes[tenant] + size <= place_bytes
        if fits_share and len(chosen) < most and total_bytes + size <= most_bytes:
            chosen.append(place)
            counts[tenant] += 1
            sizes[tenant] += size
            total_bytes += size
    return [young[place] for place in sorted(chosen)]


def _rounds(prompts: Sequence[Kept]) -> list[int]:
    """Return the places of prompts by how many newer ones their tenant's model has."""
    seen = Counter[tuple[str, str]]()
    ranked: list[tuple[int, int]] = []
    for place in reversed(range(len(prompts))):
        line = prompts[place].tenant, prompts[place].model
        ranked.append((seen[line], -place))
        seen[line] += 1
    return [-place for _, place in sorted(ranked)]


def _copies(waiting: _Waiting) -> Iterator[Kept]:
    """Yield the prompts of a block that the model itself answered, small enough to be kept."""
    artifact, block = waiting.artifact, waiting.block
    assert isinstance(block.context, Examples)  # checked when it was offered
    x, y, queries = block.context.x, block.context.y, block.queries
    if x[0].size + queries[0].size > NUMBERS_MAX:
        return
    for row, mode in enumerate(waiting.modes):
        if mode == artifact.model.mode:
            numbers = np.array(x[row]), np.array(y[row]), np.array(queries[row])  # copies
            names = waiting.tenant, artifact.name, artifact.version
            yield Kept(*names, *numbers, waiting.at_seconds)


def _bytes(kept: Kept) -> tuple[bytes, ...]:
    return (kept.tenant.encode(), kept.x.tobytes(), kept.y.tobytes(), kept.queries.tobytes())


def _held_bytes(array: Array) -> int:
    """Return how much memory an array keeps: of a view, all of what it looks into."""
    base: Any = array.base
    return array.nbytes if base is None else max(memoryview(base).nbytes, array.nbytes)
