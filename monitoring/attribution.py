"""Which features moved, which of them hurt, and in which way: by putting one thing back at a time.

A window of prompts is reduced to its second moments, as the served model sees them. With
S = E[uuᵀ] of examples, C = E[vvᵀ] of queries and tasks w ~ N(m, T), the expected error above the
noise is, for normal rows,
    one layer A      R = tr(TC) - 2 tr(CAST) + tr(CA(F + σ²S/M)Aᵀ),   F = E[GTG], G = UᵀU/M,
                     F = (1 - 1/M) STS + (S tr(TS) + 2STS - 2(mᵀTm) mmᵀ)/M,  m = E[u]
    exact inverse    R = σ² tr(C (MS + σ²T⁻¹)⁻¹)
so R is also known for laws that never came: the window with feature j, or with the means, the
scales, the correlations, the lengths or the queries, as in the reference. What falls is the harm of
what was put back (docs/monitoring.md, "Attribution"). Heavy tails are what R cannot see.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.snapshot import FeatureMove

Array = NDArray[np.float64]

KINDS = ("mean", "scale", "correlation", "context_length", "query")
NOTEWORTHY = 1.05  # times the reference's excess: below, there is no harm to share out
TAIL_RATIO = 1.5  # observed over expected rise, from where tails must be the cause


class Law(NamedTuple):
    """First and second moments of vectors; a constant has deviation 0 and no correlations."""

    mean: Array  # (p,)
    deviation: Array  # (p,)
    correlation: Array  # (p, p)

    @property
    def second_moment(self) -> Array:
        """E[uuᵀ] (p, p)."""
        spread = self.correlation * np.outer(self.deviation, self.deviation)  # (p, p)
        moment: Array = spread + np.outer(self.mean, self.mean)
        return moment


@dataclass(frozen=True, slots=True)
class Scene:
    """The examples and queries of a window, working coordinates."""

    examples: Law
    queries: Law
    length: float  # M, harmonic mean


@dataclass(frozen=True, slots=True)
class Answering:
    """How a model answers: by one layer of weights A, or nearly by the inverse of its prior."""

    task_covariance: Array  # (p, p) T
    noise_variance: float  # σ²
    weights: Array | None = None  # (p, p) A of ŷ = vᵀA Uᵀr/M; None for foundation and profile


class Sums(NamedTuple):
    """What a scene is made of, summed over prompts; sums of two windows add."""

    prompt_count: float
    inverse_lengths: float  # Σ 1/M
    means: Array  # (p,) Σ ū
    moments: Array  # (p, p) Σ G/M
    query_means: Array  # (p,) Σ of each prompt's mean v
    query_moments: Array  # (p, p) Σ of each prompt's mean vvᵀ

    def joined(self, other: "Sums") -> "Sums":
        """Return the sums of both."""
        return Sums(
            self.prompt_count + other.prompt_count,
            self.inverse_lengths + other.inverse_lengths,
            self.means + other.means,
            self.moments + other.moments,
            self.query_means + other.query_means,
            self.query_moments + other.query_moments,
        )

    @property
    def scene(self) -> Scene:
        """The window's examples and queries."""
        n = self.prompt_count
        queries = law(self.query_means / n, self.query_moments / n)
        return Scene(law(self.means / n, self.moments / n), queries, n / self.inverse_lengths)


class Kind(NamedTuple):
    """In which way a window hurts; the name is empty where it does not."""

    name: str  # one of KINDS, tail, or empty
    shares: dict[str, float]  # of KINDS, sum 1; empty where nothing fell
    tail_ratio: float  # observed rise of the excess over what moments explain; NaN if unknown


def scene_sums(count: int, means: Array, grams: Array, queries: Array) -> Sums:
    """Return the sums of B prompts of M = count rows: ū (B, p), G = UᵀU (B, p, p), v (B, Q, p).

    A model that centres each prompt has ū = 0; an intercept is a coordinate that is always 1.
    """
    B, Q = queries.shape[:2]
    moments = grams.sum(axis=0) / count  # (p, p)
    query_moments = np.einsum("bqi,bqj->ij", queries, queries) / Q  # (p, p)
    sums = means.sum(axis=0), moments, queries.mean(axis=1).sum(axis=0), query_moments
    return Sums(float(B), B / count, *sums)


