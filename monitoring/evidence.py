"""Sums over prompts of one nominal length and one number of working coordinates.

All of it adds up, in float64 and in working units unless a field says otherwise. Packed, it is one
vector: first what is summed prompt by prompt, then the upper triangles of symmetric matrices.
"""

from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.reference import BUCKETS
from monitoring.ridge_sums import RidgeSums

Array = NDArray[np.float64]

OTHERS = ("ridge", "label_power", "best", "length_effect", "at_clip", "tail_share")

GATE = {  # a letter is a size: c channels, o OTHERS, D directions, p coordinates, d features
    **dict.fromkeys(("prompts", "rows"), ""),
    **dict.fromkeys(("channel_prompts", "inflation", "inflation_square"), "c"),
    **dict.fromkeys(("ratios", "clipped"), "c"),
    **dict.fromkeys(("others", "other_prompts"), "o"),
}
VECTORS = {
    **dict.fromkeys(("errors", "error_prompts"), "c"),
    **dict.fromkeys(("excess_error", "noise", "query_signal", "task_variance"), ""),
    "direction_excess": "D",
    **dict.fromkeys(("scene.prompt_count", "scene.inverse_lengths"), ""),
    **dict.fromkeys(("scene.means", "scene.query_means", "scene.gaps"), "p"),
    **dict.fromkeys(("residual_prompts", "residual_power", "spread_prompts"), ""),
    **dict.fromkeys(("ridge.prompt_count", "ridge.inverse_lengths"), ""),
    "ridge.tasks": "p",
    **dict.fromkeys(("ridge.residual_power", "ridge.freedom"), ""),
    "z_means": "d",
}
MATRICES = {
    **dict.fromkeys(("scene.moments", "scene.query_moments", "scene.squares"), "p"),
    **dict.fromkeys(("mean_squares", "spread"), "p"),
    **dict.fromkeys(("ridge.shrinkage", "ridge.shrinkage_squares", "ridge.task_squares"), "p"),
    **dict.fromkeys(("z_mean_squares", "z_scatters"), "d"),
}


COUNTS = (
    *("prompts", "channel_prompts", "clipped", "other_prompts", "error_prompts"),
    *("scene.prompt_count", "residual_prompts", "spread_prompts", "ridge.prompt_count"),
)


class Sizes(NamedTuple):
    """How large the sums are."""

    features: int  # d
    coordinates: int  # p
    directions: int  # D

    def of(self, letter: str) -> int:
        """Return the size that a letter of the tables stands for."""
        d, p, D = self
        return {"": 1, "c": 2, "o": len(OTHERS), "d": d, "p": p, "D": D}[letter]

    @property
    def gate_count(self) -> int:
        """Numbers of a packed vector that are over all prompts."""
        return _gate_count(self)

    @property
    def number_count(self) -> int:
        """Numbers of a packed vector."""
        return _number_count(self)


@lru_cache(maxsize=64)
def _gate_count(sizes: Sizes) -> int:
    return sum(map(sizes.of, GATE.values()))


