"""Two versions on the same live prompts: by how much the candidate's error is lower.

u = min(LOO/normal, 20) of the served version and u' of the candidate, with one normal for both: the
served reference's leave-one-out error at the prompt's length. Over n prompts, r = mean u'/mean u,

    gain = 1 - r,   Var(gain) ≈ (Var u' - 2r Cov(u, u') + r² Var u)/(n (mean u)²)   (delta method)

Sums over one prompt are the prompt, so prompts become public in blocks of 20 and more.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Bounds(NamedTuple):
    """A mean with its 90 % interval: each end is a one-sided 95 % bound; NaN where unknown."""

    mean: float
    lower: float
    upper: float


class Paired:
    """Paired errors of the served version and of one candidate; one thread adds, others read."""

    def add(self, served: Array, candidate: Array, normal: Array) -> None:
        """Take leave-one-out errors (B,) of B prompts and what is normal at their lengths (B,).

        All in one unit. A prompt whose served error is not finite is left out; a candidate's that
        is not finite counts as the clip.
        """
        raise NotImplementedError

    @property
    def prompt_count(self) -> int:
        """Public prompts."""
        raise NotImplementedError

    def joined(self, other: Self) -> Self:
        """Return the sums of both; those that wait for a block wait together."""
        raise NotImplementedError

    def served(self) -> Bounds:
        """Return the served version's mean clipped error over normal."""
        raise NotImplementedError

    def candidate(self) -> Bounds:
        """Return the candidate's mean clipped error over normal."""
        raise NotImplementedError

    def gain(self) -> Bounds:
        """Return the share of the served error that the candidate saves."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the public sums as bytes; raise ValueError while there are none."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the sums of some bytes; raise ValueError with a sentence where they are none."""
        raise NotImplementedError
