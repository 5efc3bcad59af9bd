"""What was normal for one model version: frozen numbers that travel with it.

Error baselines per bucket of prompt lengths, the normalisers of the clip, and the law of the
covariates (docs/monitoring.md, "The reference"). The id is the hash of all of it: what is compared
with another reference is another thing, and says so.
"""

import hashlib
from dataclasses import dataclass, field, fields
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.attribution import Sums
from monitoring.combo import Calibration
from monitoring.covariates import Normal
from monitoring.gate import clipped
from monitoring.levels import RATIO_MAX
from monitoring.observation import Observations

Array = NDArray[np.float64]

BASELINES = ("lengths", "counts", *Observations._fields[1:], "natural")
SHAPES: dict[str, tuple[int | str, ...]] = {
    "single": (5,),
    "clip_means": (2,),
    **{f"scene.{one}": () for one in ("prompt_count", "inverse_lengths")},
    **{f"scene.{one}": ("p",) for one in ("means", "query_means", "gaps")},
    **{f"scene.{one}": ("p", "p") for one in ("moments", "query_moments", "squares")},
    **{f"baselines.{one}": ("k",) for one in BASELINES},
    **{f"normal.{one}": ("d",) for one in ("mean", "deviation")},
    "normal.whitening": ("d", "r"),
    **{f"normal.{one}": ("r",) for one in ("mean_between", "mean_within")},
    **{f"normal.{one}": ("t",) for one in ("second_moment", "moment_between", "moment_within")},
    **{f"normal.{one}": () for one in ("tail_radius", "tail_between", "tail_within")},
    **{f"combo.{one}": (27,) for one in ("means", "deviations")},
    **{f"combo.{one}": () for one in ("threshold", "rows_per_alarm", "block_prompts", "seed")},
}
"""What a reference is stored as; a letter is a size that arrays share."""
ERRORS = ("lengths", "counts", "predicted", "loo", "ridge", "label_power", "natural")
POSITIVE = ("clip_means", *(f"baselines.{one}" for one in ERRORS))
BUCKETS = (8.0, 16.0, 32.0, 64.0, 128.0)  # nominal lengths, a prompt belongs to the nearest


@dataclass(frozen=True, slots=True)
class Baselines:
    """Mean errors of reference prompts by bucket of lengths, working units squared."""

    lengths: Array  # (k,) mean of the prompts of each bucket that holds any
    counts: Array  # (k,) prompts
    predicted: Array  # (k,) h₀
    loo: Array  # (k,) LOO₀
    ridge: Array  # (k,)
    label_power: Array  # (k,)
    query_signal: Array  # (k,)
    best: Array  # (k,) h_B
    natural: Array  # (k,) h₀ in one unit for all lengths

    def place(self, lengths: Array) -> NDArray[np.intp]:
        """Return the bucket of each length (P,): the nearest in ratio that holds prompts."""
        apart = np.abs(np.log(lengths)[:, None] - np.log(self.lengths))  # (P, k)
        nearest: NDArray[np.intp] = apart.argmin(axis=1)  # (P,)
        return nearest

    def normal(self, name: str, lengths: Array) -> Array:
        """Return an error as it is in normal prompts of lengths (P,).

        It is its bucket's, moved to the prompt's own length as h₀ goes between the buckets: at
        the edge of a bucket it would else be off by up to a half. Below the shortest it goes on as
        between the two shortest; above the longest it stays, for noise is a floor.
        """
        M, known, logs = np.log(lengths), np.log(self.lengths), np.log(self.natural)
        place = self.place(lengths)  # (P,)
        own = np.interp(M, known, logs)  # (P,)
        if len(known) > 1:
            steepness = max(0.0, float((logs[0] - logs[1]) / (known[1] - known[0])))
            own += steepness * np.maximum(known[0] - M, 0.0)
        moved: Array = getattr(self, name)[place] * np.exp(own - logs[place])  # (P,)
        return moved

    def limited(self, observed: Observations) -> Observations:
        """Return numbers of prompts, none above a million times its own normal."""
        place = self.place(observed.counts)  # (P,)
        most = {
            name: np.minimum(getattr(observed, name), RATIO_MAX * getattr(self, name)[place])
            for name in Observations._fields[1:]
        }
        return observed._replace(**most)

    def mean(self, name: str) -> float:
        """Return a baseline over all buckets, by their prompts."""
        return float(np.average(getattr(self, name), weights=self.counts))