@lru_cache(maxsize=64)
def _number_count(sizes: Sizes) -> int:
    vectors = sum(map(sizes.of, VECTORS.values()))
    sides = map(sizes.of, MATRICES.values())
    return _gate_count(sizes) + vectors + sum(n * (n + 1) // 2 for n in sides)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What some prompts say: d features, p working coordinates, D directions of harm.

    What the gate needs is over all prompts. All after it leaves out prompts beyond all measure
    (`monitoring.summing`), whose squares would drown the others: those are `scene.prompt_count`.
    """

    length: float  # nominal M, one of `reference.BUCKETS`; 0 where several are pooled
    prompts: float
    rows: float
    channel_prompts: Array  # (2,) prompts that have the channel h, loo
    inflation: Array  # (2,) Σu, the clipped error over normal
    inflation_square: Array  # (2,) Σu²
    ratios: Array  # (2,) Σ of the error over normal as it is
    clipped: Array  # (2,) prompts at the clip
    others: Array  # (6,) sums of the ratios OTHERS
    other_prompts: Array  # (6,) prompts that have them

    errors: Array  # (2,) Σ LOO of the served model and of the exact ridge
    error_prompts: Array  # (2,)
    excess_error: float  # Σ(h - σ²)
    noise: float  # Σσ²
    query_signal: float  # Σ of the mean vᵀTv
    task_variance: float  # Σ tr(T)/p
    direction_excess: Array  # (D,) Σ of the excess along the reference's directions, 0 at other p
    scene: Sums
    residual_prompts: float  # prompts whose labels were seen
    residual_power: float  # Σ|r - Um|²/M
    spread_prompts: float  # prompts whose rows one layer answered
    spread: Array  # (p, p) Σ (1/M)Σ‖u‖²uuᵀ
    ridge: RidgeSums  # of prompts with labels, where the prior is not the prompt's own
    mean_squares: Array  # (p, p) Σūūᵀ
    z_means: Array  # (d,) Σz̄, z = (x - mean)/unit of the reference (`units`)
    z_mean_squares: Array  # (d, d) Σz̄z̄ᵀ
    z_scatters: Array  # (d, d) Σ (1/M)Σ(z - z̄)(z - z̄)ᵀ

    @property
    def sizes(self) -> Sizes:
        """d, p and D."""
        return Sizes(len(self.z_means), len(self.scene.means), len(self.direction_excess))

    def joined(self, other: "Evidence") -> "Evidence":
        """Return the sums of both; raise ValueError where their sizes differ."""
        if self.sizes != other.sizes:
            raise ValueError(f"sums: expected sizes {self.sizes}, got {other.sizes}")
        length = self.length if self.length == other.length else 0.0
        return unpacked(length, self.sizes, packed(self) + packed(other))


def units(deviation: Array, mean: Array) -> Array:
    """Return what features are measured in (d,): deviations, of constants |mean| or at least 1."""
    return np.where(deviation > 0.0, deviation, np.maximum(np.abs(mean), 1.0))


def packed(evidence: Evidence) -> Array:
    """Return the sums as one vector (n,)."""
    vectors = [np.ravel(attrgetter(name)(evidence)) for name in (*GATE, *VECTORS)]
    matrices = [attrgetter(name)(evidence) for name in MATRICES]
    return np.concatenate([*vectors, *(a.ravel()[triangle(len(a))] for a in matrices)])


def unpacked(length: float, sizes: Sizes, numbers: Array) -> Evidence:
    """Return the sums of a vector (n,) that `packed` made."""
    found: dict[str, Any] = {}
    at = 0
    for name, letter in (GATE | VECTORS).items():
        part = numbers[at : (at := at + sizes.of(letter))]  # (size,)
        found[name] = part.copy() if letter else float(part[0])
    for name, letter in MATRICES.items():
        side = sizes.of(letter)
        part = numbers[at : (at := at + side * (side + 1) // 2)]
        found[name] = _symmetric(part, side)
    scene = Sums(*(found.pop(f"scene.{name}") for name in Sums._fields))
    ridge = RidgeSums(*(found.pop(f"ridge.{name}") for name in RidgeSums._fields))
    return Evidence(length=length, scene=scene, ridge=ridge, **found)


@lru_cache(maxsize=16)
def triangle(side: int) -> NDArray[np.intp]:
    """Return the places of the upper triangle in a flat matrix (n, n), row by row."""
    places: NDArray[np.intp] = np.flatnonzero(np.triu(np.ones((side, side))))
    return places


def _symmetric(numbers: Array, side: int) -> Array:
    """Return the matrix (n, n) of an upper triangle (n(n + 1)/2,)."""
    half = np.zeros((side, side))
    half.ravel()[triangle(side)] = numbers
    return half + np.triu(half, 1).T


def check(numbers: Array, sizes: Sizes, length: float) -> None:
    """Refuse a vector (n,) that no prompts can have led to; raise ValueError with a sentence."""
    if length not in BUCKETS:
        raise ValueError(f"sums, length: expected one of {BUCKETS}, got {length:g}")
    if not np.isfinite(numbers).all():
        raise ValueError("sums: expected finite numbers, got others")
    found = unpacked(length, sizes, numbers)
    for name in COUNTS:
        counts = np.atleast_1d(attrgetter(name)(found))
        if not ((counts >= 0.0) & (counts <= found.prompts) & (counts == np.floor(counts))).all():
            sentence = f"expected whole numbers from 0 to {found.prompts:g}, got {counts}"
            raise ValueError(f"sums, {name}: {sentence}")
    if not 1.0 <= found.prompts <= found.rows:
        sentence = f"expected a prompt or more, each with rows, got {found.prompts:g}"
        raise ValueError(f"sums, prompts: {sentence} with {found.rows:g}")
    if not 0.0 <= found.scene.inverse_lengths <= found.scene.prompt_count:
        sentence = f"expected 0 to {found.scene.prompt_count:g}"
        got = found.scene.inverse_lengths
        raise ValueError(f"sums, inverse_lengths: {sentence}, got {got:g}")
    if any((np.diagonal(attrgetter(name)(found)) < 0.0).any() for name in MATRICES):
        raise ValueError("sums: expected sums of squares from 0 on, got others")
