"""What a kept prompt is, how fast prompts come in, and which of them may stay.

The newest matter most, but a busy server would replace all of them every other second. So each
tenant's each model has an allowance: as many as there are places at once, then as many as make the
places last five minutes, drawn fairly from what came.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Line = tuple[str, str]
"""A tenant and one of the models it asks."""

BYTES_MAX = 64 * 2**20  # of all that are kept
SPAN_SECONDS = 300.0  # that kept prompts reach back at least, however many come
LINES_MAX = 4096  # after which those that have all of their allowance are forgotten


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


class Allowances:
    """How many more prompts of each line may be kept now."""

    def __init__(self, prompt_count: int) -> None:
        self._most, self._rate = float(prompt_count), prompt_count / SPAN_SECONDS
        self._left: dict[Line, tuple[float, float]] = {}  # prompts, at which second

    def take(self, line: Line, wanted: int, now_seconds: float) -> int:
        """Return how many of the prompts that came may be kept, and count them as kept.

        >>> allowances = Allowances(300)
        >>> [allowances.take(("shop", "bikes"), 200, now) for now in (0.0, 0.0, 0.0, 7.5)]
        [200, 100, 0, 7]
        """
        left, since = self._left.get(line, (self._most, now_seconds))
        left = min(left + (now_seconds - since) * self._rate, self._most)
        taken = min(int(left), wanted)
        if len(self._left) >= LINES_MAX:
            self._forget(now_seconds)
        self._left[line] = left - taken, now_seconds
        return taken

    def _forget(self, now_seconds: float) -> None:
        self._left = {
            line: (left, since)
            for line, (left, since) in self._left.items()
            if left + (now_seconds - since) * self._rate < self._most
        }


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