def law(mean: Array, second_moment: Array) -> Law:
    """Return the law of a mean (p,) and E[uuᵀ] (p, p)."""
    covariance = second_moment - np.outer(mean, mean)  # (p, p)
    power = np.diagonal(second_moment)  # (p,)
    variance = np.diagonal(covariance)  # (p,)
    varies = variance > 1e-12 * power  # (p,) else a constant, and rounding
    deviation = np.sqrt(np.where(varies, variance, 0.0))  # (p,)
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)  # (p,)
    correlation = covariance * np.outer(inverse, inverse)  # (p, p)
    np.fill_diagonal(correlation, 1.0)
    return Law(mean, deviation, correlation)


def expected_excess(answering: Answering, scene: Scene) -> float:
    """Return R, the expected squared error of an answer above the noise, working units²."""
    S, C = scene.examples.second_moment, scene.queries.second_moment  # (p, p)
    T, noise, M = answering.task_covariance, answering.noise_variance, scene.length
    A = answering.weights
    if A is None:
        return noise * float(np.trace(np.linalg.solve(M * S + noise * np.linalg.inv(T), C)))
    m = scene.examples.mean  # (p,)
    STS = S @ T @ S  # (p, p)
    fourth = S * np.trace(T @ S) + 2.0 * STS - 2.0 * (m @ T @ m) * np.outer(m, m)  # (p, p)
    F = (1.0 - 1.0 / M) * STS + fourth / M  # (p, p)
    seen = np.trace(C @ A @ (F + noise * S / M) @ A.T)
    return float(np.trace(T @ C) - 2.0 * np.trace(C @ A @ S @ T) + seen)


def harm_shares(answering: Answering, reference: Scene, now: Scene) -> Array:
    """Return the share (p,) of the excess error that goes when a coordinate is put back, sum 1.

    NaN where the window does not hurt more than the reference by `NOTEWORTHY`.
    """
    excess, p = expected_excess(answering, now), len(now.examples.mean)
    if not excess > NOTEWORTHY * expected_excess(answering, reference):
        return np.full(p, np.nan)
    falls = np.zeros(p)  # (p,)
    for place in range(p):
        examples = _feature_back(now.examples, reference.examples, place)
        queries = _feature_back(now.queries, reference.queries, place)
        back = replace(now, examples=examples, queries=queries)
        falls[place] = max(0.0, excess - expected_excess(answering, back))
    total = falls.sum()
    return falls / total if total > 0.0 else np.full(p, np.nan)


def kind(
    answering: Answering, reference: Scene, now: Scene, observed_rise: float = float("nan")
) -> Kind:
    """Return the aspect whose return to the reference lowers the excess error most.

    observed_rise is the window's mean excess h - σ² over that of the reference, unclipped; where
    moments explain less than 1/`TAIL_RATIO` of it, the kind is `tail`.
    """
    excess, normal = expected_excess(answering, now), expected_excess(answering, reference)
    tail_ratio = observed_rise * normal / max(excess, 1e-300)
    shares: dict[str, float] = {}
    if excess > NOTEWORTHY * normal:
        backs = {name: _aspect_back(name, reference, now) for name in KINDS}
        falls = {k: max(0.0, excess - expected_excess(answering, s)) for k, s in backs.items()}
        total = sum(falls.values())
        shares = {name: fall / total for name, fall in falls.items()} if total > 0.0 else {}
    name = max(shares, key=lambda one: shares[one]) if shares else ""
    is_tail = tail_ratio > TAIL_RATIO and observed_rise > NOTEWORTHY
    return Kind("tail" if is_tail else name, shares, tail_ratio)