class Inflations(NamedTuple):
    """Errors of P prompts over normal, by channel (h, loo); NaN where there is none."""

    clipped: Array  # (P, 2) u
    ratios: Array  # (P, 2) as they are
    at_clip: Array  # (P, 2) 1 where the clip was reached


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of one model version.

    `noise_variance` is σ² of h, working units squared; `window_prompts` is W, doubled where the
    reference's own prompts are too uneven for 100.
    """

    baselines: Baselines
    clip_means: Array  # (2,) κ_h, κ_LOO
    noise_variance: float
    feature_count: int
    group_count: int
    row_count: int
    window_prompts: int
    scene: Sums  # moments of its examples and queries, working coordinates
    normal: Normal
    calibration: Calibration
    id: str = field(init=False)
    basis: Array = field(init=False)  # (p, p) directions of harm, columns, the most varied first

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for name, values in sorted(self.to_arrays().items()):
            array = np.ascontiguousarray(values, "<f8")
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.tobytes())
        object.__setattr__(self, "id", digest.hexdigest()[:8])
        object.__setattr__(self, "basis", np.linalg.eigh(self.scene.moments)[1][:, ::-1])

    @property
    def prompt_count(self) -> int:
        """Prompts that the baselines are means of."""
        return int(self.baselines.counts.sum())

    def inflations(self, lengths: Array, predicted: Array, loo: Array) -> Inflations:
        """Return the errors h and LOO (P,) of prompts of lengths (P,) over normal."""
        return inflations(self.baselines, self.clip_means, lengths, predicted, loo)

    def length_effect(self, lengths: Array) -> Array:
        """Return h₀(M)/h₀ (P,), natural: what the lengths of prompts alone do to the error."""
        own = self.baselines.normal("natural", lengths)  # (P,)
        effect: Array = own / self.baselines.mean("natural")  # (P,)
        return effect

    def to_arrays(self) -> dict[str, Array]:
        """Return all of it as arrays of float64; `from_arrays` gives it back to the last bit."""
        single = (self.noise_variance, self.feature_count, self.group_count, self.row_count)
        found = {
            "single": np.array([*single, self.window_prompts], np.float64),
            "clip_means": self.clip_means,
        }
        for name, value in self.scene._asdict().items():
            found[f"scene.{name}"] = np.asarray(value, np.float64)
        for one in fields(Baselines):
            found[f"baselines.{one.name}"] = getattr(self.baselines, one.name)
        for prefix, part in (("normal", self.normal), ("combo", self.calibration)):
            found.update({f"{prefix}.{key}": value for key, value in part.to_arrays().items()})
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """Return the reference of some arrays; raise ValueError where they are none."""
        check_arrays(arrays)
        noise, features, groups, rows, window = arrays["single"].tolist()
        prompts, lengths, *moments = (arrays[f"scene.{name}"] for name in Sums._fields)
        return cls(
            Baselines(*(arrays[f"baselines.{one.name}"] for one in fields(Baselines))),
            arrays["clip_means"],
            noise,
            *(int(features), int(groups), int(rows), int(window)),
            Sums(float(prompts), float(lengths), *moments),
            Normal.from_arrays(_below(arrays, "normal.")),
            Calibration.from_arrays(_below(arrays, "combo.")),
        )


def check_arrays(arrays: dict[str, Array]) -> None:
    """Refuse arrays that are missing, of shapes that do not fit, not finite or not positive."""
    sizes: dict[int | str, int] = {}  # by letter
    for name, shape in SHAPES.items():
        if name not in arrays:
            raise ValueError(f"reference: expected an array {name}, got none")
        values = arrays[name]
        for letter, size in zip(shape, values.shape, strict=False):
            sizes.setdefault(letter, size)
        expected = tuple(sizes.get(one, one) if isinstance(one, str) else one for one in shape)
        if values.shape != expected or not values.size:
            sentence = f"expected shape {expected}, got {values.shape}"
            raise ValueError(f"reference, array {name}: {sentence}")
        if not np.isfinite(values).all():
            raise ValueError(f"reference, array {name}: expected finite numbers, got others")
        if name in POSITIVE and not (values > 0.0).all():
            sentence = f"expected numbers above 0, got {values.min():g}"
            raise ValueError(f"reference, array {name}: {sentence}")
    d, r, t = sizes["d"], sizes["r"], sizes["t"]
    if arrays["single"][1] != d or t != r * (r + 1) // 2:
        sentence = f"{arrays['single'][1]:g} features, {d} of them, {r} directions, {t} moments"
        raise ValueError(f"reference: expected sizes that agree, got {sentence}")


def _below(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def inflations(
    baselines: Baselines, clip_means: Array, lengths: Array, predicted: Array, loo: Array
) -> Inflations:
    """Return errors (P,) over the normal of their lengths (P,), clipped by κ (2,) and not."""
    channels = ("predicted", "loo")
    normal = np.column_stack([baselines.normal(name, lengths) for name in channels])  # (P, 2)
    ratios = np.column_stack([predicted, loo]) / normal  # (P, 2)
    limited = clipped(ratios)  # (P, 2)
    return Inflations(limited / clip_means, ratios, (limited < ratios).astype(np.float64))
