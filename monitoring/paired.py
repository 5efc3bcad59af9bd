"""Two versions on the same live prompts: by how much the candidate's error is lower.

u = min(LOO/normal, 20) of the served version and u' of the candidate, with one normal for both: the
served reference's leave-one-out error at the prompt's length. Over n prompts, r = mean u'/mean u,

    gain = 1 - r,   Var(log r) ≈ (Var u' - 2r Cov(u, u') + r² Var u)/(n (mean u')²)   (delta method)

The interval is that of log r: errors are skewed, and the lower end of one of r itself would lie
above the truth in up to 8 of 100 cases, where 5 are meant.

Sums over one prompt are the prompt, so only whole blocks of 20 and more leave the process: what two
of them differ by is a block again. Bytes (`monitoring.sealing`): n, Σu, Σu', Σu², Σu'², Σuu' as
little-endian float64.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.gate import clipped
from monitoring.levels import CLIP, Z95
from monitoring.sealing import opened, sealed
from monitoring.totals import BLOCK_PROMPTS

Array = NDArray[np.float64]

MAGIC = b"SONOBAPR"
NUMBERS = 6
ROUNDING = 1e-9  # of what sums of squares may miss


class Bounds(NamedTuple):
    """A mean with its 90 % interval: each end is a one-sided 95 % bound; NaN where unknown."""

    mean: float
    lower: float
    upper: float


class Paired:
    """Paired errors of the served version and of one candidate; one thread adds, others read."""

    def __init__(self) -> None:
        nothing = np.zeros(NUMBERS)
        self._sums = nothing, nothing  # public, waiting: replaced as one, so readers need no lock

    def add(self, served: Array, candidate: Array, normal: Array) -> None:
        """Take leave-one-out errors (B,) of B prompts and what is normal at their lengths (B,).

        All in one unit. A prompt whose served error is not finite is left out; a candidate's that
        is not finite counts as the clip.
        """
        with np.errstate(all="ignore"):
            u, other = clipped(served / normal), clipped(candidate / normal)  # (B,)
        known = np.isfinite(served) & np.isfinite(normal) & (normal > 0.0)  # (B,)
        u, other = u[known], np.nan_to_num(other[known], nan=CLIP)  # (b,)
        columns = np.stack([np.ones(len(u)), u, other, u * u, other * other, u * other])  # (6, b)
        public, waiting = self._sums
        self._sums = _released(public, waiting + columns.sum(axis=1))

    @property
    def prompt_count(self) -> int:
        """Prompts in all, those that wait for a block among them."""
        return int(self._all[0])

    @property
    def _all(self) -> Array:
        public, waiting = self._sums
        both: Array = public + waiting  # (6,)
        return both

    def joined(self, other: Self) -> Self:
        """Return the sums of both; those that wait for a block wait together."""
        made = type(self)()
        (public, waiting), (others, also_waiting) = self._sums, other._sums
        made._sums = _released(public + others, waiting + also_waiting)
        return made

    def served(self) -> Bounds:
        """Return the served version's mean clipped error over normal."""
        n, u, _, uu, _, _ = self._all.tolist()
        return _mean(n, u, uu)

    def candidate(self) -> Bounds:
        """Return the candidate's mean clipped error over normal."""
        n, _, u, _, uu, _ = self._all.tolist()
        return _mean(n, u, uu)

    @np.errstate(all="ignore")  # NaN of no prompts, and of a served version without error
    def gain(self) -> Bounds:
        """Return the share of the served error that the candidate saves."""
        n, *sums = self._all
        u, other, uu, others, both = np.array(sums) / n  # means
        ratio = other / u
        variance = (others - other**2) - 2.0 * ratio * (both - u * other) + ratio**2 * (uu - u**2)
        half = Z95 * np.sqrt(max(variance, 0.0) / (n - 1.0)) / other if other else 0.0
        ends = ratio * np.exp(half), ratio * np.exp(-half)
        return Bounds(float(1.0 - ratio), *(float(1.0 - end) for end in ends))

    def to_bytes(self) -> bytes:
        """Return the whole blocks as bytes; raise ValueError while there are none."""
        public = self._sums[0]
        if not public[0]:
            waiting = f"{self.prompt_count}"
            raise ValueError(f"paired: expected {BLOCK_PROMPTS} prompts or more, got {waiting}")
        return sealed(MAGIC, public.astype("<f8").tobytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the sums of some bytes; raise ValueError with a sentence where they are none."""
        body = opened(MAGIC, data)
        if len(body) != 8 * NUMBERS:
            raise ValueError(f"paired: expected {8 * NUMBERS} bytes of sums, got {len(body)}")
        sums = np.frombuffer(body, "<f8").astype(np.float64)  # (6,)
        _check(sums)
        made = cls()
        made._sums = sums, np.zeros(NUMBERS)
        return made


def _released(public: Array, waiting: Array) -> tuple[Array, Array]:
    """Return what is public and what waits, once a block is full."""
    if waiting[0] < BLOCK_PROMPTS:
        return public, waiting
    return public + waiting, np.zeros(NUMBERS)


@np.errstate(all="ignore")  # NaN of no prompts
def _mean(count: float, total: float, squares: float) -> Bounds:
    n = np.float64(count)
    mean = total / n
    half = Z95 * np.sqrt(max(squares / n - mean * mean, 0.0) / (n - 1.0))
    return Bounds(float(mean), float(mean - half), float(mean + half))


def _check(sums: Array) -> None:
    """Refuse sums (6,) that no prompts can have led to."""
    n, u, other, uu, others, both = sums.tolist()
    if not np.isfinite(sums).all() or n != np.floor(n) or n < BLOCK_PROMPTS:
        sentence = f"expected finite sums over {BLOCK_PROMPTS} prompts or more"
        raise ValueError(f"paired: {sentence}, got {sums.tolist()}")
    most = (1.0 + ROUNDING) * CLIP * n
    fits = all(-ROUNDING <= mean <= most for mean in (u, other))
    squares = (u * u, uu), (other * other, others), (both * both, uu * others / n)
    if not fits or not all(less <= (1.0 + ROUNDING) * n * more for less, more in squares):
        raise ValueError(f"paired: expected errors from 0 to {CLIP:g}, got sums {sums.tolist()}")