def feature_moves(
    reference: tuple[Array, Array], now: tuple[Array, Array], shares: Array
) -> tuple[FeatureMove, ...]:
    """Return every feature's move, the most harmful first, then the most moved.

    reference and now are means and deviations (d,), natural units; shares (d,) of the harm.
    """
    rows = list(zip(*reference, *now, shares, strict=True))
    moves = [_move(place, *(float(value) for value in row)) for place, row in enumerate(rows)]
    return tuple(sorted(moves, key=_importance, reverse=True))


def pooled(counts: Array, means: Array, scatters: Array) -> tuple[Array, Array]:
    """Return mean and deviation (d,) of all rows of prompts of counts (n,), means (n, d).

    scatters (n, d) are each prompt's sums of squares about its own mean.
    """
    total = counts.sum()
    mean = counts @ means / total  # (d,)
    between = counts @ (means - mean) ** 2  # (d,)
    return mean, np.sqrt((scatters.sum(axis=0) + between) / total)


def _move(
    place: int, reference_mean: float, reference_deviation: float, *rest: float
) -> FeatureMove:
    mean, deviation, share = rest
    moved = mean - reference_mean
    if reference_deviation > 0.0:
        score = moved / reference_deviation
    else:
        score = float(np.copysign(np.inf, moved)) if moved else 0.0
    return FeatureMove(place, score, mean, deviation, reference_mean, reference_deviation, share)


def _importance(move: FeatureMove) -> tuple[float, float]:
    """Return harm first, then the larger of the moves of mean and logarithm of the deviation."""
    tiny = 1e-300
    grown = np.log(max(move.deviation, tiny) / max(move.reference_deviation, tiny))
    share = 0.0 if np.isnan(move.harm_share) else move.harm_share
    return share, max(abs(move.score), abs(float(grown)))


def _feature_back(now: Law, reference: Law, place: int) -> Law:
    mean, deviation, correlation = (part.copy() for part in now)
    mean[place], deviation[place] = reference.mean[place], reference.deviation[place]
    correlation[place] = correlation[:, place] = reference.correlation[place]
    return Law(mean, deviation, _possible(correlation))


def _aspect_back(name: str, reference: Scene, now: Scene) -> Scene:
    """Return the scene with one aspect as in the reference.

    Queries go along with the examples; `query` puts back only how they differ from them.
    """
    here, there = now.examples, reference.examples
    asked, usual = now.queries, reference.queries
    match name:
        case "mean":
            examples = here._replace(mean=there.mean)
            queries = asked._replace(mean=asked.mean + there.mean - here.mean)
        case "scale":
            examples = here._replace(deviation=there.deviation)
            grown = _ratio(there.deviation, here.deviation)  # (p,)
            queries = asked._replace(deviation=asked.deviation * grown)
        case "correlation":
            examples = here._replace(correlation=there.correlation)
            moved = asked.correlation + there.correlation - here.correlation  # (p, p)
            queries = asked._replace(correlation=_possible(moved))
        case "query":
            examples, grown = here, _ratio(usual.deviation, there.deviation)
            mean = here.mean + usual.mean - there.mean  # (p,)
            moved = here.correlation + usual.correlation - there.correlation  # (p, p)
            queries = Law(mean, here.deviation * grown, _possible(moved))
        case _:
            return replace(now, length=reference.length)
    return replace(now, examples=examples, queries=queries)


def _ratio(wanted: Array, found: Array) -> Array:
    return np.divide(wanted, found, out=np.ones_like(found), where=found > 0.0)


def _possible(correlation: Array) -> Array:
    """Return the matrix (p, p) without negative eigenvalues and with a diagonal of 1."""
    values, vectors = np.linalg.eigh(correlation)  # (p,), (p, p)
    if values[0] >= 0.0:
        return correlation
    raised = (vectors * np.maximum(values, 0.0)) @ vectors.T  # (p, p)
    unit = np.sqrt(np.diagonal(raised))  # (p,)
    possible: Array = raised / np.outer(unit, unit)
    return possible
