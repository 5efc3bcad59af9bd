"""The gate: is the error of recent prompts surely above normal? (docs/monitoring.md, "The gate")

For channel c and prompt p, u = min(x/x₀, 20)/κ, x₀ the baseline of the prompt's length and κ the
reference's own mean of the clipped ratio. Over n prompts

    LCB = mean(u) - 1.645 √((mean(u²) - mean(u)²)/n),  gate = max over the channels h and loo.

The maximum is of the two bounds, never inside a prompt: that would be above 1 on quiet prompts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.levels import CLIP, Z95, window_rows
from monitoring.snapshot import CHANNELS, Level

Array = NDArray[np.float64]

SHORTEST_PROMPT = 2  # examples; with it the window's prompts are bounded


def clipped(ratios: Array) -> Array:
    """Return min(ratio, 20) (B,), so that one wild prompt cannot carry a window."""
    return np.minimum(ratios, CLIP)


def lower_bound(mean: float, square: float, count: int) -> float:
    """Return the lower 95 % bound of a mean from the mean of n values and of their squares.

    >>> round(lower_bound(2.0, 5.0, 100), 4)
    1.8355
    """
    return mean - Z95 * float(np.sqrt(max(square - mean * mean, 0.0) / count))


class Inflated(NamedTuple):
    """Errors of B prompts over normal; NaN where a prompt has no such number."""

    clipped: Array  # (B, 2) u by channel
    ratios: Array  # (B, 2) as they are
    others: Array  # (B, k) what else is averaged over the window


class Window:
    """The last prompts of one process, as many as the gate needs; memory is bounded.

    It looks at the fewest newest prompts with both W prompts and max(2000, 50 d) rows, a channel at
    the fewest that have it.
    """

    def __init__(self, feature_count: int, window_prompts: int, other_count: int = 0) -> None:
        self._prompts_min, self._rows_min = window_prompts, window_rows(feature_count)
        capacity = max(window_prompts, self._rows_min // SHORTEST_PROMPT) + 1
        self._kept = np.zeros((capacity, 2 * len(CHANNELS) + other_count))
        self._rows = np.zeros(capacity)
        self._count = 0

    def add(self, inflated: Inflated, row_count: int) -> None:
        """Take B prompts of row_count examples each."""
        new = np.hstack(inflated)[-len(self._kept) :]  # (B, 4 + k)
        places = (self._count + np.arange(len(new))) % len(self._kept)  # (B,)
        self._kept[places], self._rows[places] = new, float(row_count)
        self._count += len(new)

    def recent(self) -> Array:
        """Return u, ratios and others of the gate's prompts (n, 4 + k); none until warm."""
        return self._kept[self._enough(self._newest())]

    def _newest(self) -> NDArray[np.intp]:
        """Return the places of what is held, the newest first."""
        held = min(self._count, len(self._kept))
        newest: NDArray[np.intp] = (self._count - 1 - np.arange(held)) % len(self._kept)  # (held,)
        return newest

    def _enough(self, newest: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the first of some places that have enough prompts and rows; none of too few."""
        enough = int(np.searchsorted(np.cumsum(self._rows[newest]), self._rows_min)) + 1
        size = max(self._prompts_min, enough)
        return newest[: size if size <= len(newest) else 0]

    def levels(self) -> dict[str, Level]:
        """Return the level of every channel, over the newest prompts that have it."""
        newest = self._newest()  # (held,)
        found = {}
        for place, channel in enumerate(CHANNELS):
            known = newest[~np.isnan(self._kept[newest, place])]  # (held',) a summary has no loo
            kept = self._kept[self._enough(known)]  # (n, 4 + k)
            if len(kept):
                u = kept[:, place]  # (n,)
                mean, square = float(u.mean()), float((u * u).mean())
                ratio = float(kept[:, len(CHANNELS) + place].mean())
                found[channel] = Level(lower_bound(mean, square, len(u)), mean, ratio, len(u))
        return found
