"""What a replica tells of its recent prompts: sums that merge exactly, as bytes that travel.

The body of the bytes (`monitoring.sealing`): reference (8 ASCII), d, D and the number of parts
(u32 each), then of every part its nominal length, p and its packed sums (`monitoring.evidence`),
all float64; little-endian. docs/monitoring.md, "The state that merges".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Answering
from monitoring.causes import NOTHING, Causes, causes_of
from monitoring.covariates import Normal
from monitoring.evidence import OTHERS, Evidence, Sizes, check, packed, units, unpacked
from monitoring.gate import lower_bound
from monitoring.moves import feature_moves
from monitoring.reference import Reference
from monitoring.sealing import opened, sealed
from monitoring.snapshot import CHANNELS, FeatureMove, Level

Array = NDArray[np.float64]

MAGIC = b"SONOBAST"
SIZE_MAX = 2**20  # of d, D and p, so that sizes of garbage stay whole numbers
_HEAD, _PART = struct.Struct("<8sIII"), struct.Struct("<dd")


@dataclass(frozen=True, slots=True)
class State:
    """Sums over prompts against one reference, by nominal length and working coordinates."""

    reference: str  # id, 8 hex digits
    feature_count: int  # d
    parts: tuple[Evidence, ...]  # one per (length, p), in this order

    @property
    def prompt_count(self) -> int:
        """Prompts in all."""
        return int(sum(part.prompts for part in self.parts))

    @property
    def row_count(self) -> int:
        """Examples in all."""
        return int(sum(part.rows for part in self.parts))

    def joined(self, other: Self) -> Self:
        """Return the sums of both; raise ValueError where they have another reference or d."""
        if other.reference != self.reference:
            wanted, got = self.reference, other.reference
            raise ValueError(f"state, reference: expected {wanted}, got {got}")
        if other.feature_count != self.feature_count:
            wanted, got = str(self.feature_count), str(other.feature_count)
            raise ValueError(f"state, features: expected {wanted}, got {got}")
        found = {_place(part): part for part in self.parts}
        for part in other.parts:
            known = found.get(_place(part))
            found[_place(part)] = part if known is None else known.joined(part)
        parts = tuple(found[place] for place in sorted(found))
        return type(self)(self.reference, self.feature_count, parts)

    def levels(self) -> dict[str, Level]:
        """Return the level of every channel that some prompt has, as the gate computes it."""
        found = {}
        for place, channel in enumerate(CHANNELS):
            n = float(sum(part.channel_prompts[place] for part in self.parts))
            if n > 0.0:
                mean = sum(part.inflation[place] for part in self.parts) / n
                square = sum(part.inflation_square[place] for part in self.parts) / n
                ratio = sum(part.ratios[place] for part in self.parts) / n
                bound = lower_bound(float(mean), float(square), int(n))
                found[channel] = Level(bound, float(mean), float(ratio), int(n))
        return found

    def means(self) -> dict[str, float]:
        """Return the mean ratios of `evidence.OTHERS`; NaN where none is known."""
        nothing = np.zeros(len(OTHERS))
        sums = sum((part.others for part in self.parts), nothing)  # (6,)
        counts = sum((part.other_prompts for part in self.parts), nothing)  # (6,)
        with np.errstate(invalid="ignore"):
            return dict(zip(OTHERS, (sums / counts).tolist(), strict=True))

    def pooled(self, coordinate_count: int) -> Evidence | None:
        """Return all lengths of p working coordinates as one; None where nothing was measured."""
        alike = [part for part in self.parts if len(part.scene.means) == coordinate_count]
        whole = reduce(Evidence.joined, alike) if alike else None
        return None if whole is None or not whole.scene.prompt_count else whole

    def features(self, normal: Normal) -> tuple[Array, Array]:
        """Return means and deviations (d,) of all rows, natural units; NaN where none was seen.

        Within a nominal length every prompt counts alike, between them every row.
        """
        unit, d = units(normal.deviation, normal.mean), self.feature_count
        weights, total, power = 0.0, np.zeros(d), np.zeros(d)
        for part in self.parts:
            share = part.rows / part.prompts
            weights += share * part.scene.prompt_count
            total += share * part.z_means
            power += share * np.diagonal(part.z_mean_squares + part.z_scatters)
        with np.errstate(invalid="ignore"):
            mean = total / weights  # (d,)
            deviation = np.sqrt(np.maximum(power / weights - mean * mean, 0.0))  # (d,)
        return normal.mean + unit * mean, unit * deviation

    def moves(self, normal: Normal) -> tuple[FeatureMove, ...]:
        """Return how features compare with the reference, natural units, the most moved first."""
        shares = np.full(self.feature_count, np.nan)  # (d,)
        return feature_moves((normal.mean, normal.deviation), self.features(normal), shares)

    def causes(self, reference: Reference, answering: Answering) -> Causes:
        """Return what moved and what hurts (`monitoring.causes`), however few the prompts.

        answering is how the model answers in the working coordinates of the reference.
        """
        window = self.pooled(len(reference.scene.means))
        if window is None:
            return NOTHING
        return causes_of(reference, answering, window, self.features(reference.normal))

    def to_bytes(self) -> bytes:
        """Return the state as bytes (docs/monitoring.md, "The state that merges")."""
        D = len(self.parts[0].direction_excess) if self.parts else 0
        name = self.reference.encode("ascii")
        body = [_HEAD.pack(name, self.feature_count, D, len(self.parts))]
        for part in self.parts:
            body += [_PART.pack(*_place(part)), packed(part).astype("<f8").tobytes()]
        return sealed(MAGIC, b"".join(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state of some bytes; raise ValueError with a sentence where they are none."""
        body = opened(MAGIC, data)
        if len(body) < _HEAD.size:
            raise ValueError(f"state: expected at least {_HEAD.size} bytes, got {len(body)}")
        name, d, D, count = _HEAD.unpack_from(body)
        if not name.isalnum() or not name.isascii():
            raise ValueError(f"state, reference: expected 8 letters and digits, got {name!r}")
        parts = tuple(_parts(body[_HEAD.size :], d, D, count))
        places = [_place(part) for part in parts]
        if places != sorted(set(places)):
            raise ValueError(f"state: expected parts in order, each once, got {places}")
        return cls(name.decode("ascii"), d, parts)


def _place(part: Evidence) -> tuple[float, float]:
    """Return what parts are told apart and ordered by: nominal length and p."""
    return part.length, float(len(part.scene.means))


def _parts(body: bytes, d: int, D: int, count: int) -> Iterator[Evidence]:
    """Yield the parts of a body, all of it."""
    at = 0
    for _ in range(count):
        if len(body) - at < _PART.size:
            raise ValueError(f"state: expected {count} parts, got bytes for fewer")
        length, p = _PART.unpack_from(body, at)
        at += _PART.size
        if not (1 <= p <= SIZE_MAX and p == int(p) and 1 <= d <= SIZE_MAX and D <= SIZE_MAX):
            raise ValueError(f"state: expected sizes from 1 on, got d {d}, p {p:g}, D {D}")
        sizes = Sizes(d, int(p), D)
        stop = at + 8 * sizes.number_count
        if stop > len(body):
            raise ValueError(f"state: expected {stop} bytes of parts, got {len(body)}")
        numbers = np.frombuffer(body[at:stop], "<f8").astype(np.float64)  # (n,)
        check(numbers, sizes, length)
        yield unpacked(length, sizes, numbers)
        at = stop
    if at != len(body):
        raise ValueError(f"state: expected {at} bytes of parts, got {len(body)}")
