"""What a replica tells of its recent prompts: sums that merge exactly, as bytes that travel.

docs/monitoring.md, "The state that merges".
"""

from dataclasses import dataclass
from typing import Self

from monitoring.attribution import Answering, Sums
from monitoring.causes import Causes
from monitoring.covariates import Normal
from monitoring.evidence import Evidence
from monitoring.reference import Reference
from monitoring.snapshot import FeatureMove, Level


@dataclass(frozen=True, slots=True)
class State:
    """Sums over prompts against one reference, by nominal length and working coordinates."""

    reference: str  # id, 8 hex digits
    feature_count: int  # d
    parts: tuple[Evidence, ...]  # one per (length, p), in this order

    @property
    def prompt_count(self) -> int:
        """Prompts in all."""
        raise NotImplementedError

    @property
    def row_count(self) -> int:
        """Examples in all."""
        raise NotImplementedError

    def joined(self, other: Self) -> Self:
        """Return the sums of both; raise ValueError where they have another reference or d."""
        raise NotImplementedError

    def levels(self) -> dict[str, Level]:
        """Return the level of every channel that some prompt has, as the gate computes it."""
        raise NotImplementedError

    def means(self) -> dict[str, float]:
        """Return the mean ratios of `watch.OTHERS`; NaN where none is known."""
        raise NotImplementedError

    def pooled(self, coordinate_count: int) -> Evidence | None:
        """Return all lengths of p working coordinates as one; None where there are none."""
        raise NotImplementedError

    def moves(self, normal: Normal) -> tuple[FeatureMove, ...]:
        """Return how features compare with the reference, natural units, the most moved first."""
        raise NotImplementedError

    def causes(self, reference: Reference, answering: Answering) -> Causes:
        """Return what moved and what hurts (`monitoring.causes`), of any number of prompts."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the state as bytes (docs/monitoring.md, "The state that merges")."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state of some bytes; raise ValueError with a sentence where they are none."""
        raise NotImplementedError
